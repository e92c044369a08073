"""The page on protecting Python-only hooks, followed with the plugin's own runner."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from conftest import ROOT
from fences import fences
from page_shell import Shell
from page_site import must_use, site_with_plugin
from servers import MariaDB
from wordpress import in_wordpress

PAGE: Final = ROOT / "docs" / "how-to" / "protect-python-hooks.md"
HANDLERS: Final = """from wpbridge import hook


@hook("send_mail")
def send_mail(order: int) -> None:
    print(order)


@hook("nightly_report")
def nightly_report() -> None:
    print("the report")
"""
WITHOUT_CALLBACK: Final = "will not be executed as no callbacks are registered."


class Followed:
    """A site whose queue is given to the plugin's runner, and the terminal beside it."""

    def __init__(self, site: Path, shell: Shell) -> None:
        self.site = site
        self.shell = shell

    def type(self, line: str) -> str:
        """Type a line of the page; fails where the page does not have it."""
        lines = [line for fence in fences(PAGE) for line in fence.text.splitlines()]
        assert line in lines
        line = line.replace("/var/www/html", str(self.site))
        return self.shell.run(line.replace("/var/backups/", ""))

    def typed(self, command: str) -> str:
        """Type what the page does not have."""
        return self.shell.run(f"{command} --path {self.site}")

    def enqueue(self, *more: str) -> None:
        self.typed(f"wpbridge enqueue {' '.join(more)}")

    def run_in_php(self) -> None:
        """Let the plugin's own runner run what is due."""
        in_wordpress(self.site, "ActionScheduler::runner()->run();")

    def statuses(self, hook: str) -> list[str]:
        """The statuses of the hook's actions, the first action first."""
        told = json.loads(self.typed(f"wpbridge list --hook {hook} --format json"))
        return [row["status"] for row in sorted(told, key=lambda row: int(row["id"]))]


@pytest.fixture
def followed(mariadb: MariaDB, tmp_path: Path) -> Iterator[Followed]:
    folder = tmp_path / "shop"
    folder.mkdir(mode=0o700)
    (folder / "shop_hooks.py").write_text(HANDLERS)
    with site_with_plugin(mariadb, tmp_path / "html") as site:
        it = Followed(site, Shell(folder))
        it.typed("wpbridge init")
        it.enqueue("send_mail", "--args '{\"order\": 17}'")
        yield it


def test_without_protection_the_plugin_fails_them_and_they_can_be_requeued(
    followed: Followed,
) -> None:
    followed.enqueue("nightly_report", "--interval 1h")
    followed.run_in_php()
    assert followed.statuses("send_mail") == ["failed"]
    assert WITHOUT_CALLBACK in PAGE.read_text("utf-8")
    assert WITHOUT_CALLBACK in followed.type("wpbridge failures --path /var/www/html")
    # The chain goes on.
    assert followed.statuses("nightly_report") == ["failed", "pending"]
    followed.type("wpbridge requeue --path /var/www/html --hook send_mail --yes")
    assert followed.statuses("send_mail") == ["failed", "pending"]


def test_the_companion_plugin_keeps_them(followed: Followed) -> None:
    followed.typed("wpbridge wp install-plugin --handlers shop_hooks --owns-site")
    followed.type(
        "wpbridge wp install-plugin --path /var/www/html --handlers shop_hooks --no-owns-site"
    )
    must_use(followed.site, "php-only", "<?php add_action( 'php_only', '__return_null' );")
    followed.enqueue("php_only")
    followed.run_in_php()
    assert followed.statuses("php_only") == ["complete"]
    assert followed.statuses("send_mail") == ["pending"]
    # As the page warns.
    followed.typed("wpbridge uninstall --yes")
    followed.run_in_php()
    assert followed.statuses("send_mail") == ["failed"]


def test_a_file_keeps_them(followed: Followed) -> None:
    both = "--path /var/www/html --hook send_mail --hook nightly_report"
    followed.enqueue("nightly_report", "--cron '0 3 * * *'")
    followed.type(
        f"wpbridge migrate export {both} --status pending --output /var/backups/python.jsonl"
    )
    followed.type(f"wpbridge cancel {both} --yes")
    followed.type("wpbridge wp install-plugin --path /var/www/html --remove")
    followed.run_in_php()
    assert followed.statuses("send_mail") == ["canceled"]
    line = "wpbridge migrate import --input python.jsonl --into-itself"
    assert line.replace("python.jsonl", "FILE") in PAGE.read_text("utf-8")
    assert "would import 2 actions" in followed.typed(f"{line} --dry-run")
    for _ in range(2):
        followed.typed(f"{line} --yes")
    assert followed.statuses("send_mail") == ["canceled", "pending"]
    assert followed.statuses("nightly_report") == ["canceled", "pending"]


def test_a_callback_that_throws_tells_why_and_one_that_does_nothing_completes(
    followed: Followed,
) -> None:
    _, throws = (fence.text for fence in fences(PAGE) if fence.language == "php")
    must_use(followed.site, "stub", throws)
    followed.run_in_php()
    assert followed.statuses("send_mail") == ["failed"]
    assert "send_mail is run by wpbridge, which is switched off" in followed.typed(
        "wpbridge failures"
    )
    must_use(followed.site, "stub", "<?php add_action( 'send_mail', '__return_null' );")
    followed.enqueue("send_mail", "--args '{\"order\": 18}'")
    followed.run_in_php()
    assert followed.statuses("send_mail") == ["failed", "complete"]


def test_a_pause_alone_protects_nothing(followed: Followed) -> None:
    followed.typed("wpbridge pause --hook send_mail")
    followed.run_in_php()
    assert followed.statuses("send_mail") == ["failed"]
