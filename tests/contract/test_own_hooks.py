"""Where actions of wpbridge's own hooks may be added: only where PHP's runners leave them alone."""

from dataclasses import replace
from pathlib import Path

import pytest

from rows import change, query
from wpbridge.plugin import companion, own_hooks
from wpbridge.plugin.companion import Ownership
from wpbridge.plugin.own_hooks import KEPT_SECONDS, OwnHooks, forget_sign
from wpbridge.site.config import Settings
from wpbridge.site.database import DatabaseAddress
from wpbridge.site.resolve import Site
from wpbridge.store.running.runner_store import RunnerStore


@pytest.fixture
def place(dsn: str) -> Site:
    """The site as a host sees it that has no files of the WordPress."""
    address = DatabaseAddress.from_dsn(dsn)
    return Site(name="t", database=address, base_prefix="wp_", table_prefix="wp_")


def is_refused(store: RunnerStore, place: Site, settings: Settings | None = None) -> bool:
    refusal = OwnHooks(settings or Settings(), place).refusal(store.parts)
    assert refusal is None or "`wpbridge wp install-plugin`" in refusal
    return refusal is not None


def make_wordpress(store: RunnerStore, sign: str | None = None) -> None:
    change(
        store,
        "CREATE TABLE wp_options (option_id int, option_name varchar(191), option_value longtext,"
        " autoload varchar(20))",
    )
    if sign is not None:
        change(
            store,
            "INSERT INTO wp_options VALUES (1, 'wpbridge_companion', :sign, 'yes')",
            sign=sign,
        )


def test_a_queue_without_wordpress_has_no_runners_of_php(store: RunnerStore, place: Site) -> None:
    assert not is_refused(store, place)


@pytest.mark.parametrize(
    ("sign", "refused"),
    [
        (None, True),
        ("", True),
        ("0.1.0", True),
        ("not-own-hooks", True),
        ("0.1.0 own-hooks", False),
    ],
)
def test_the_companions_option_tells_where_its_file_cannot_be_seen(
    store: RunnerStore, place: Site, sign: str | None, refused: bool
) -> None:
    make_wordpress(store, sign)
    assert is_refused(store, place) is refused
    assert not is_refused(store, place, Settings(owns_site=True))
    assert forget_sign(place)
    assert is_refused(store, place)
    assert query(store, "SELECT option_name FROM wp_options") == []
    assert forget_sign(place)


def test_the_file_decides_where_it_can_be_seen(
    store: RunnerStore, place: Site, tmp_path: Path
) -> None:
    make_wordpress(store, "0.1.0 own-hooks")
    near = replace(place, mu_plugins=tmp_path)
    assert is_refused(store, near), "the option is older than the file's removal"
    companion.install(tmp_path, "wp_2_", Ownership())
    assert is_refused(store, near), "another site of the network"
    companion.install(tmp_path, "wp_", Ownership())
    assert not is_refused(store, near)
    file = tmp_path / companion.FILE_NAME
    file.write_bytes(file.read_bytes().replace(b"const OWN_HOOKS", b"const OLDER"))
    assert is_refused(store, near), "it is of an earlier release"


def test_an_answer_counts_for_some_seconds(
    store: RunnerStore, place: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(own_hooks, "seconds_since_boot", lambda: now)
    guard = OwnHooks(Settings(), place)
    assert guard.refusal(store.parts) is None
    make_wordpress(store)
    assert guard.refusal(store.parts) is None
    now += KEPT_SECONDS
    assert guard.refusal(store.parts) is not None
