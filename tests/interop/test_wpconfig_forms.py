"""PHP is the oracle: what the reader says of a configuration is what PHP says, or nothing."""

import os
import secrets
from pathlib import Path

import pytest

from forms import Form, assert_same, forms, told_by_php
from wp_config_programs import ENV, Maker, lay, told
from wpbridge.errors import SiteError
from wpbridge.site import wpconfig
from wpbridge.site.wpconfig import Unknown

SEED = int(os.environ.get("WPBRIDGE_SEED", "0")) or secrets.randbelow(1_000_000)
PROGRAMS = 80
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


def test_random_programs_mean_what_php_makes_of_them(php: str, tmp_path: Path) -> None:
    """Run more with other seeds by WPBRIDGE_SEED; a failure names the program's own seed."""
    env = {**ENV, "PATH": os.environ["PATH"]}
    folders = [tmp_path.resolve() / str(number) for number in range(PROGRAMS)]
    programs = [Maker(SEED + number).program() for number in range(PROGRAMS)]
    for folder, program in zip(folders, programs, strict=True):
        lay(folder, program)
    ended = 0
    for number, values in enumerate(told(php, folders, env)):
        try:
            config = wpconfig.read(folders[number], env)
        except SiteError:
            continue
        if values is not None:
            ended += 1
            assert_same(config, values, f"WPBRIDGE_SEED={SEED + number}: {programs[number]}")
    assert ended > PROGRAMS // 8
