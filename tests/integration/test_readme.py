"""The README is followed as its reader follows it, and shows what comes then."""

import os
import pwd
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from conftest import ROOT, needs
from page_shell import Shell
from page_site import site_of_a_reader
from servers import MariaDB
from tutorial import Reader, fits, steps

README: Final = ROOT / "README.md"
MOST_LINES: Final = 200
CALLBACK: Final = "<?php add_action( 'wc_admin_daily', '__return_null' );"
"""Stands for WooCommerce's."""
LEFT_OUT: Final = {
    "scripts/demo": "a test of its own",
    "wpbridge install cron": "a test of its own",
}
"""Fences that are not typed by the reader, by a part of them, and why."""


@pytest.fixture
def site(mariadb: MariaDB, tmp_path: Path) -> Iterator[Path]:
    """A WordPress with a callback of WooCommerce's."""
    callbacks = tmp_path / "woocommerce.php"
    callbacks.write_text(CALLBACK)
    with site_of_a_reader(mariadb, tmp_path / "html", callbacks=callbacks) as folder:
        yield folder


def told_of(command: str) -> str:
    """What the README says that a command prints, whoever types it."""
    text = next(step.fence.text for step in steps(README) if command in step.fence.text)
    return re.split(r"^\$ ", text.split(command, 1)[1].partition("\n")[2], flags=re.MULTILINE)[0]


def test_the_readme_is_short() -> None:
    assert len(README.read_text("utf-8").splitlines()) < MOST_LINES


def test_each_short_start_gives_the_output_that_is_shown(tmp_path: Path, site: Path) -> None:
    needs(None if shutil.which("curl") else "curl is not installed (apt-get install curl)")
    folder = tmp_path / "shop"
    folder.mkdir(mode=0o700)
    reader = Reader(Shell(folder), {"/var/www/html": str(site), "/srv/shop": str(folder)}, LEFT_OUT)
    reader.follow(README)
    assert set(reader.seen) == set(LEFT_OUT.values())


def test_the_demo_ends_as_shown() -> None:
    done = subprocess.run(
        [str(ROOT / "scripts" / "demo")],
        env={**os.environ, "LANG": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert fits(told_of("scripts/demo"), done.stdout + done.stderr)


@pytest.mark.parametrize("command", ["wpbridge install cron", "wpbridge install systemd"])
def test_what_starts_wpbridge_is_explained_as_shown(
    command: str, tmp_path: Path, site: Path
) -> None:
    folder, units = tmp_path / "shop", tmp_path / "units"
    folder.mkdir()
    units.mkdir()
    (folder / "wpbridge.toml").write_text(
        f'[site]\npath = "{site}"\n[run]\nhandlers = ["shop_hooks"]\n'
    )
    (folder / "shop_hooks.py").write_text("")
    user = "www-data" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    if os.geteuid() == 0:
        os.chown(site / "wp-config.php", pwd.getpwnam(user).pw_uid, -1)
    words = [sys.executable, "-m", *command.split()]
    words += ["--into", str(units)] if "systemd" in command else []
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=True)
    printed = f"{done.stdout}{done.stderr}"
    for here, there in (
        (str(site), "/var/www/html"),
        (str(folder), "/srv/shop"),
        (str(units), "/etc/systemd/system"),
        (user, "www-data"),
    ):
        printed = printed.replace(here, there)
    told = re.sub(r"wpbridge \d[\d.]*", "wpbridge ...", told_of(command)).replace(" 16 ", " ... ")
    told = re.sub(r"\d+s --quiet", "... --quiet", told).replace(
        "&& /opt/wpbridge/bin/wpbridge", "&& ..."
    )
    assert fits(told, printed), printed
