"""``cancel``, ``delete``, ``requeue`` and ``reschedule``: by id, by hook, by filter."""

import json
import re
from datetime import UTC, datetime, timedelta

import pytest

from cli_helpers import Site, is_one_line, tables
from factories import insert, make_new
from rows import change, column, log_of, query
from wpbridge.clock import SystemClock

ACTIONS = "wp_actionscheduler_actions"
VERBS = {
    "cancel": ("would cancel", "canceled", "pending", ()),
    "delete": ("would delete", "deleted", "complete", ()),
    "requeue": ("would requeue", "requeued", "failed", ()),
    "reschedule": ("would reschedule", "rescheduled", "pending", ("--in", "2h")),
    "priority": ("would reprioritize", "reprioritized", "pending", ("--to", "3")),
}
"""The words of a dry run and after, a status that fits, and what else has to be given."""


def deed(verb: str) -> str:
    """What messages call a change; for most the name of the command."""
    return VERBS[verb][0].removeprefix("would ")


def add(site: Site, *hooks: str, status: str = "pending", **more: object) -> list[int]:
    now = SystemClock().now()
    new = [make_new(hook, now=now, **more) for hook in hooks]  # type: ignore[arg-type]  # its own keywords
    ids = list(insert(site.store, *new, now=now))
    for action_id in ids:
        set_(site, action_id, status=status)
    return [int(i) for i in ids]


def set_(site: Site, action_id: int, **columns: object) -> None:
    parts = ", ".join(f"{name} = :{name}" for name in columns)
    change(site.store, f"UPDATE {ACTIONS} SET {parts} WHERE action_id = :i", i=action_id, **columns)


def status(site: Site, action_id: int) -> str:
    return str(column(site.store, "status", action_id))


def due_in(site: Site, action_id: int) -> timedelta:
    told = str(column(site.store, "scheduled_date_gmt", action_id))
    return datetime.fromisoformat(told).replace(tzinfo=UTC) - datetime.now(UTC)


def nearly(span: timedelta, wanted: timedelta) -> bool:
    return abs(span - wanted) < timedelta(seconds=60)


# All four


@pytest.mark.parametrize("verb", VERBS)
def test_a_dry_run_names_ids_and_counts_and_changes_nothing(site: Site, verb: str) -> None:
    would, _, fitting, more = VERBS[verb]
    first, second = add(site, "h", "h", status=fitting)
    add(site, "other", status=fitting)
    before = tables(site.store)
    for which in ([str(first), str(second)], [f"{first} {second}"], ["--hook", "h"]):
        out = site.ok(verb, *which, *more, "--dry-run")
        assert out == f"{would} 2 actions: {first} {second}\n"
        told = json.loads(site.ok(verb, *which, *more, "--dry-run", "--format", "json"))
        assert told == {
            "dry_run": True,
            "count": 2,
            "ids": [first, second],
            "made": {},
            "skipped": {},
        }
        assert site.ok(verb, *which, *more, "--dry-run", "--porcelain") == f"{first}\n{second}\n"
    assert tables(site.store) == before


@pytest.mark.parametrize("verb", VERBS)
def test_a_change_does_what_its_dry_run_said(site: Site, verb: str) -> None:
    _, done, fitting, more = VERBS[verb]
    first, second = add(site, "h", "h", status=fitting)
    (other,) = add(site, "other", status=fitting)
    before = [row for row in query(site.store, f"SELECT * FROM {ACTIONS}") if row[0] == other]
    out = site.ok(verb, "--hook", "h", *more)
    assert re.fullmatch(rf"{done} 2 actions: {first}(>4)? {second}(>5)?\n", out)
    assert before == [
        row for row in query(site.store, f"SELECT * FROM {ACTIONS}") if row[0] == other
    ]
    again = site(verb, str(other), *more, "--format", "json")
    told = json.loads(again.out)
    assert (told["dry_run"], told["count"], told["ids"], told["skipped"]) == (False, 1, [other], {})


@pytest.mark.parametrize("verb", VERBS)
def test_an_unknown_id_stops_everything(site: Site, verb: str) -> None:
    _, _, fitting, more = VERBS[verb]
    (known,) = add(site, "h", status=fitting)
    before = tables(site.store)
    for dry in ([], ["--dry-run"]):
        done = site(verb, str(known), "777", "778", *more, *dry)
        assert is_one_line(done, 1)
        assert "there is no action 777, 778" in done.err
    assert tables(site.store) == before


@pytest.mark.parametrize("verb", VERBS)
def test_what_is_meant_has_to_be_said(lite: Site, verb: str) -> None:
    _, _, fitting, more = VERBS[verb]
    add(lite, "h", status=fitting)
    before = tables(lite.store)
    for arguments, words in (
        ([], f"name what to {deed(verb)}"),
        (["1", "--hook", "h"], "give ids or filters, not both"),
        (["1", "x"], "'x' is no action id"),
        (["1", ""], "'' is no action id"),
        (["0"], "'0' is no action id"),
        (["9" * 5000], "is no action id"),
        (["--limit", "3"], "--limit"),
    ):
        done = lite(verb, *arguments, *more)
        assert is_one_line(done, 2), done
        assert words in done.err
    assert tables(lite.store) == before


@pytest.mark.parametrize("verb", VERBS)
def test_what_does_not_fit_is_left_and_told_of(site: Site, verb: str) -> None:
    _, done, fitting, more = VERBS[verb]
    (fits,) = add(site, "h", status=fitting)
    (runs,) = add(site, "h", status="in-progress")
    told = site(verb, str(fits), str(runs), *more)
    assert told.code == 1
    assert told.out.startswith(f"{done} 1 action: {fits}")
    assert told.err == f"action {runs} left as it is: it is in-progress\n"
    assert status(site, runs) == "in-progress"
    only = site(verb, str(runs), *more, "--format", "json")
    assert only.code == 1
    assert json.loads(only.out)["skipped"] == {str(runs): "it is in-progress"}
    named = site(verb, "--hook", "h", "--status", "in-progress", *more)
    assert (named.code, named.out) == (0, f"{done} 0 actions\n")
    assert named.err == f"action {runs} left as it is: it is in-progress\n"


def test_many_left_ones_are_not_all_told_of(lite: Site) -> None:
    add(lite, *["h"] * 30, status="in-progress")
    done = lite("delete", "--status", "in-progress", "--yes")
    assert done.code == 0
    assert len(done.err.splitlines()) == 21
    assert done.err.splitlines()[-1] == "… and 10 more left as they are"


def test_a_thousand_ids_are_enough_to_print(lite: Site) -> None:
    lite.ok("generate", "h", "now", "--count", "1500")
    out = lite.ok("delete", "--hook", "h", "--dry-run")
    assert out.endswith(" 1000 … and 500 more (--porcelain prints all)\n")
    assert len(lite.ok("delete", "--hook", "h", "--dry-run", "--porcelain").splitlines()) == 1500
    assert (
        len(json.loads(lite.ok("delete", "--hook", "h", "--dry-run", "--format", "json"))["ids"])
        == 1500
    )
    assert lite.ok("delete", "--hook", "h", "--yes").startswith("deleted 1,500 actions: 1 2 3")
    assert lite.store.counts() == {}


def test_ids_may_come_from_list(lite: Site) -> None:
    add(lite, "h", "h", "other")
    ids = lite.ok("list", "--hook", "h", "--format", "ids")
    assert lite.ok("cancel", ids) == "canceled 2 actions: 1 2\n"


# Questions


@pytest.mark.parametrize("verb", VERBS)
def test_more_than_twenty_need_a_yes(lite: Site, verb: str) -> None:
    _, done, fitting, more = VERBS[verb]
    ids = add(lite, *["h"] * 21, status=fitting)
    before = tables(lite.store)
    for which in (["--hook", "h"], [str(i) for i in ids]):
        told = lite(verb, *which, *more)
        assert is_one_line(told, 2)
        assert told.err == (
            f"wpbridge: {deed(verb)} 21 actions: add --yes, or --dry-run to see which\n"
        )
    assert tables(lite.store) == before
    assert lite.ok(verb, *map(str, ids[:20]), *more).startswith(f"{done} 20 actions")
    add(lite, *["g"] * 21, status=fitting)
    assert lite.ok(verb, "--hook", "g", *more, "-y").startswith(f"{done} 21 actions")


def test_on_a_terminal_it_asks(lite: Site) -> None:
    add(lite, *["h"] * 25)
    before = tables(lite.store)
    no = lite.terminal("cancel", "--hook", "h", answer="n")
    assert "cancel 25 actions? [y/N]" in no.out
    assert no.out.endswith("wpbridge: aborted\n")
    assert no.code == 1
    assert tables(lite.store) == before
    interrupted = lite.terminal("delete", "--hook", "h", answer="\x03")
    assert interrupted.code == 130
    assert tables(lite.store) == before
    yes = lite.terminal("cancel", "--hook", "h", answer="y")
    assert yes.code == 0
    assert "canceled 25 actions: 1 2 3" in yes.out
    assert lite.store.counts() == {"canceled": 25}


def test_no_question_before_what_cannot_be(lite: Site) -> None:
    add(lite, *["h"] * 25)
    for flags in (
        ["--cron", "every day"],
        ["--tz", "Asia/Tokyo", "--in", "1h"],
        ["--interval", "60", "--cron", "0 3 * * *"],
    ):
        done = lite("reschedule", "--hook", "h", *flags)
        assert is_one_line(done, 2)
        assert "--yes" not in done.err


# Cancel


def test_cancel_with_a_reason(site: Site) -> None:
    (one,) = add(site, "h")
    site.ok("cancel", str(one), "--reason", "not wanted")
    assert status(site, one) == "canceled"
    assert log_of(site.store, one)[-1] == "action canceled via wpbridge: not wanted"


def test_a_hook_alone_means_its_next_action_with_empty_args(site: Site) -> None:
    add(site, "h", args=(17,), due_in=-600.0)
    add(site, "h", due_in=600.0)
    (soonest,) = add(site, "h", due_in=60.0)
    assert site.ok("cancel", "h", "--dry-run") == f"would cancel 1 action: {soonest}\n"
    assert site.ok("cancel", "h") == f"canceled 1 action: {soonest}\n"
    assert site.ok("cancel", "h", "--args", "[17]") == "canceled 1 action: 1\n"
    assert site.store.counts() == {"canceled": 2, "pending": 1}


def test_all_of_a_hook_whatever_their_args(site: Site) -> None:
    add(site, "h", args=(17,))
    add(site, "h", group="g")
    add(site, "other")
    assert site.ok("cancel", "h", "--all", "--dry-run") == "would cancel 2 actions: 1 2\n"
    assert site.ok("cancel", "h", "--all", "--group", "g") == "canceled 1 action: 2\n"
    assert site.ok("cancel", "h", "--all") == "canceled 1 action: 1\n"
    assert status(site, 3) == "pending"
    assert site.ok("cancel", "h", "--all") == "canceled 0 actions\n"


def test_a_hook_without_such_an_action_says_what_there_is(site: Site) -> None:
    add(site, "h", args=(17,))
    none = site("cancel", "h")
    assert (none.code, none.out) == (0, "")
    assert (
        none.err
        == "no pending action of h with these args; 1 other of this hook: --args or --all\n"
    )
    told = site("cancel", "nobody", "--format", "json")
    assert json.loads(told.out)["count"] == 0
    assert told.err == "no pending action of nobody with these args\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--all"], "--all: name a hook"),
        (["1", "--all"], "--all: name a hook"),
        (["h", "--hook", "g"], "name the hook once"),
        (["h", "--status", "failed"], "only pending"),
        (["h", "g"], "'h' is no action id"),
        (["h", "--args", "17"], "args"),
        ([""], "--hook: it is empty"),
    ],
)
def test_cancel_refuses(lite: Site, arguments: list[str], words: str) -> None:
    add(lite, "h")
    done = lite("cancel", *arguments)
    assert is_one_line(done, 2)
    assert words in done.err
    assert lite.store.counts() == {"pending": 1}


def test_a_claimed_action_can_be_canceled_and_not_deleted_or_moved(site: Site) -> None:
    (one,) = add(site, "h")
    set_(site, one, claim_id=7)
    for command in (["delete", "1"], ["reschedule", "1", "--in", "1h"]):
        done = site(*command)
        assert done.code == 1
        assert done.err == "action 1 left as it is: a runner has claimed it\n"
    assert site.ok("cancel", "1") == "canceled 1 action: 1\n"


# Delete


def test_delete_takes_the_logs_along(site: Site) -> None:
    one, two = add(site, "h", "h", status="complete")
    site.ok("delete", str(one))
    assert query(site.store, f"SELECT action_id FROM {ACTIONS}") == [(two,)]
    assert log_of(site.store, one) == []
    assert log_of(site.store, two) == ["action created"]


# Requeue


def test_requeue_makes_a_new_action_and_links_the_two(site: Site) -> None:
    (failed,) = add(site, "h", args=(17,), group="g", priority=3, status="failed")
    assert site.ok("requeue", str(failed)) == f"requeued 1 action: {failed}>2\n"
    new = json.loads(site.ok("get", "2", "--format", "json"))
    assert (new["hook"], new["args"], new["group"], new["priority"]) == ("h", [17], "g", 3)
    assert (new["status"], new["attempts"], new["kind"]) == ("pending", 0, "async")
    assert status(site, failed) == "failed"
    assert log_of(site.store, failed)[-1] == "action requeued via wpbridge as action 2"
    assert log_of(site.store, 2)[-1] == f"action requeued via wpbridge from action {failed}"


def test_requeue_prints_the_new_ids(site: Site) -> None:
    add(site, "h", "h", status="failed")
    assert site.ok("requeue", "--hook", "h", "--porcelain") == "3\n4\n"
    add(site, "g", status="failed")
    told = json.loads(site.ok("requeue", "--hook", "g", "--format", "json"))
    assert (told["ids"], told["made"]) == ([5], {"5": 6})


def test_requeue_is_not_done_twice_unless_asked_for(site: Site) -> None:
    (failed,) = add(site, "h", status="failed")
    site.ok("requeue", str(failed))
    again = site("requeue", str(failed))
    assert again.code == 1
    assert again.err == f"action {failed} left as it is: it was requeued before, as action 2\n"
    assert site.ok("requeue", str(failed), "--again") == f"requeued 1 action: {failed}>3\n"


def test_filters_of_requeue_mean_failed_ones_and_ids_any_ended_one(site: Site) -> None:
    add(site, "h", status="failed")
    for state in ("complete", "canceled", "pending"):
        add(site, "h", status=state)
    assert site.ok("requeue", "--hook", "h", "--dry-run") == "would requeue 1 action: 1\n"
    assert site.ok("requeue", "--hook", "h", "--status", "canceled", "--dry-run") == (
        "would requeue 1 action: 3\n"
    )
    done = site("requeue", "1", "2", "3", "4", "--dry-run")
    assert (done.code, done.out) == (1, "would requeue 3 actions: 1 2 3\n")
    assert done.err == "action 4 left as it is: it is pending\n"


def test_requeue_at_a_date(site: Site) -> None:
    add(site, "h", "h", status="failed")
    site.ok("requeue", "1", "--in", "10m")
    site.ok("requeue", "2", "--at", "+2h")
    assert nearly(due_in(site, 3), timedelta(minutes=10))
    assert nearly(due_in(site, 4), timedelta(hours=2))


def test_requeue_revives_a_chain_that_has_ended(site: Site) -> None:
    (failed,) = add(site, "h", interval=3600, status="failed")
    site.ok("requeue", str(failed))
    assert json.loads(site.ok("get", "2", "--format", "json"))["kind"] == "interval"
    site.ok("requeue", str(failed), "--again")
    assert json.loads(site.ok("get", "3", "--format", "json"))["kind"] == "async"


# Reschedule


def test_reschedule_moves_the_date(site: Site) -> None:
    (one,) = add(site, "h")
    site.ok("reschedule", str(one), "--in", "2h")
    assert nearly(due_in(site, one), timedelta(hours=2))
    site.ok("reschedule", "--hook", "h", "--at", "2027-12-01T06:00Z")
    action = json.loads(site.ok("get", str(one), "--format", "json"))
    assert (action["scheduled"], action["kind"]) == ("2027-12-01T06:00:00Z", "single")
    assert (
        log_of(site.store, one)[-1] == "action rescheduled via wpbridge to 2027-12-01 06:00:00 UTC"
    )


def test_reschedule_keeps_or_changes_a_recurrence(site: Site) -> None:
    add(site, "h", interval=3600)
    site.ok("reschedule", "1", "--at", "2027-12-01T06:00Z")
    action = json.loads(site.ok("get", "1", "--format", "json"))
    assert (action["kind"], action["recurrence"]) == ("interval", "3600 s")
    site.ok("reschedule", "1", "--interval", "1d")
    assert json.loads(site.ok("get", "1", "--format", "json"))["recurrence"] == "86400 s"
    site.ok("reschedule", "1", "--cron", "0 3 * * *", "--tz", "Asia/Tokyo")
    action = json.loads(site.ok("get", "1", "--format", "json"))
    assert (action["recurrence"], action["tz"]) == ("0 3 * * *", "Asia/Tokyo")
    assert action["scheduled"].endswith("T18:00:00Z")


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ([], "give --at, --in, --interval or --cron"),
        (["--tz", "Asia/Tokyo"], "give --at, --in, --interval or --cron"),
        (["--at", "now", "--in", "1h"], "--at and --in"),
        (["--in", "999999999d"], "--in"),
        (["--in", "soon"], "--in"),
        (["--at", "tomorrow"], "--at"),
        (["--interval", "often"], "interval"),
        (["--interval", "60", "--cron", "0 3 * * *"], "interval and cron"),
        (["--cron", "every day"], "cron"),
        (["--cron", "0 3 * * *", "--tz", "Mars/Olympus"], "Mars/Olympus"),
        (["--in", "1h", "--tz", "Asia/Tokyo"], "tz"),
    ],
)
def test_reschedule_refuses(lite: Site, flags: list[str], words: str) -> None:
    add(lite, "h")
    before = tables(lite.store)
    for dry in ([], ["--dry-run"]):
        done = lite("reschedule", "1", *flags, *dry)
        assert is_one_line(done, 2)
        assert words in done.err
    assert tables(lite.store) == before


@pytest.mark.parametrize(
    "flags", [["--in", "999999999d"], ["--at", "x"], ["--at", "now", "--in", "1h"]]
)
def test_requeue_refuses(lite: Site, flags: list[str]) -> None:
    add(lite, "h", status="failed")
    assert is_one_line(lite("requeue", "1", *flags), 2)
    assert lite.store.counts() == {"failed": 1}


# A process


def test_exit_codes_of_processes(lite: Site) -> None:
    add(lite, "h", "h")
    assert lite.process("cancel", "1").code == 0
    assert lite.process("cancel", "1").code == 1
    assert is_one_line(lite.process("cancel", "777"), 1)
    assert is_one_line(lite.process("cancel"), 2)
    assert lite.process("delete", "--hook", "h", "--yes").out == "deleted 2 actions: 1 2\n"
