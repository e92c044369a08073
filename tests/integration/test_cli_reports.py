"""``stats``, ``failures`` and ``claims``: whether the numbers are right."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cli_helpers import Site, is_one_line
from factories import bucketed, insert, make_new
from rows import change
from wpbridge.clock import SystemClock, to_text
from wpbridge.store.base import ClaimFilter
from wpbridge.store.rows.stats import Count
from wpbridge.telling.metrics import DURATION_BOUNDS

ACTIONS = "wp_actionscheduler_actions"


def add(
    site: Site, hook: str, *, ago: float | None = None, status: str = "pending", **more: Any
) -> int:
    """An action whose last attempt was ``ago`` seconds ago."""
    now = SystemClock().now()
    action_id = int(insert(site.store, make_new(hook, now=now, **more), now=now)[0])
    set_(site, action_id, status=status)
    if ago is not None:
        set_(site, action_id, last_attempt_gmt=to_text(now - timedelta(seconds=ago)))
    return action_id


def set_(site: Site, action_id: int, **columns: object) -> None:
    parts = ", ".join(f"{name} = :{name}" for name in columns)
    change(site.store, f"UPDATE {ACTIONS} SET {parts} WHERE action_id = :i", i=action_id, **columns)


def fail(site: Site, hook: str, message: str, *, ago: float = 60.0) -> int:
    action_id = add(site, hook, status="failed", ago=ago)
    say(site, action_id, message, ago=ago)
    return action_id


def say(site: Site, action_id: int, message: str, *, ago: float = 0.0) -> None:
    date = to_text(SystemClock().now() - timedelta(seconds=ago))
    change(
        site.store,
        "INSERT INTO wp_actionscheduler_logs (action_id, message, log_date_gmt, log_date_local)"
        " VALUES (:i, :message, :date, :date)",
        i=action_id,
        message=message,
        date=date,
    )


def rows(site: Site, *arguments: str) -> list[dict[str, Any]]:
    found = json.loads(site.ok(*arguments, "--format", "json"))
    assert isinstance(found, list)
    return found


# Stats


@pytest.fixture
def counted(site: Site) -> Site:
    for _ in range(3):
        add(site, "mail", group="shop")
    add(site, "mail", due_in=3600.0)
    add(site, "mail", status="in-progress")
    add(site, "sync", status="complete", ago=30.0)
    add(site, "sync", status="failed", group="shop", ago=10_000.0)
    add(site, "sync", status="canceled", ago=90000.0)
    add(site, "odd", status="my-own")
    return site


def test_stats_by_hook(counted: Site) -> None:
    mail, sync, odd = rows(counted, "stats")
    assert [row["name"] for row in (mail, sync, odd)] == ["mail", "sync", "odd"]
    assert (mail["pending"], mail["in-progress"], mail["total"], mail["due"]) == (4, 1, 5, 3)
    assert (sync["complete"], sync["failed"], sync["canceled"], sync["total"]) == (1, 1, 1, 3)
    assert (sync["due"], sync["oldest_due"]) == (0, None)
    assert (odd["other"], odd["total"]) == (1, 1)
    oldest = datetime.fromisoformat(mail["oldest_due"])
    assert timedelta(seconds=55) < datetime.now(UTC) - oldest < timedelta(seconds=120)


def test_the_columns_of_stats_for_programs_do_not_depend_on_the_rows(counted: Site) -> None:
    def heads() -> tuple[str, str]:
        lines = [counted.ok("stats", *more).splitlines()[0] for more in ((), ("--format", "csv"))]
        return lines[0], lines[1]

    table, for_programs = heads()
    assert "held" not in table
    counted.store.parts.held.tell({"mail"})
    assert heads() == (f"{table}\theld", for_programs)


def test_a_number_at_the_cap_says_so_and_exact_ones_are_to_be_had(
    counted: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    for command in ("reports", "status", "actions"):
        monkeypatch.setattr(f"wpbridge.cli.{command}.CAP", 2)
    stats = counted("stats")
    mail = stats.out.splitlines()[1].split("\t")
    assert mail[:7] == ["mail", "2+", "1", "0", "0", "0", "3+"]
    words = "counted up to 2, which means so many or more; --exact counts them all\n"
    assert stats.err == counted("stats", "--field", "pending").err == words
    found = json.loads(counted("stats", "--format", "json").out)
    capped = {row["name"]: row["capped"] for row in found}
    assert capped == {"mail": ["pending", "total", "due", "held"], "sync": [], "odd": []}
    assert (found[0]["pending"], found[0]["total"]) == (2, 3)
    assert rows(counted, "stats", "--exact")[0]["capped"] == []
    assert counted("stats", "--exact").err == ""
    assert "pending               2+\n" in counted.ok("status")
    assert "failed                1\n" in counted.ok("status")
    status = json.loads(counted.ok("status", "--format", "json"))
    assert (status["counts"]["pending"], status["due"]) == (2, 2)
    assert (status["capped"], status["due_is_capped"]) == (["pending", "due"], True)
    status = json.loads(counted.ok("status", "--format", "json", "--exact"))
    assert (status["counts"]["pending"], status["capped"]) == (4, [])
    assert counted("list", "--limit", "1").err == "showing 1 of 2+; --limit 0 for all\n"
    assert counted("list", "--limit", "5").err == "showing 5 of 6+; --limit 0 for all\n"
    assert counted("list", "--limit", "1", "--exact").err.startswith("showing 1 of 9;")
    assert counted.ok("list", "--format", "count") == "9\n"


def test_stats_by_group_and_by_status(counted: Site) -> None:
    none, shop = rows(counted, "stats", "--by", "group")
    assert (none["name"], none["total"], none["due"]) == ("", 5, 0)
    assert (shop["name"], shop["total"], shop["pending"], shop["failed"]) == ("shop", 4, 3, 1)
    told = {row["name"]: row["total"] for row in rows(counted, "stats", "--by", "status")}
    assert told == {
        "pending": 4,
        "in-progress": 1,
        "complete": 1,
        "failed": 1,
        "canceled": 1,
        "my-own": 1,
    }


def test_stats_by_hour_count_endings_and_what_is_planned(counted: Site) -> None:
    before = datetime.now(UTC)
    hours = rows(counted, "stats", "--by", "hour")
    last = [at.strftime("%Y-%m-%dT%H:00Z") for at in (before, datetime.now(UTC))]
    assert len(hours) == 25
    assert [row["name"] for row in hours] == sorted(row["name"] for row in hours)
    assert hours[-1]["name"] in last
    assert sum(row["complete"] for row in hours) == 1
    assert sum(row["failed"] for row in hours) == 1
    assert sum(row["canceled"] for row in hours) == 0
    assert len(rows(counted, "stats", "--by", "hour", "--hours", "48")) == 49
    assert (
        sum(row["canceled"] for row in rows(counted, "stats", "--by", "hour", "--hours", "48")) == 1
    )
    assert sum(row["failed"] for row in rows(counted, "stats", "--by", "hour", "--hours", "1")) == 0


def test_stats_since_tell_what_ended_in_every_format(lite: Site) -> None:
    empty = lite("stats", "--by", "hour", "--since", "-30d")
    assert (empty.code, empty.out.split()[:2]) == (0, ["name", "complete"])
    assert "nothing was counted" in empty.err
    begin = SystemClock().now().replace(second=0, microsecond=0)
    lite.store.parts.own.ensure(lite.store.names.stats)
    lite.store.parts.stats.add(
        [
            Count(
                begin=begin,
                hook="mail",
                group_id=0,
                outcome=outcome,
                actions=4,
                durations=tuple(4 * n for n in bucketed(2.0, DURATION_BOUNDS)),
            )
            for outcome in ("complete", "retried")
        ]
    )
    since = ("stats", "--since", "-30d", "--by")
    [hour] = rows(lite, *since, "hour")
    assert (hour["name"], hour["complete"]) == (f"{begin:%Y-%m-%dT%H}:00Z", 4)
    [hook] = rows(lite, *since, "hook")
    assert (hook["name"], hook["retried"], hook["duration_p50"]) == ("mail", 4, 1.75)
    assert hook["wait_p99"] is None
    assert lite(*since, "hook", "--hook", "other", "--format", "count").out == "0\n"
    table = lite.ok(*since, "hour").splitlines()
    assert table[1].split("\t")[0] == f"{begin:%Y-%m-%dT%H}:00Z"
    for style in ("csv", "jsonl", "yaml", "ids", "count"):
        assert lite.ok(*since, "hook", "--format", style)
    assert lite.ok(*since, "hook", "--field", "retried") == "4\n"
    assert lite.ok(*since, "hook", "--fields", "name,complete", "--format", "csv").splitlines() == [
        "name,complete",
        "mail,4",
    ]


@pytest.mark.parametrize(
    "flags",
    [
        ["--by", "week"],
        ["--hours", "0"],
        ["--hours", "x"],
        ["--hours", "999999"],
        ["--hook", ""],
        ["--since", "soon"],
        ["--since", "2999-01-01"],
        ["--since", "1d", "--by", "status"],
        ["--since", "1d", "--by", "hour", "--hours", "3"],
    ],
)
def test_stats_refuse(lite: Site, flags: list[str]) -> None:
    assert is_one_line(lite("stats", *flags), 2)


# Failures


def test_like_failures_stand_together(site: Site) -> None:
    now = datetime.now(UTC)
    fail(site, "mail", "action failed via WP Cron: no order 4711 (0xdeadbeef)", ago=7200.0)
    fail(site, "mail", "action failed via wpbridge: no order 17 (0xcafe)", ago=60.0)
    fail(site, "sync", "action failed via Async Request: no order 23 (0x1)", ago=600.0)
    fail(site, "sync", "action failed via wpbridge: timed out after 30 seconds")
    add(site, "fine", status="complete")
    alike, other = rows(site, "failures")
    assert (alike["count"], alike["hooks"], alike["ids"]) == (3, ["mail", "sync"], [2, 3, 1])
    assert alike["sample"] == "action failed via wpbridge: no order 17 (0xcafe)"
    assert now - datetime.fromisoformat(alike["first"]) > timedelta(hours=1)
    assert now - datetime.fromisoformat(alike["last"]) < timedelta(minutes=5)
    assert (other["count"], other["ids"]) == (1, [4])
    head, *lines = site.ok("failures").splitlines()
    assert head.split("\t") == ["count", "first", "last", "hooks", "fingerprint", "sample"]
    assert [line.split("\t")[0] for line in lines] == ["3", "1"]
    assert lines[0].split("\t")[3] == '["mail","sync"]'


def test_failures_take_filters(site: Site) -> None:
    fail(site, "mail", "action failed: a", ago=90000.0)
    fail(site, "mail", "action failed: b")
    fail(site, "sync", "action failed: c")
    for flags, ids in (
        (["--hook", "mail"], [1, 2]),
        (["--modified-since", "-1h"], [2, 3]),
        (["--hook", "mail", "--modified-since", "-1h"], [2]),
        (["--status", "failed"], [1, 2, 3]),
        (["--search", "nothing"], []),
    ):
        told = rows(site, "failures", *flags)
        assert sorted(i for row in told for i in row["ids"]) == ids
    refused = site("failures", "--status", "complete")
    assert is_one_line(refused, 2)
    assert "these are the failed ones" in refused.err


def test_open_failures_and_when_they_failed(site: Site) -> None:
    """A date or an age; by when it failed, while --since goes by when it was due."""
    fail(site, "mail", "action failed: a", ago=3 * 86_400.0)
    fail(site, "mail", "action failed: b", ago=7200.0)
    fail(site, "sync", "action failed: c", ago=60.0)
    yesterday = (datetime.now(UTC) - timedelta(days=1)).strftime("%Y-%m-%dT%H:%M")
    for flags, ids in (
        ("", [1, 2, 3]),
        ("--since -1d", [1, 2, 3]),
        ("--failed-since 1d", [2, 3]),
        ("--failed-since -1d", [2, 3]),
        (f"--failed-since {yesterday}", [2, 3]),
        ("--failed-since 1h", [3]),
        ("--failed-since 1h30m --hook mail", []),
        ("--failed-since 1w --hook mail", [1, 2]),
        ("--failed-since now", []),
        ("--open", [1, 2, 3]),
    ):
        told = rows(site, "failures", *flags.split())
        assert sorted(i for row in told for i in row["ids"]) == ids, flags
    site.ok("requeue", "2")
    assert sorted(i for row in rows(site, "failures", "--open") for i in row["ids"]) == [1, 3]
    assert rows(site, "failures", "--open", "--failed-since", "3h", "--hook", "mail") == []
    for wrong in ("soon", "", "1x", "yesterday", "99999999999d"):
        refused = site("failures", "--failed-since", wrong)
        assert "no age such as 2h or 1d" in refused.err, wrong
        assert is_one_line(refused, 2), wrong
        assert "--failed-since" in refused.err


def test_the_newest_failures_are_looked_at(site: Site) -> None:
    for n in range(4):
        fail(site, "mail", "action failed: x", ago=100.0 - n)
    done = site("failures", "--limit", "3", "--format", "json")
    (row,) = json.loads(done.out)
    assert (row["count"], row["ids"]) == (3, [4, 3, 2])
    assert done.err == "of the newest 3 failed actions; --limit for more\n"
    assert site("failures", "--limit", "4").err == ""


def test_the_message_that_says_why_is_taken(site: Site) -> None:
    action_id = add(site, "mail", status="failed", ago=60.0)
    say(site, action_id, "action started via WP Cron")
    say(site, action_id, "action failed via WP Cron: why")
    say(site, action_id, "action requeued via wpbridge as action 9")
    silent = add(site, "mail", status="failed", ago=60.0)
    change(site.store, "DELETE FROM wp_actionscheduler_logs WHERE action_id = :i", i=silent)
    told = {row["fingerprint"]: row["sample"] for row in rows(site, "failures")}
    assert "action failed via WP Cron: why" in told.values()
    assert told["(no message)"] == ""


def test_a_long_message_is_cut_and_its_controls_are_harmless(site: Site) -> None:
    fail(site, "mail", "action failed: \x1b[31m\n" + "é" * 5000)
    (row,) = rows(site, "failures")
    assert len(row["sample"]) == 300
    assert "\x1b" not in site.ok("failures")
    assert len(site.ok("failures").splitlines()) == 2


# Claims


@pytest.fixture
def held(site: Site) -> Site:
    """Claims of PHP, live and dead, one of ours, one without anything."""
    now = SystemClock().now()
    for claim, ago in ((1, 10.0), (2, 900.0), (3, 100_000.0)):
        change(
            site.store,
            "INSERT INTO wp_actionscheduler_claims (claim_id, date_created_gmt) VALUES (:c, :d)",
            c=claim,
            d=to_text(now - timedelta(seconds=ago)),
        )
    for claim, ago in ((1, 10.0), (2, 900.0), (9, 900.0)):
        for state in ("pending", "pending", "in-progress"):
            set_(site, add(site, f"h{claim}", status=state, ago=ago), claim_id=claim)
    return site


def test_claims_tell_who_holds_what(held: Site) -> None:
    done = held("claims", "--format", "json")
    assert done.err == "not shown: 1 claim without actions; --all for them\n"
    told = {row["id"]: row for row in json.loads(done.out)}
    assert {i: (row["state"], row["holder"], row["has_row"]) for i, row in told.items()} == {
        1: ("live", "PHP", True),
        2: ("stale", "PHP", True),
        9: ("stale", "PHP", False),
    }
    assert {(row["pending"], row["running"]) for row in told.values()} == {(2, 1)}
    last = datetime.fromisoformat(told[2]["last_sign"])
    assert timedelta(seconds=890) < datetime.now(UTC) - last < timedelta(seconds=990)


def test_all_claims_with_those_that_hold_nothing(held: Site) -> None:
    told = {row["id"]: row["state"] for row in rows(held, "claims", "--all")}
    assert told == {1: "live", 2: "stale", 3: "empty", 9: "stale"}


def test_a_claim_of_ours_names_its_runner(site: Site) -> None:
    insert(site.store, make_new("h", now=SystemClock().now()), now=SystemClock().now())
    site.store.register(host="elsewhere", boot="b", pid=4711, pid_started="1")
    claim = site.store.claim_due(now=SystemClock().now(), limit=5, only=ClaimFilter())
    assert claim is not None
    (row,) = rows(site, "claims")
    assert (row["id"], row["state"]) == (claim.id, "live")
    assert row["holder"] == "wpbridge on elsewhere, pid 4711"
