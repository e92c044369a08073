"""``pause`` and ``resume``, and that a run honours them."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cli_helpers import Site, is_one_line, tables
from factories import insert, make_new
from rows import change
from wpbridge.clock import SystemClock
from wpbridge.store.running.runner_store import RunnerStore

HANDLERS = """
from wpbridge import hook

@hook("mail")
def mail(*values): pass

@hook("sync")
def sync(*values): pass
"""


@pytest.fixture
def site(dsn: str, tmp_path: Path, open_queue: Callable[[str], RunnerStore]) -> Site:
    (tmp_path / "acts.py").write_text(HANDLERS, encoding="utf-8")
    return Site(dsn, tmp_path, open_queue(dsn))


def add(site: Site, *actions: tuple[str, str]) -> None:
    now = SystemClock().now()
    insert(site.store, *(make_new(hook, group=group, now=now) for hook, group in actions), now=now)


def run(site: Site) -> int:
    """How many a run claimed."""
    done = site("claim-and-run", "--handlers", "acts", "--format", "json")
    assert done.code == 0, done.err
    return int(json.loads(done.out)["claimed"])


def would_run(site: Site) -> list[str]:
    """The hooks that a run would claim now."""
    done = site("claim-and-run", "--handlers", "acts", "--dry-run", "--format", "json")
    assert done.code == 0, done.err
    return sorted(action["hook"] for action in json.loads(done.out)["actions"])


def listed(site: Site) -> list[tuple[str, str]]:
    rows = json.loads(site.ok("pause", "--format", "json"))
    return sorted((row["kind"], row["name"]) for row in rows)


# What it keeps from running


@pytest.mark.parametrize(
    ("flags", "left"),
    [
        (["--hook", "mail"], ["sync", "sync"]),
        (["--group", "shop"], ["mail", "sync"]),
        (["--group", ""], ["mail", "sync"]),
        (["--hook", "mail", "--group", "shop"], ["sync"]),
        (["--hook", "Mail"], ["mail", "mail", "sync", "sync"]),
        (["--hook", "mail", "--hook", "sync"], []),
        (["--all"], []),
        (["--all", "--for", "10m"], []),
    ],
    ids=" ".join,
)
def test_a_run_leaves_what_is_paused(site: Site, flags: list[str], left: list[str]) -> None:
    add(site, ("mail", ""), ("mail", "shop"), ("sync", ""), ("sync", "shop"))
    done = site("pause", *flags)
    # A name in other letters is told of: it holds nothing.
    hint = "no hook `Mail`; did you mean `mail`?\n" if "Mail" in flags else ""
    assert (done.code, done.out[:7], done.err) == (0, "paused ", hint)
    assert would_run(site) == left
    assert site.ok("resume", "--all").startswith("resumed ")
    assert len(would_run(site)) == 4


def test_a_real_run_honours_it_and_resumes(site: Site) -> None:
    add(site, ("mail", ""), ("sync", ""))
    site.ok("pause", "--hook", "mail", "--reason", "mail server is down")
    assert run(site) == 1
    assert site.store.counts() == {"complete": 1, "pending": 1}
    assert run(site) == 0
    site.ok("resume", "--hook", "mail")
    assert run(site) == 1


def test_a_pause_ends_by_itself(site: Site) -> None:
    add(site, ("mail", ""))
    site.ok("pause", "--hook", "mail", "--for", "2h")
    assert would_run(site) == []
    change(site.store, "UPDATE wp_wpbridge_pauses SET until_gmt = '2026-01-01 00:00:00'")
    assert would_run(site) == ["mail"]
    assert listed(site) == []
    assert site.ok("resume", "--hook", "mail") == "resumed hook mail\n"


# What it says


def test_scopes_and_ends_are_told(site: Site) -> None:
    assert site.ok("pause", "--hook", "mail", "--group", "shop", "--group", "") == (
        "paused hook mail until resumed\npaused group shop until resumed\n"
        "paused actions without a group until resumed\n"
    )
    assert site.ok("pause", "--all", "--until", "2099-12-01T09:00Z") == (
        "paused everything until 2099-12-01T09:00:00Z\n"
    )
    out = site.ok("pause", "--hook", "mail", "--for", "2h")
    end = re.fullmatch(r"paused hook mail until (\S+)\n", out)
    assert end is not None
    span = datetime.fromisoformat(end[1]) - datetime.now(UTC)
    assert abs(span - timedelta(hours=2)) < timedelta(seconds=60)
    assert listed(site) == [("all", ""), ("group", ""), ("group", "shop"), ("hook", "mail")]


def test_a_pause_as_rows(site: Site) -> None:
    told = site.ok("pause", "--hook", "mail", "--for", "2h", "--reason", "down", "--format", "json")
    (row,) = json.loads(told)
    assert (row["kind"], row["name"], row["reason"]) == ("hook", "mail", "down")
    (stored,) = json.loads(site.ok("pause", "--format", "json"))
    assert stored["until"] == row["until"]
    assert stored["since"] is not None
    assert site.ok("pause", "--field", "name") == "mail\n"


def test_a_second_pause_replaces_the_first(site: Site) -> None:
    site.ok("pause", "--hook", "mail", "--for", "2h", "--reason", "old")
    site.ok("pause", "--hook", "mail", "--reason", "new")
    (row,) = json.loads(site.ok("pause", "--format", "json"))
    assert (row["until"], row["reason"]) == (None, "new")


def test_long_names_and_reasons(site: Site) -> None:
    site.ok("pause", "--hook", "é" * 191, "--group", "é" * 255, "--reason", "é" * 1000)
    rows = json.loads(site.ok("pause", "--format", "json"))
    assert sorted(len(row["name"]) for row in rows) == [191, 255]
    assert {row["reason"] for row in rows} == {"é" * 255}


def test_resume_lifts_what_is_named_and_says_when_there_is_nothing(site: Site) -> None:
    nothing = site("resume", "--all")
    assert (nothing.code, nothing.out, nothing.err) == (0, "", "nothing of it was paused\n")
    site.ok("pause", "--all", "--hook", "mail", "--group", "shop")
    other = site("resume", "--hook", "shop")
    assert (other.out, other.err) == ("", "nothing of it was paused\n")
    assert site.ok("resume", "--hook", "mail", "--hook", "sync") == "resumed hook mail\n"
    assert sorted(site.ok("resume", "--all").splitlines()) == [
        "resumed everything",
        "resumed group shop",
    ]
    assert listed(site) == []


# Dry runs and refusals


def test_dry_runs_change_nothing(site: Site) -> None:
    before = tables(site.store)
    assert site.ok("pause", "--all", "--hook", "mail", "--dry-run") == (
        "would pause everything until resumed\nwould pause hook mail until resumed\n"
    )
    assert tables(site.store) == before
    site.ok("pause", "--hook", "mail")
    before = tables(site.store)
    assert site.ok("resume", "--all", "--dry-run") == "would resume hook mail\n"
    assert site.ok("pause", "--hook", "mail", "--for", "1h", "--dry-run").startswith("would pause")
    assert tables(site.store) == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["pause", "--for", "2h"], "name what to pause"),
        (["pause", "--until", "now"], "name what to pause"),
        (["pause", "--reason", "why"], "name what to pause"),
        (["pause", "mail"], "extra argument"),
        (["pause", "--hook", "mail", "--for", "2h", "--until", "now"], "--for and --until"),
        (["pause", "--hook", "mail", "--for", "soon"], "--for"),
        (["pause", "--hook", "mail", "--for", ""], "--for"),
        (["pause", "--hook", "mail", "--for", "0"], "its end is past"),
        (["pause", "--hook", "mail", "--for", "999999999d"], "--for"),
        (["pause", "--hook", "mail", "--until", "tomorrow"], "--until"),
        (["pause", "--hook", "mail", "--until", "-1h"], "its end is past"),
        (["pause", "--hook", ""], "--hook: 1 to 191 characters"),
        (["pause", "--hook", "h" * 192], "--hook: 1 to 191 characters, not 192"),
        (["pause", "--group", "g" * 256], "--group: 0 to 255 characters, not 256"),
        (["pause", "--hook", "mail", "--fields", "nope"], "no field nope"),
        (["resume"], "name what to resume"),
        (["resume", "--dry-run"], "name what to resume"),
    ],
)
def test_what_cannot_be(lite: Site, arguments: list[str], words: str) -> None:
    lite.ok("pause", "--hook", "other")
    before = tables(lite.store)
    done = lite(*arguments)
    assert is_one_line(done, 2), done
    assert words in done.err
    assert tables(lite.store) == before
