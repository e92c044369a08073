"""``clean``, ``dedupe`` and ``release-claims``: what goes, what stays, and what is said."""

import json
import re
from datetime import timedelta
from typing import Any

import pytest

from cli_helpers import Site, is_one_line, tables
from factories import insert, make_new
from rows import change, column, log_of, query
from wpbridge.clock import SystemClock, to_text
from wpbridge.store.base import ClaimFilter
from wpbridge.store.rows import inventory

ACTIONS = "wp_actionscheduler_actions"
DAY = 86400.0
NOTHING_MEANT = "nothing is meant: there is no such hook, or a rule keeps its actions\n"


def add(
    site: Site,
    hook: str,
    *,
    days: float | None = None,
    status: str = "pending",
    count: int = 1,
    **more: Any,
) -> list[int]:
    """Actions whose last attempt was so many days ago."""
    now = SystemClock().now()
    new = [make_new(hook, now=now, **more) for _ in range(count)]
    ids = [int(i) for i in insert(site.store, *new, now=now)]
    date = "0000-00-00 00:00:00" if days is None else to_text(now - timedelta(days=days))
    change(
        site.store,
        f"UPDATE {ACTIONS} SET status = :status, last_attempt_gmt = :date WHERE action_id >= :i",
        status=status,
        date=date,
        i=ids[0],
    )
    return ids


def left(site: Site) -> list[int]:
    rows = query(site.store, f"SELECT action_id FROM {ACTIONS} ORDER BY action_id")
    return [int(str(row[0])) for row in rows]


def settings(site: Site, text: str) -> None:
    (site.folder / "wpbridge.toml").write_text(text, encoding="utf-8")


# Clean


@pytest.fixture
def old(site: Site) -> Site:
    add(site, "a", status="complete", days=32)
    add(site, "a", status="complete", days=30)
    add(site, "b", status="canceled", days=32, group="g")
    add(site, "b", status="failed", days=94)
    add(site, "b", status="failed", days=32)
    add(site, "c", status="pending", days=400)
    add(site, "c", status="in-progress", days=400)
    add(site, "c", status="complete")
    return site


@pytest.mark.parametrize(
    ("flags", "gone"),
    [
        ([], [1, 3, 8]),
        (["--status", "failed"], [4]),
        (["--status", "failed,complete"], [1, 4, 8]),
        (["--status", "canceled", "--status", "failed"], [3, 4]),
        (["--older-than", "29d"], [1, 2, 3, 8]),
        (["--older-than", "0"], [1, 2, 3, 8]),
        (["--status", "failed", "--older-than", "31d"], [4, 5]),
        (["--before", "-31d"], [1, 3, 8]),
        (["--before", "2001-01-01"], [8]),
        (["--hook", "a"], [1]),
        (["--hook", "a", "--hook", "c"], [1, 8]),
        (["--hook", "?", "--older-than", "1d"], [1, 2, 3, 8]),
        (["--hook", "*"], [1, 3, 8]),
        (["--hook", "[ab]"], []),
        (["--hook", "nobody"], []),
        (["--group", "g"], [3]),
        (["--group", ""], [1, 8]),
        (["--group", "nobody"], []),
    ],
    ids=str,
)
def test_clean_deletes_what_the_rule_says_and_its_logs(
    old: Site, flags: list[str], gone: list[int]
) -> None:
    before = tables(old.store)
    dry = json.loads(old("clean", *flags, "--dry-run", "--format", "json").out)
    assert (dry["dry_run"], dry["count"]) == (True, len(gone))
    assert tables(old.store) == before
    done = json.loads(old("clean", *flags, "--format", "json").out)
    assert (done["dry_run"], done["count"]) == (False, len(gone))
    assert left(old) == [i for i in range(1, 9) if i not in gone]
    logs = query(old.store, "SELECT DISTINCT action_id FROM wp_actionscheduler_logs ORDER BY 1")
    assert [row[0] for row in logs] == left(old)


def test_clean_says_what_it_does(old: Site) -> None:
    dry = old.ok("clean", "--dry-run").splitlines()
    assert [line.rsplit(" ", 1)[0] for line in dry] == [
        "would delete 2 complete, last attempt until",
        "would delete 1 canceled, last attempt until",
    ]
    done = old.ok("clean").splitlines()[0]
    assert re.match(r"deleted 2 complete, last attempt until \d{4}-\d\d-\d\d", done)
    assert old.ok("clean").splitlines()[0].startswith("deleted 0 complete")
    nothing = old("clean", "--hook", "x*")
    assert (nothing.code, nothing.out, nothing.err) == (0, "", NOTHING_MEANT)


RULES = """
[[retention]]
hook = "keep_*"
keep = "forever"

[[retention]]
hook = "short_*"
status = "complete"
keep = "1h"

[[retention]]
hook = "[x]"
keep = "1d"

[[retention]]
status = "failed"
keep = "7d"
"""


def test_retention_rules_go_first(site: Site) -> None:
    settings(site, RULES)
    kept = [
        *add(site, "keep_this", status="complete", days=400),
        *add(site, "keep_this", status="failed", days=400),
        *add(site, "short_run", status="complete", days=0.02),
        *add(site, "short_run", status="canceled", days=2),
        *add(site, "x", status="complete", days=2),
        *add(site, "other", status="failed", days=6),
    ]
    gone = [
        *add(site, "short_run", status="complete", days=0.1),
        *add(site, "[x]", status="complete", days=2),
        *add(site, "other", status="failed", days=8),
        *add(site, "other", status="complete", days=32),
        *add(site, "short_run", status="canceled", days=32),
    ]
    dry = json.loads(site.ok("clean", "--dry-run", "--format", "json"))
    assert dry["count"] == len(gone)
    site.ok("clean")
    assert left(site) == kept


def test_retention_rules_can_be_narrowed_and_flags_go_before_them(site: Site) -> None:
    settings(site, RULES)
    add(site, "keep_this", status="complete", days=400)
    add(site, "other", status="failed", days=8)
    add(site, "other", status="complete", days=32)
    assert (
        json.loads(site.ok("clean", "--dry-run", "--status", "failed", "--format", "json"))["count"]
        == 1
    )
    assert (
        json.loads(site.ok("clean", "--dry-run", "--hook", "other", "--format", "json"))["count"]
        == 2
    )
    kept = site("clean", "--dry-run", "--hook", "keep_*", "--format", "json")
    assert (json.loads(kept.out)["count"], kept.err) == (0, NOTHING_MEANT)
    told = json.loads(site.ok("clean", "--dry-run", "--older-than", "1d", "--format", "json"))
    assert [(rule["status"], rule["count"]) for rule in told["rules"]] == [
        ("complete", 2),
        ("canceled", 0),
    ]


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ('keep = "soon"', "keep is a time"),
        ('status = "pending"\nkeep = "1d"', "status is complete, failed or canceled"),
        ('hok = "x"\nkeep = "1d"', "did you mean hook?"),
        ('hook = ""\nkeep = "1d"', "hook is a text"),
        ('hook = "x"', "keep is a time"),
    ],
)
def test_a_retention_rule_that_cannot_be_read(lite: Site, rule: str, words: str) -> None:
    settings(lite, f"[[retention]]\n{rule}\n")
    done = lite("clean", "--dry-run")
    assert is_one_line(done, 78)
    assert words in done.err
    assert "retention 1" in done.err


def test_batches_are_small_and_can_be_limited(site: Site) -> None:
    add(site, "a", status="complete", days=40, count=7)
    add(site, "a", status="canceled", days=40, count=7)
    flags = ("clean", "--batch-size", "3", "--format", "json", "--yes")
    told = json.loads(site.ok(*flags, "--batches", "2"))
    assert [(rule["status"], rule["count"]) for rule in told["rules"]] == [
        ("complete", 6),
        ("canceled", 0),
    ]
    told = json.loads(site.ok(*flags, "--batches", "3"))
    assert [rule["count"] for rule in told["rules"]] == [1, 6]
    assert json.loads(site.ok(*flags))["count"] == 1
    assert left(site) == []


def test_the_longest_ended_go_first(site: Site) -> None:
    newer = add(site, "a", status="complete", days=40)
    older = add(site, "a", status="complete", days=50)
    site.ok("clean", "--batch-size", "1", "--batches", "1")
    assert left(site) == newer
    assert older


def test_clean_asks_about_more_than_twenty(lite: Site) -> None:
    add(lite, "a", status="complete", days=40, count=11)
    add(lite, "a", status="canceled", days=40, count=10)
    before = tables(lite.store)
    done = lite("clean")
    assert is_one_line(done, 2)
    assert done.err == "wpbridge: delete 21 actions: add --yes, or --dry-run to see which\n"
    assert tables(lite.store) == before
    assert lite.ok("clean", "--status", "complete").startswith("deleted 11 complete")
    no = lite.terminal("clean", "--older-than", "1d", answer="n")
    assert no.code == 0
    add(lite, "a", status="complete", days=40, count=21)
    asked = lite.terminal("clean", "--status", "complete", answer="n")
    assert (asked.code, "delete 21 actions? [y/N]" in asked.out) == (1, True)
    assert lite.terminal("clean", "--status", "complete", answer="y").code == 0
    assert left(lite) == []


def test_exactly_named_hooks_need_no_inventory(lite: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inventory, "MOST_HOOKS", 2)
    for hook in ("a", "b", "c", "d"):
        add(lite, hook, status="complete", days=40)
    refused = lite("clean", "--hook", "a*")
    assert is_one_line(refused, 2)
    assert "name them exactly" in refused.err
    assert lite.ok("clean", "--hook", "a").startswith("deleted 1 complete")
    settings(lite, '[[retention]]\nhook = "b"\nkeep = "1d"\n')
    assert json.loads(lite.ok("clean", "--format", "json"))["count"] == 3
    assert left(lite) == []


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--status", "pending"], "'pending' is none of complete, failed, canceled"),
        (["--status", ""], "'' is none of"),
        (["--older-than", "7d", "--before", "now"], "--older-than and --before"),
        (["--older-than", "old"], "--older-than"),
        (["--older-than", "999999d"], "--older-than"),
        (["--before", "tomorrow"], "--before"),
        (["--before", "+1d"], "not past"),
        (["--batch-size", "0"], "--batch-size"),
        (["--batches", "-1"], "--batches"),
        (["--pause", "a while"], "--pause"),
        (["--pause", "9999d"], "--pause"),
        (["--orphan-logs", "--hook", "a"], "--orphan-logs"),
        (["--orphan-logs", "--status", "failed"], "--orphan-logs"),
        (["--orphan-logs", "--older-than", "1d"], "--orphan-logs"),
        (["--format", "csv"], "'csv'"),
    ],
    ids=str,
)
def test_clean_refuses(lite: Site, flags: list[str], words: str) -> None:
    add(lite, "a", status="complete", days=400)
    before = tables(lite.store)
    done = lite("clean", *flags)
    assert is_one_line(done, 2), done
    assert words in done.err
    assert tables(lite.store) == before


def test_orphan_logs_go_and_others_stay(site: Site) -> None:
    kept = add(site, "a", count=3)
    gone = add(site, "b", count=4)
    change(site.store, f"DELETE FROM {ACTIONS} WHERE hook = 'b'")
    before = tables(site.store)
    assert (
        site.ok("clean", "--orphan-logs", "--dry-run")
        == "would delete 4 log rows whose action is gone\n"
    )
    assert tables(site.store) == before
    told = json.loads(site.ok("clean", "--orphan-logs", "--format", "json"))
    assert told == {"dry_run": False, "count": 4}
    assert [log_of(site.store, i) for i in kept] == [["action created"]] * 3
    assert [log_of(site.store, i) for i in gone] == [[]] * 4
    assert site.ok("clean", "--orphan-logs") == "deleted 0 log rows whose action is gone\n"


def test_many_orphan_logs_are_asked_about(lite: Site) -> None:
    add(lite, "b", count=21)
    change(lite.store, f"DELETE FROM {ACTIONS}")
    before = tables(lite.store)
    done = lite("clean", "--orphan-logs")
    assert is_one_line(done, 2)
    assert done.err.startswith("wpbridge: delete 21 log rows: add --yes")
    assert tables(lite.store) == before
    assert (
        lite.ok("clean", "--orphan-logs", "--yes") == "deleted 21 log rows whose action is gone\n"
    )


# Dedupe


def chain(site: Site, hook: str, **more: Any) -> int:
    return add(site, hook, **{"interval": 3600, **more})[0]


def test_dedupe_keeps_the_one_that_is_due_first(site: Site) -> None:
    late = chain(site, "h", due_in=900.0)
    first = chain(site, "h", due_in=60.0)
    later = chain(site, "h", due_in=300.0)
    before = tables(site.store)
    assert site.ok("dedupe", "--dry-run") == (
        f"h: keeps {first}, ends {later} {late}\nwould cancel 2 actions\n"
    )
    told = json.loads(site.ok("dedupe", "--dry-run", "--format", "json"))
    assert told == {
        "dry_run": True,
        "count": 2,
        "chains": [{"hook": "h", "keep": first, "cancel": [later, late]}],
    }
    assert tables(site.store) == before
    assert site.ok("dedupe") == f"h: keeps {first}, ends {later} {late}\ncanceled 2 actions\n"
    states = [column(site.store, "status", i) for i in (late, first, later)]
    assert states == ["canceled", "pending", "canceled"]
    assert log_of(site.store, late)[-1] == (
        f"action canceled via wpbridge: duplicate of action {first}, which goes on"
    )
    assert site.ok("dedupe") == "canceled 0 actions\n"


def test_what_differs_is_no_duplicate(site: Site) -> None:
    for more in (
        {},
        {"args": (1,)},
        {"args": (2,)},
        {"group": "g"},
        {"interval": 60},
        {"interval": None},
        {"interval": None},
    ):
        chain(site, "h", **more)
    chain(site, "other")
    for flags in (
        ["--cron", "0 3 * * *"],
        ["--cron", "0 4 * * *"],
        ["--cron", "0 3 * * *", "--tz", "Asia/Tokyo"],
        ["--cron", "0 3 * * *", "--tz", "Europe/Rome"],
        ["--interval", "3600", "--after", "1"],
    ):
        site.ok("enqueue", "h", *flags)
    ended = chain(site, "h")
    change(site.store, f"UPDATE {ACTIONS} SET status = 'complete' WHERE action_id = :i", i=ended)
    assert site.ok("dedupe") == "canceled 0 actions\n"
    site.ok("enqueue", "h", "--cron", "0 3 * * *", "--tz", "Asia/Tokyo")
    (found,) = json.loads(site.ok("dedupe", "--format", "json"))["chains"]
    assert (found["keep"], found["cancel"]) == (11, [15])


def test_dedupe_of_some_hooks_and_groups(site: Site) -> None:
    for hook, group in (("a", ""), ("a", "g"), ("b", "g")):
        for _ in range(2):
            chain(site, hook, group=group)
    for flags, count in (
        ([], 3),
        (["--hook", "a"], 2),
        (["--group", "g"], 2),
        (["--hook", "a", "--group", "g"], 1),
    ):
        told = json.loads(site.ok("dedupe", *flags, "--dry-run", "--format", "json"))
        assert told["count"] == count, flags


def test_dedupe_asks_about_more_than_twenty(lite: Site) -> None:
    add(lite, "h", interval=60, count=22)
    done = lite("dedupe")
    assert is_one_line(done, 2)
    assert done.err == "wpbridge: cancel 21 actions: add --yes, or --dry-run to see which\n"
    assert lite.store.counts() == {"pending": 22}
    assert lite.ok("dedupe", "--yes").endswith("canceled 21 actions\n")
    assert lite.store.counts() == {"pending": 1, "canceled": 21}


def test_a_runaway_chain_of_thousands(site: Site) -> None:
    add(site, "h", interval=60, count=2600)
    told = json.loads(site.ok("dedupe", "--yes", "--format", "json"))
    assert told["count"] == 2599
    assert site.store.counts() == {"pending": 1, "canceled": 2599}


# Claims


@pytest.fixture
def held(site: Site) -> Site:
    """Claims of PHP: 1 lives, 2 is stale, 3 and 4 are empty, 5 runs; 9 has no row."""
    now = SystemClock().now()
    for claim, seconds in ((1, 10.0), (2, 900.0), (3, 2 * DAY), (4, 10.0), (5, 900.0)):
        change(
            site.store,
            "INSERT INTO wp_actionscheduler_claims (claim_id, date_created_gmt) VALUES (:c, :d)",
            c=claim,
            d=to_text(now - timedelta(seconds=seconds)),
        )
    for claim, days, states in (
        (1, 10 / DAY, ["pending"]),
        (2, 900 / DAY, ["pending", "pending"]),
        (5, 900 / DAY, ["in-progress"]),
        (9, 900 / DAY, ["pending"]),
    ):
        for state in states:
            (action_id,) = add(site, f"h{claim}", status=state, days=days)
            change(
                site.store,
                f"UPDATE {ACTIONS} SET claim_id = :c WHERE action_id = :i",
                c=claim,
                i=action_id,
            )
    return site


def claimed(site: Site) -> dict[int, int]:
    rows = query(site.store, f"SELECT action_id, claim_id FROM {ACTIONS} WHERE claim_id > 0")
    return {int(str(row[0])): int(str(row[1])) for row in rows}


def claim_rows(site: Site) -> list[int]:
    rows = query(site.store, "SELECT claim_id FROM wp_actionscheduler_claims ORDER BY 1")
    return [int(str(row[0])) for row in rows]


def test_stale_claims_are_freed_and_live_ones_left(held: Site) -> None:
    before = tables(held.store)
    dry = held("release-claims", "--stale", "--dry-run")
    assert (dry.code, dry.out) == (0, "would free 3 actions, would drop 0 empty claims\n")
    assert tables(held.store) == before
    done = held("release-claims", "--stale", "--format", "json")
    told = json.loads(done.out)
    assert (told["dry_run"], told["actions"], set(told["left"])) == (False, [2, 3, 5], {"1", "5"})
    assert claimed(held) == {1: 1, 4: 5}
    assert claim_rows(held) == [1, 3, 4, 5]
    assert log_of(held.store, 2)[-1] == "action reset"


def test_why_a_claim_is_left_is_told(held: Site) -> None:
    done = held("release-claims", "1", "2", "5")
    assert done.code == 1
    assert done.out == "freed 2 actions, dropped 0 empty claims\n"
    first, second = done.err.splitlines()
    assert first.startswith("claim 1 left as it is: its holder gave a sign ")
    assert second == (
        "claim 5 left as it is: its actions run, or died running: the plugin's cleaner fails them"
    )
    assert held("release-claims", "9").code == 0
    assert claimed(held) == {1: 1, 4: 5}


def test_empty_claims_go_when_they_are_as_old_as_the_plugins_timeout(held: Site) -> None:
    assert held.ok("release-claims", "--empty", "--dry-run") == (
        "would free 0 actions, would drop 1 empty claim\n"
    )
    assert held.ok("release-claims", "--empty") == "freed 0 actions, dropped 1 empty claim\n"
    assert claim_rows(held) == [1, 2, 4, 5]
    young = held("release-claims", "4")
    assert (young.code, young.err) == (
        1,
        "claim 4 left as it is: it is younger than 300 s, so a runner may be about to use it\n",
    )


def test_claims_of_our_runners_are_left(site: Site) -> None:
    now = SystemClock().now()
    insert(site.store, make_new("h", now=now), now=now)
    site.store.register(host="elsewhere", boot="b", pid=4711, pid_started="1")
    claim = site.store.claim_due(now=now, limit=5, only=ClaimFilter())
    assert claim is not None
    change(site.store, f"UPDATE {ACTIONS} SET last_attempt_gmt = '2026-01-01 00:00:00'")
    done = site("release-claims", str(claim.id))
    assert done.code == 1
    assert "a wpbridge runner holds it" in done.err
    assert len(claimed(site)) == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "name claims, or give --stale or --empty"),
        (["777"], "there is no claim 777"),
        (["1", "777", "778"], "there is no claim 777, 778"),
        (["x"], "'x' is no claim id"),
        (["0"], "'0' is no claim id"),
        ([""], "'' is no claim id"),
        (["9" * 5000], "is no claim id"),
    ],
)
def test_release_claims_refuses(held: Site, arguments: list[str], words: str) -> None:
    before = tables(held.store)
    done = held("release-claims", *arguments)
    assert is_one_line(done, 2), done
    assert words in done.err
    assert tables(held.store) == before
