"""Which failures still stand, and when each failed: by the log, and not by when it was due."""

from datetime import datetime, timedelta

from factories import NOW
from rows import change
from wpbridge.action import ActionId
from wpbridge.clock import to_text
from wpbridge.outcome import LogLine
from wpbridge.queue.facade import Queue
from wpbridge.store.records import Query
from wpbridge.store.running.runner_store import RunnerStore

HOUR = timedelta(hours=1)


def failed(queue: Queue, action_id: int | None, at: datetime, status: str = "failed") -> ActionId:
    """End an action: it began at this moment."""
    assert action_id is not None
    change(
        queue.store,
        "UPDATE wp_actionscheduler_actions SET status = :status, last_attempt_gmt = :at"
        " WHERE action_id = :i",
        status=status,
        at=to_text(at),
        i=action_id,
    )
    return ActionId(action_id)


def recurring(queue: Queue, at: datetime, status: str, hook: str = "sync", **more: object) -> int:
    """One run of a chain that is due every minute, a minute after it was due."""
    made = queue.schedule_recurring(at, 60, hook, [1], **more)
    return failed(queue, made, at + timedelta(minutes=1), status)


def standing(queue: Queue) -> list[int]:
    return sorted(run.id for run in queue.failures(open_only=True, limit=0))


def test_what_was_requeued_stands_no_more(queue: Queue) -> None:
    ids = [failed(queue, queue.enqueue_async("mail", [n]), NOW - HOUR) for n in range(3)]
    assert standing(queue) == ids
    made = queue.requeue([ids[1]]).made[ids[1]]
    assert standing(queue) == [ids[0], ids[2]]
    assert [run.id for run in queue.failures(limit=0)] == ids[::-1], "they are there all the same"
    failed(queue, made, NOW)
    assert standing(queue) == [ids[0], ids[2], made], "the new action is a failure of its own"
    queue.delete([ids[0]])
    assert standing(queue) == [ids[2], made]
    assert queue.requeue(standing(queue), dry_run=True).skipped == {}


def test_a_chain_that_has_completed_since_stands_no_more(queue: Queue) -> None:
    first = recurring(queue, NOW - 5 * HOUR, "failed")
    recurring(queue, NOW - 4 * HOUR, "complete")
    second = recurring(queue, NOW - 3 * HOUR, "failed")
    other = recurring(queue, NOW - 5 * HOUR, "failed", group="mail")
    long = queue.schedule_recurring(NOW - 5 * HOUR, 60, "sync", ["x" * 300])
    failed(queue, long, NOW - 5 * HOUR)
    assert standing(queue) == [second, other, long], "its earlier run is no success since"
    recurring(queue, NOW - 2 * HOUR, "complete", hook="Sync" if is_nocase(queue) else "sync")
    assert standing(queue) == [other, long]
    done = queue.schedule_recurring(NOW - HOUR, 60, "sync", ["x" * 300])
    failed(queue, done, NOW, "complete")
    assert standing(queue) == [other]
    for status in ("pending", "in-progress", "failed", "canceled"):
        recurring(queue, NOW, status, group="mail")
    assert other in standing(queue), "nothing else is a success"
    assert first not in standing(queue)


def is_nocase(queue: Queue) -> bool:
    return bool(queue.count(hooks=("SYNC",)))


def test_a_single_action_stands_though_its_like_has_completed(queue: Queue) -> None:
    one = failed(queue, queue.schedule_single(NOW - 2 * HOUR, "mail", [1]), NOW - 2 * HOUR)
    failed(queue, queue.schedule_single(NOW - HOUR, "mail", [1]), NOW - HOUR, "complete")
    assert standing(queue) == [one]


def test_what_cannot_be_read_stands(queue: Queue) -> None:
    bad = recurring(queue, NOW - HOUR, "failed")
    recurring(queue, NOW, "complete")
    change(
        queue.store,
        "UPDATE wp_actionscheduler_actions SET schedule = 'x' WHERE action_id = :i",
        i=bad,
    )
    never = recurring(queue, NOW - HOUR, "failed", hook="never")
    change(
        queue.store,
        "UPDATE wp_actionscheduler_actions SET last_attempt_gmt = NULL WHERE action_id = :i",
        i=never,
    )
    recurring(queue, NOW, "complete", hook="never")
    assert standing(queue) == [bad, never]


def test_failed_since_goes_by_when_it_failed(queue: Queue) -> None:
    """Not by when it was due, and not by when its last attempt began."""
    old = failed(queue, queue.schedule_single(NOW + 9 * HOUR, "a"), NOW - 5 * HOUR)
    late = failed(queue, queue.schedule_single(NOW - 99 * HOUR, "b"), NOW - HOUR)
    long = failed(queue, queue.enqueue_async("c"), NOW - 5 * HOUR)
    silent = failed(queue, queue.enqueue_async("d"), NOW - HOUR)
    lines = [
        (old, "action failed: at once", NOW - 5 * HOUR),
        (late, "action failed: soon", NOW - HOUR),
        (long, "action timed out", NOW - HOUR / 2),
    ]
    RunnerStore(queue.store).log([(i, LogLine(message=text, at=at)) for i, text, at in lines])
    # What is said of it later is no failure.
    queue.requeue([old])

    def since(moment: object, **more: int) -> list[int]:
        return [run.id for run in queue.failures(failed_since=moment, **more)]  # type: ignore[arg-type]

    assert since(NOW - 6 * HOUR) == [silent, late, long, old]
    assert since(NOW - 2 * HOUR) == [silent, late, long]
    assert since(NOW - HOUR) == [silent, late, long]
    assert since(NOW - HOUR + timedelta(seconds=1)) == [long]
    assert since("-2h", limit=2) == [silent, late]
    assert since("-2h", limit=2, offset=1) == [late, long]
    assert since("-2h", limit=0) == [silent, late, long]
    assert since(NOW) == []
    assert queue.failures(failed_since="-2h", hooks=("nobody",), groups=("none",)) == []
    assert [run.id for run in queue.failures(failed_since="-9h", open_only=True)] == [
        silent,
        late,
        long,
    ]


def test_older_ones_that_were_not_looked_at_are_told(queue: Queue) -> None:
    ids = [failed(queue, queue.enqueue_async("mail", [n]), NOW - (3 - n) * HOUR) for n in range(3)]
    queue.requeue(ids[2:])
    find = queue.store.failed.newest

    for since in (None, NOW - 9 * HOUR):
        runs, is_cut = find(Query(limit=2), since=since, open_only=True)
        assert ([run.id for run in runs], is_cut) == ([ids[1]], True)
        runs, is_cut = find(Query(limit=3), since=since)
        assert ([run.id for run in runs], is_cut) == (ids[::-1], False)
        assert find(Query(limit=0), since=since)[1] is False
