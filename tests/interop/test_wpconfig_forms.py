"""PHP is the oracle: what the reader says of a configuration is what PHP says, or nothing."""

from pathlib import Path

import pytest

from forms import Form, assert_same, forms, told_by_php
from wpbridge import wpconfig
from wpbridge.errors import SiteError
from wpbridge.wpconfig import Unknown

PLAIN = forms("plain")
OTHER = forms("other")


@pytest.mark.parametrize("form", [*PLAIN, *OTHER], ids=lambda form: form.name)
def test_the_reader_says_what_php_says_or_nothing(php: str, tmp_path: Path, form: Form) -> None:
    root = tmp_path.resolve() / "site"
    env = form.lay(root)
    try:
        config = wpconfig.read(root, env)
    except SiteError:
        assert not form.plain
        return
    for request in form.requests:
        told = told_by_php(php, root, env, request)
        if told is not None:
            assert_same(config, told, f"{form.name} with {request}")
            if form.plain:
                assert set(told) <= set(config.values)
                assert not isinstance(config.values["DB_NAME"], Unknown)
    if form.plain:
        assert config.doubt is None
        for name in ("DB_USER", "DB_PASSWORD", "DB_HOST", "$table_prefix"):
            config.text(name)
