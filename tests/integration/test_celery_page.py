"""The page about the hand-over to Celery, followed line by line with a Redis of its own."""

import json
import re
import shlex
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Final

import pytest

from brokers import missing_redis, private_redis
from conftest import ROOT, needs
from daemons import until
from fences import fences
from page_shell import Shell, write_files
from wpbridge.site.config import load

PAGE: Final = ROOT / "docs" / "how-to" / "hand-over-to-celery.md"
EXPLAINED: Final = ROOT / "docs" / "explain" / "celery.md"
WORDPRESS: Final = " --path /var/www/html"


def of(language: str) -> list[str]:
    return [one.text for one in fences(PAGE) if one.language == language]


@pytest.mark.parametrize("page", [PAGE, EXPLAINED], ids=lambda page: page.name)
def test_the_settings_of_the_pages_are_taken(page: Path, tmp_path: Path) -> None:
    found = [one.text for one in fences(page) if one.language == "toml"]
    assert found
    for text in found:
        file = tmp_path / "wpbridge.toml"
        file.write_text(text, "utf-8")
        settings = load({}, {}, tmp_path)
        assert settings.routes or "[celery" in text


class Hosts:
    """The hosts of the page, which are one: a terminal, relays and workers in one folder."""

    def __init__(self, shell: Shell) -> None:
        self.shell = shell
        celery = shell.folder.parent / "bin" / "celery"
        celery.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m celery "$@"\n')
        celery.chmod(0o755)

    def type(self, text: str) -> str:
        return self.shell.run(text.replace(WORDPRESS, ""))

    @contextmanager
    def started(self, line: str) -> Iterator[subprocess.Popen[bytes]]:
        """Start what runs until it is stopped; it must end as at TERM, unless it has ended."""
        words = shlex.split(line.replace(WORDPRESS, ""))
        name = words[0] if words[0] == "celery" else words[1]
        with (self.shell.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", *words],
                cwd=self.shell.folder,
                env=self.shell.env,
                stdout=log,
                stderr=log,
            )
        try:
            yield process
            process.send_signal(signal.SIGTERM)  # It does nothing to one that was waited for.
            assert process.wait(120) in {0, 143}, self.log(name)
        finally:
            process.kill()
            process.wait()

    def log(self, name: str) -> str:
        return (self.shell.folder / f"{name}.log").read_text(errors="replace")[-3000:]

    def kinds(self) -> list[str]:
        """Which runners there are."""
        told = json.loads(self.type("wpbridge workers list --format json"))
        return sorted(one["kind"] for one in told)

    def orders(self) -> list[int]:
        """What the handler has logged."""
        with closing(sqlite3.connect(self.shell.folder / "queue.db")) as connection:
            rows = connection.execute("SELECT message FROM wp_actionscheduler_logs").fetchall()
        found = [re.search(r"mail for order (\d+), key .", row[0]) for row in rows]
        return [int(one[1]) for one in found if one]

    def completed(self) -> int:
        told = self.type("wpbridge list --status complete --hook send_mail --format count")
        return int(told)

    def await_completed(self, number: int) -> None:
        until(
            lambda: self.completed() == number,
            lambda: f"{number} complete: {self.log('relay')} {self.log('celery')}",
            120,
            pause=0.5,
        )


def test_the_page_is_followed_from_an_empty_folder(tmp_path: Path) -> None:
    needs(missing_redis())
    folder = tmp_path / "shop"
    folder.mkdir(mode=0o700)
    hosts = Hosts(Shell(folder))
    write_files(PAGE, folder)
    settings = folder / "wpbridge.toml"
    told = settings.read_text("utf-8")
    where = 'path = "/var/www/html"'
    assert where in told
    settings.write_text(told.replace(where, 'dsn = "sqlite:///queue.db"'), "utf-8")
    ask, install, look, start, work, add, policies, well, drain = of("sh")
    assert install == "pip install 'wpbridge[celery]'"
    hosts.type("wpbridge init")
    assert "workers advised" in hosts.type(ask)
    assert hosts.type(policies).count("2012-10-17") == 2
    with ExitStack() as running:
        broker = running.enter_context(private_redis(tmp_path, appendonly=True))
        hosts.shell.env["WPBRIDGE_CELERY_BROKER"] = broker.url
        assert "queue mail" in hosts.type(look)
        relay = running.enter_context(hosts.started(start))
        with hosts.started(work):
            hosts.type(add)
            hosts.await_completed(1)
            wanted = [*["celery"] * 4, "relay"]
            until(lambda: hosts.kinds() == wanted, lambda: str(hosts.kinds()), pause=0.5)
            assert hosts.type(well)
            # Its message alone holds it, and each has a row in the end.
            through = next(text for text in of("python") if "through=" in text)
            here = through.replace('"/var/www/html"', "")
            script = f"{here}\nassert sent.action_id is None\n"
            (folder / "send.py").write_text(script, "utf-8")
            hosts.type(f"{shlex.quote(sys.executable)} send.py")
            hosts.await_completed(102)
            assert len(hosts.orders()) == 102
            assert set(hosts.orders()) == {17, *range(100, 200)}
        # No worker is there to start it.
        hosts.type(add)
        until(lambda: broker.depth("mail") == 1, hosts.log("relay"))
        assert "stopped 1 relay(s), dropped 1 message(s)" in hosts.type(drain)
        # A relay that was asked to stop ends as at TERM.
        assert relay.wait(60) == 143, hosts.log("relay")
        assert broker.depth("mail") == 0
    local = settings.read_text("utf-8")
    routed = 'to = "celery"\nqueue = "mail"'
    assert routed in local
    settings.write_text(local.replace(routed, 'to = "python"'), "utf-8")
    hosts.type("wpbridge claim-and-run")
    assert hosts.completed() == 103


def test_the_page_tells_figures_that_the_bench_has() -> None:
    """They are quoted, and each stands on the page that is linked."""
    text = PAGE.read_text("utf-8")
    bench = (ROOT / "docs" / "reference" / "bench.md").read_text("utf-8")
    [table] = re.findall(r"^\| what one host did .*\n((?:\|.*\n)+)", text, re.MULTILINE)
    rows = re.findall(r"\| ([\d,]+) \|$", table, re.MULTILINE)
    assert len(rows) == 6
    assert [one for one in rows if one not in bench] == []
