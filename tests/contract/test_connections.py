"""How the store connects."""

import ssl

import pytest

from stores import open_store
from wpbridge.errors import SchemaError
from wpbridge.site.database import DatabaseAddress


def test_a_connection_over_a_socket_loads_no_certificates(
    mysql_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes 30 ms and more, and nobody reads along on a socket."""
    monkeypatch.setattr(
        ssl, "create_default_context", lambda *_, **_more: pytest.fail("certificates are loaded")
    )
    with pytest.raises(SchemaError):
        open_store(DatabaseAddress.from_dsn(mysql_dsn), "wp_")
