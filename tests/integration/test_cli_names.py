"""Misspelled hooks and groups: named with the nearest there is; answers and exit codes stay."""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from cli_helpers import Site, is_one_line, sqlite_site
from factories import insert, make_new
from rows import change, query
from wpbridge.clock import SystemClock
from wpbridge.store.rows import inventory
from wpbridge.store.running.runner_store import RunnerStore

HANDLERS = """
from wpbridge import hook

@hook("send_mails")
def send(*values): pass
"""


def fill(site: Site) -> Site:
    now = SystemClock().now()
    insert(
        site.store,
        make_new("send_mail", group="mail", now=now),
        make_new("send_mail", args=(1,), group="mail", now=now),
        make_new("Sync_Stock", group="Bulk", interval=60, now=now),
        make_new("caffè", now=now),
        now=now,
    )
    (site.folder / "acts.py").write_text(HANDLERS, encoding="utf-8")
    return site


@pytest.fixture
def site(dsn: str, tmp_path: Path, open_queue: Callable[[str], RunnerStore]) -> Site:
    return fill(Site(dsn, tmp_path, open_queue(dsn)))


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Site]:
    with sqlite_site(tmp_path) as it:
        yield it


@pytest.fixture
def lite(empty: Site) -> Site:
    return fill(empty)


GROUP = "no group `mial`; did you mean `mail`?\n"
HOOK = "no hook `send_mial`; did you mean `send_mail`?\n"


def test_each_command_that_takes_a_name(lite: Site) -> None:
    """The line is beside an answer that is as it was, with the exit code as it was."""
    handlers = ("--handlers", "acts", "--dry-run")
    for told in (
        "list",
        "stats",
        "stats --by group",
        "stats --by hour",
        "stats --by status",
        "failures",
        "cancel",
        "delete",
        "requeue",
        "reschedule --at now",
        "dedupe",
        "clean --before -1d",
        "migrate export --output out.jsonl",
    ):
        for flag, name, line in (("--group", "mial", GROUP), ("--hook", "send_mial", HOOK)):
            done = lite(*told.split(), flag, name)
            assert (done.code, line) == (0, line if line in done.err else done.err), told
            assert "did you mean" not in done.out
    for told in ("cancel send_mial", "cancel send_mial --all", "next send_mial"):
        done = lite(*told.split())
        assert (done.code, HOOK in done.err) == (0, True), told
    for told in ("claim-and-run", "work"):
        for flag, line in (("--exclude-groups=mial", GROUP), ("--exclude-hooks=send_mial", HOOK)):
            done = lite(told, flag, *handlers)
            assert (done.code, done.err) == (0, line), told
    refused = lite("claim-and-run", "--group", "mial", *handlers)
    assert (refused.code, refused.err) == (1, f"{GROUP}wpbridge: no such group: mial\n")
    # A handler is a name too, though it has no action yet.
    assert lite("claim-and-run", "--hooks", "send_mails", *handlers).err == ""


def test_names_are_compared_as_the_command_compares_them(site: Site) -> None:
    """Filters as the database does, a pause letter by letter: one in other letters holds nothing."""
    for flag, name, near in (
        ("--hook", "SEND_MAIL", "send_mail"),
        ("--group", "Mail", "mail"),
        ("--hook", "sync_stock", "Sync_Stock"),
    ):
        line = f"no {flag[2:]} `{name}`; did you mean `{near}`?\n"
        assert site("list", flag, name).err == ""
        assert site("pause", flag, name, "--dry-run").err == line
    assert site.ok("pause", "--hook", "send_mail", "--group", "mail", "--group", "", "--dry-run")
    assert "caffè" in site("pause", "--hook", "caffe", "--dry-run").err


def test_a_pause_is_made_and_says_that_it_holds_nothing(lite: Site) -> None:
    done = lite("pause", "--group", "mial")
    assert (done.code, done.err) == (0, GROUP)
    assert done.out == "paused group mial until resumed; no action has it yet\n"
    # Before a release nothing is near, and a script hears nothing.
    done = lite("pause", "--hook", "brand_new", "--for", "1h", "--format", "json")
    assert (done.code, done.err, json.loads(done.out)[0]["name"]) == (0, "", "brand_new")
    done = lite("pause", "--hook", "send_mial", "--format", "json")
    assert (done.code, done.err, json.loads(done.out)[0]["name"]) == (0, HOOK, "send_mial")
    done = lite("resume", "--group", "mail", "--hook", "brand_new")
    assert (done.code, done.out) == (0, "resumed hook brand_new\n")
    assert done.err == "no paused group `mail`; did you mean `mial`?\n"


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        (["--group", "mial"], GROUP),
        (["--group", "MIAL"], "no group `MIAL`; did you mean `mail`?\n"),
        (["--group", "mails"], "no group `mails`; did you mean `mail`?\n"),
        (["--group", "bulk"], ""),
        (["--hook", "sendmail"], "no hook `sendmail`; did you mean `send_mail`?\n"),
        (["--hook", "cafe"], "no hook `cafe`; did you mean `caffè`?\n"),
        (["--hook", "send_mail", "--hook", "send_mial", "--hook", "send_mial"], HOOK),
        (["--hook", "send_mial", "--group", "mial"], HOOK + GROUP),
        (["--hook", "send_mail "], "no hook `send_mail `; did you mean `send_mail`?\n"),
        (
            ["--hook", "se\x1b[31mnd_mail"],
            "no hook `se\\x1b[31mnd_mail`; did you mean `send_mail`?\n",
        ),
        (["--group", "mail"], ""),
        (["--group", ""], ""),
    ],
)
def test_the_nearest_name(lite: Site, flags: Sequence[str], line: str) -> None:
    for style in ("table", "json", "csv", "ids", "count"):
        done = lite("list", *flags, "--format", style)
        assert (done.code, done.err) == (0, line)


def test_a_name_that_is_like_no_other(lite: Site) -> None:
    """A program may ask for what is not there just now; people are told."""
    flags = ("--hook", "zzz", "--group", "qqq")
    assert lite("list", *flags).err == "no hook `zzz`\nno group `qqq`\n"
    for told in (
        ["list", "--format", "ids"],
        ["list", "--field", "id"],
        ["stats", "--format", "csv"],
    ):
        assert lite.ok(*told, *flags) in {
            "\n",
            "",
            "name,pending,in-progress,complete,failed,canceled,total,due,oldest_due,held,capped\n",
        }
    assert lite("cancel", *flags).err == "no hook `zzz`\nno group `qqq`\n"
    assert lite("cancel", *flags, "--porcelain").err == ""


def test_a_pattern_that_describes_nothing(lite: Site) -> None:
    clean = ("clean", "--before", "-1d", "--dry-run", "--hook", "send_*")
    assert lite(*clean, "--hook", "sned_*").err == "no hook matches `sned_*`\n"
    for quiet in ("--quiet", "--format=json"):
        assert lite(*clean, "--hook", "sned_*", quiet).err == ""
    assert lite(*clean).err == ""


def test_what_is_no_text_is_refused_in_one_line(lite: Site) -> None:
    for told in ("list", "stats", "failures", "cancel", "dedupe", "clean"):
        for flag in ("--hook", "--group"):
            assert is_one_line(lite(told, flag, "a\udcff"), 2), (told, flag)


def test_a_long_name_is_cut(lite: Site) -> None:
    assert lite("list", "--hook", "x" * 5000).err == f"no hook `{'x' * 191}…`\n"


def test_in_a_queue_without_groups_a_group_is_named_too(empty: Site) -> None:
    now = SystemClock().now()
    insert(empty.store, make_new("send_mail", now=now), now=now)
    for told in ("list", "stats", "failures"):
        done = empty(*told.split(), "--group", "mial")
        assert (done.code, "no group `mial`\n" in done.err) == (0, True), told
    done = empty("pause", "--group", "mial")
    assert (done.code, "no action has it yet" in done.out) == (0, True)
    # A program may ask for what is not there yet.
    assert not empty("list", "--group", "mial", "--format", "json").err


def test_in_a_new_queue_all_names_are_new(empty: Site) -> None:
    for told in ("list", "stats", "pause"):
        empty.ok(told, "--hook", "send_mail", "--group", "mail")


def test_too_many_hooks_to_step_over(lite: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inventory, "MOST_HOOKS", 2)
    assert lite("list", "--hook", "send_mial").err == "no hook `send_mial`\n"
    assert lite.ok("list", "--hook", "send_mial", "--format", "ids") == "\n"


def test_without_its_index_nothing_is_said_of_hooks(lite: Site) -> None:
    names = query(lite.store, "SELECT name FROM sqlite_master WHERE type = 'index'")
    for (name,) in names:
        if "hook" in str(name):
            change(lite.store, f"DROP INDEX {name}")
    assert lite("list", "--hook", "send_mial").err == ""
    assert lite("list", "--group", "mial").err == GROUP


def test_stats_count_only_what_is_meant(site: Site) -> None:
    def counted(*flags: str) -> dict[str, int]:
        rows = json.loads(site.ok("stats", *flags, "--format", "json"))
        return {row["name"]: row["total"] for row in rows if row["total"]}

    assert counted("--hook", "send_mail") == {"send_mail": 2}
    assert counted("--hook", "send_mail", "--group", "Bulk") == {}
    assert counted("--hook", "send_mail", "--hook", "Sync_Stock") == {
        "send_mail": 2,
        "Sync_Stock": 1,
    }
    assert counted("--by", "group", "--hook", "send_mail", "--hook", "caffè") == {"mail": 2, "": 1}
    assert counted("--by", "status", "--group", "mail") == {"pending": 2}
    assert counted("--by", "status", "--group=") == {"pending": 1}
    change(
        site.store,
        "UPDATE wp_actionscheduler_actions SET status = 'complete', last_attempt_gmt = :now"
        " WHERE hook = 'send_mail'",
        now=SystemClock().now().strftime("%Y-%m-%d %H:%M:%S"),
    )
    assert sum(counted("--by", "hour", "--hook", "send_mail").values()) == 2
    assert sum(counted("--by", "hour", "--hook", "caffè").values()) <= 1
    assert site("stats", "--hook", "").code == 2
