"""What the queue changes, as the plugin's PHP sees it: canceled, requeued, moved, waiting, paused.

Needs the real plugin (WPBRIDGE_TEST_PLUGIN); with WPBRIDGE_TEST_WP its runner is started as
``wp action-scheduler run`` too.
"""

import json
import os
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from both_sides import BothSides
from wordpress import worker_command
from wpbridge.action import ActionId
from wpbridge.clock import SystemClock, from_text
from wpbridge.codec import cron, schedule, zoned
from wpbridge.plugin import companion
from wpbridge.plugin.companion import Ownership
from wpbridge.queue.facade import Queue
from wpbridge.store.running.runner_store import RunnerStore

ZERO = "0000-00-00 00:00:00"
SOON = timedelta(minutes=2)


def now() -> datetime:
    return SystemClock().now()


def made(action_id: ActionId | None) -> ActionId:
    assert action_id is not None
    return action_id


def told(both: BothSides, *ids: int) -> list[dict[str, Any]]:
    """What the plugin makes of actions."""
    return both.php(*(("q_action", i) for i in ids))


# Canceled, requeued, moved, deleted


def test_php_sees_a_canceled_row_as_its_own_but_for_the_date(both: BothSides) -> None:
    queue = both.queue()
    ids = [
        made(queue.enqueue_async("c", [1])),
        made(queue.schedule_single("+1h", "c")),
        made(queue.schedule_recurring("+1h", 60, "c", group="g")),
        made(queue.schedule_cron("+1h", "@daily", "c")),
    ]
    assert queue.cancel(ids[:3]).ids == tuple(ids[:3])
    assert queue.cancel(ids[3:], reason="no longer needed").ids == tuple(ids[3:])
    twins = both.php(
        ["as_enqueue_async_action", "c", [1]], ["as_schedule_single_action", 2_000_000_000, "c"]
    )
    both.ask("as_unschedule_all_actions", "c")
    ours, theirs = told(both, *ids), told(both, *twins)
    for one in [*ours, *theirs]:
        assert (one["class"], one["status"], one["finished"]) == (
            "ActionScheduler_CanceledAction",
            "canceled",
            True,
        )
    assert [one["schedule"] for one in ours[:2]] == [one["schedule"] for one in theirs]
    assert {one["schedule"] for one in ours[1:]} == {"ActionScheduler_CanceledSchedule"}
    logs = [one["logs"] for one in ours]
    assert logs[:3] == [theirs[0]["logs"]] * 3 == [["action created", "action canceled"]] * 3
    assert logs[3][1] == "action canceled via wpbridge: no longer needed"
    # The plugin leaves the date of the last attempt at zero, and so at its next cleanup the row goes.
    assert {both.raw(i)["last_attempt_gmt"] for i in twins} == {ZERO}
    for one in ours:
        assert abs(datetime.fromtimestamp(one["dated"], UTC) - now()) < SOON
    assert sorted(both.ask("q_clean")) == sorted(twins)
    assert [one["status"] for one in told(both, *ids)] == ["canceled"] * 4


def test_php_runs_what_was_requeued(both: BothSides) -> None:
    queue = both.queue()
    once, again, later = (
        made(queue.schedule_single(1, "t_noop", [1], group="g", priority=3)),
        *(made(queue.schedule_recurring(1, 3600, "t_noop", [n])) for n in (2, 3)),
    )
    both.change("UPDATE {actions} SET status = 'failed', attempts = 1")
    # The chain of `again` goes on by another action.
    made(queue.schedule_recurring("+1h", 3600, "t_noop", [2]))
    new = queue.requeue([once, again, later]).made
    one, two, three = told(both, new[once], new[again], new[later])
    assert (one["args"], one["group"], one["status"]) == ([1], "g", "pending")
    assert one["priority"] == both.told_priority(3)
    assert (one["schedule"], two["schedule"]) == ("ActionScheduler_NullSchedule",) * 2
    assert (three["schedule"], three["recurrence"]) == ("ActionScheduler_IntervalSchedule", "3600")
    assert one["logs"] == ["action created", f"action requeued via wpbridge from action {once}"]
    [old] = told(both, once)
    assert (old["status"], old["finished"]) == ("failed", True)
    assert old["logs"][1:] == [f"action requeued via wpbridge as action {new[once]}"]
    assert both.ask("q_run") == 3
    assert [one["status"] for one in told(both, *new.values())] == ["complete"] * 3
    pending = queue.find(hooks=("t_noop",), statuses=("pending",))
    assert sorted(record.args for record in pending) == [b"[2]", b"[3]"], "both chains go on, once"


def test_php_sees_where_an_action_was_moved_to(both: BothSides) -> None:
    queue, to = both.queue(), 2_000_000_000
    single, interval, daily, async_ = ids = [
        made(queue.schedule_single("+1h", "m_single")),
        made(queue.schedule_recurring("+1h", 60, "m_interval")),
        made(queue.schedule_cron("+1h", "30 4 * * *", "m_cron")),
        made(queue.enqueue_async("m_async")),
    ]
    [first] = [both.rows(f"SELECT schedule FROM {{actions}} WHERE action_id = {interval}")[0][0]]
    begun = schedule.decode(str(first).encode())
    assert isinstance(begun, schedule.Interval)
    assert queue.reschedule(ids, at=to).ids == tuple(ids)
    seen = told(both, *ids)
    for one in seen:
        assert (one["date"], one["dated"], one["status"]) == (to, to, "pending")
        assert one["logs"] == [
            "action created",
            "action rescheduled via wpbridge to 2033-05-18 03:33:20 UTC",
        ]
    assert [one["recurrence"] for one in seen] == [None, "60", "30 4 * * *", None]
    assert seen[1]["first"] == begun.first_timestamp, "the chain remembers its beginning"
    assert seen[3]["schedule"] == "ActionScheduler_SimpleSchedule"
    # The same rows as the plugin itself would have written for that date.
    twins = both.php(
        ["as_schedule_single_action", to, "m_single"],
        ["as_schedule_recurring_action", to, 90, "m_interval"],
        ["as_schedule_cron_action", to, "@hourly", "m_cron"],
    )
    queue.reschedule([interval], at=to, interval=90)
    queue.reschedule([daily], at=to, cron="@hourly")
    for ours, theirs in zip((single, interval, daily), twins, strict=True):
        assert row_of(both, ours) == row_of(both, theirs)
    queue.delete([single, async_])
    gone = told(both, single, async_)
    assert [(one["class"], one["logs"]) for one in gone] == [("ActionScheduler_NullAction", [])] * 2


def row_of(both: BothSides, action_id: int) -> dict[str, Any]:
    return {name: value for name, value in both.raw(action_id).items() if name != "action_id"}


# Deleting what ended long ago

AGES = (None, "zero", -1, 30, 31, 32, 92, 93, 94, 400)
"""Days since the last attempt."""


def aged_table(both: BothSides) -> None:
    """Each status with each age; at the days that decide, a minute before and a minute after."""
    queue, at = both.queue(), now()
    for status in ("pending", "in-progress", "complete", "failed", "canceled"):
        for age in AGES:
            for minutes in (-1, 1) if age in (31, 93) else (0,):
                i = made(queue.enqueue_async(f"old_{status}", [str(age), minutes]))
                date: str | None = ZERO if age == "zero" else None
                if isinstance(age, int):
                    date = f"{at - timedelta(days=age, minutes=minutes):%Y-%m-%d %H:%M:%S}"
                both.set(i, status=status, last_attempt_gmt=date)
    both.keep()


def test_clean_deletes_what_the_plugins_cleaner_deletes(both: BothSides) -> None:
    aged_table(both)
    before = both.statuses()
    # Up to 3.9 failed actions are kept for ever.
    which = "complete,canceled,failed" if both.release >= (4,) else "complete,canceled"
    planned = json.loads(both.wpbridge("clean", "--status", which, "--dry-run", "--format=json"))
    assert both.statuses() == before
    deleted = both.ask("q_clean")
    by_php = both.statuses()
    assert set(deleted) == before.keys() - by_php.keys()
    counts = {rule["status"]: rule["count"] for rule in planned["rules"]}
    assert counts == {
        status: [before[i] for i in deleted].count(status) for status in which.split(",")
    }
    # Zero dates are old, no date at all never is.
    assert counts == {status: 4 if status == "failed" else 8 for status in which.split(",")}
    assert planned["count"] == len(deleted)
    logs = both.rows("SELECT action_id, message FROM {logs} ORDER BY log_id")
    both.restore()
    done = json.loads(both.wpbridge("clean", "--status", which, "--yes", "--format=json"))
    assert (done["count"], both.statuses()) == (len(deleted), by_php)
    assert both.rows("SELECT action_id, message FROM {logs} ORDER BY log_id") == logs


# Waiting


def run_wp(both: BothSides) -> str:
    """The plugin's own runner: as WP-CLI's command where there is one, else from PHP."""
    if not os.environ.get("WPBRIDGE_TEST_WP"):
        return str(both.ask("q_run"))
    words = [*worker_command(), f"--path={both.folder}", "action-scheduler", "run"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_php_leaves_a_waiting_action_alone_until_it_is_released(both: BothSides) -> None:
    queue = both.queue()
    first = made(queue.schedule_single("+1h", "t_noop", ["first"]))
    waiting = [
        made(queue.enqueue_async("t_args", ["async"], after=[first])),
        made(queue.schedule_single(1, "t_args", ["single"], after=[first], group="g")),
        made(queue.schedule_recurring(1, 3600, "t_args", ["interval"], after=[first])),
    ]
    both.ask("q_run")
    run_wp(both)
    seen = told(both, *waiting)
    assert [(one["status"], one["claim"]) for one in seen] == [("pending", 0)] * 3
    assert [one["date"] for one in seen] == [None, 1, 1]
    found, listed, following, has, screen = both.php(
        ["as_get_scheduled_actions", {"hook": "t_args"}, "ids"],
        ["q_actions", waiting],
        ["as_next_scheduled_action", "t_args", ["single"], "g"],
        ["as_has_scheduled_action", "t_args", ["async"]],
        ["q_screen", "pending"],
        admin=True,
    )
    assert sorted(map(int, found)) == waiting
    assert [one["args"] for one in listed] == [["async"], ["single"], ["interval"]]
    assert (following, has) == (1, True)
    assert queue.next_scheduled("t_args", ["single"], "g") == datetime(
        1970, 1, 1, 0, 0, 1, tzinfo=UTC
    )
    assert screen.count("t_args") == 3
    # What it waits for is run by PHP, and wpbridge sees that at its next look.
    both.set(first, scheduled_date_gmt="2026-01-01 00:00:00")
    both.ask("q_run")
    assert RunnerStore(queue.store).catch_up(now=now()) == 3
    assert both.ask("q_run") == 3
    seen = told(both, *waiting)
    assert [one["status"] for one in seen] == ["complete"] * 3
    for one in seen:
        assert one["logs"] == [
            "action created",
            "action released via wpbridge: what it waited for has ended",
            "action started via WP CLI",
            "action complete via WP CLI",
        ]
    assert sorted(args for [args] in both.site.records("args")) == [
        ["async"],
        ["interval"],
        ["single"],
    ]
    [heir] = queue.find(hooks=("t_args",), statuses=("pending",))
    assert heir.args == b'["interval"]'


def test_php_can_cancel_a_waiting_action(both: BothSides) -> None:
    queue = both.queue()
    first = made(queue.schedule_single("+1h", "t_noop"))
    waiting = made(queue.enqueue_async("t_args", after=[first]))
    assert both.ask("as_unschedule_action", "t_args") == waiting
    both.set(first, status="complete")
    assert RunnerStore(queue.store).catch_up(now=now()) == 0
    assert [one["status"] for one in told(both, waiting)] == ["canceled"]


# Cron in a zone


def test_a_chain_in_a_zone_stays_in_it_though_php_runs_it(both: BothSides) -> None:
    queue, zone, expression = both.queue(), "Asia/Kathmandu", "15 9 * * *"
    cases: dict[tuple[str, str], list[Any]] = {("t_noop", ""): [1], ("t_args", "g"): ["x" * 300]}
    chain = {
        key: made(queue.schedule_cron("-3d", expression, key[0], args, group=key[1], tz=zone))
        for key, args in cases.items()
    }
    for _ in range(2):
        for i in chain.values():
            both.set(i, scheduled_date_gmt="2026-01-01 00:00:00")
        assert both.ask("q_run") == 2
        heirs = {key: live(queue, key[0]) for key in chain}
        in_utc = told(both, *heirs.values())
        assert {one["date"] % 86_400 for one in in_utc} == {9 * 3600 + 15 * 60}, (
            "PHP knows UTC only"
        )
        ended = [from_text(both.raw(i)["last_attempt_gmt"]) for i in chain.values()]
        assert RunnerStore(queue.store).catch_up(now=now()) == 2
        assert RunnerStore(queue.store).catch_up(now=now()) == 0
        wanted = [
            zoned.next_date(cron.parse(expression), end or now(), ZoneInfo(zone)) for end in ended
        ]
        right = told(both, *heirs.values())
        assert [one["date"] for one in right] == [int(due.timestamp()) for due in wanted]
        assert [one["dated"] for one in right] == [one["date"] for one in right]
        assert [one["recurrence"] for one in right] == [expression] * 2
        assert queue.zones_of(list(heirs.values())) == dict.fromkeys(heirs.values(), zone)
        chain = heirs


def live(queue: Queue, hook: str) -> ActionId:
    [found] = queue.find(hooks=(hook,), statuses=("pending",))
    return found.id


@pytest.mark.parametrize("is_purged", [False, True])
def test_a_new_chain_of_phps_is_not_drawn_into_the_zone_of_one_that_it_ended(
    both: BothSides, is_purged: bool
) -> None:
    queue = both.queue()
    old = made(queue.schedule_cron("+1d", "15 9 * * *", "t_noop", tz="Asia/Kathmandu"))
    assert both.ask("as_unschedule_action", "t_noop") == old
    if is_purged:
        assert both.ask("q_clean") == [old]
    new = both.ask("as_schedule_cron_action", 1_900_000_000, "15 9 * * *", "t_noop")
    before = told(both, new)
    assert RunnerStore(queue.store).catch_up(now=now()) == 0
    assert told(both, new) == before
    # A canceled one keeps its zone, for a requeue, as long as it is there.
    assert queue.zones_of([old, new]) == ({} if is_purged else {old: "Asia/Kathmandu"})


# Pauses


@pytest.fixture
def with_companion(both: BothSides) -> Iterator[BothSides]:
    """The site with our must-use plugin in it."""
    companion.install(both.folder / "wp-content" / "mu-plugins", "wp_", Ownership())
    yield both
    both.queue().resume(everything=True)


@pytest.mark.parametrize("way", ["queue", "command"])
def test_phps_runner_honours_a_pause_until_it_is_resumed(
    with_companion: BothSides, way: str
) -> None:
    both, queue = with_companion, with_companion.queue()
    ids = {
        name: made(queue.schedule_single(1, hook, [name], group=group))
        for name, hook, group in (
            ("hook", "t_args", ""),
            ("group", "t_noop", "mail"),
            ("free", "t_noop", "other"),
            ("case", "T_ARGS", ""),
        )
    }
    if way == "queue":
        queue.pause(hooks=["t_args"], groups=["mail"], reason='it\'s "down"')
    else:
        both.wpbridge("pause", "--hook", "t_args", "--group", "mail", "--for", "1h")
    assert both.ask("q_run") == 2
    run_wp(both)
    assert statuses(both, ids) == {
        "hook": "pending",
        "group": "pending",
        "free": "complete",
        "case": "failed",
    }
    if way == "queue":
        assert len(queue.resume(hooks=["t_args"])) == 1
    else:
        assert both.wpbridge("resume", "--hook", "t_args") == "resumed hook t_args\n"
    assert both.ask("q_run") == 1
    assert (statuses(both, ids)["hook"], statuses(both, ids)["group"]) == ("complete", "pending")
    queue.pause(everything=True, until=timedelta(hours=1))
    queue.resume(groups=["mail"])
    assert both.ask("q_run") == 0
    queue.resume(everything=True)
    assert both.ask("q_run") == 1
    assert statuses(both, ids)["group"] == "complete"


def statuses(both: BothSides, ids: dict[str, ActionId]) -> dict[str, str]:
    found = both.statuses()
    return {name: found[i] for name, i in ids.items()}
