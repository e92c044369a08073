"""Of a long log its ends are read, and of a long row its beginning."""

from factories import NOW
from wpbridge import Queue
from wpbridge.dashboard import detail
from wpbridge.dashboard.detail import detail_of
from wpbridge.dashboard.listing import page_of
from wpbridge.outcome import LogLine
from wpbridge.queue.enqueue import Enqueue
from wpbridge.queue.jobs import JobQueue
from wpbridge.store.database.connection import text
from wpbridge.store.reading.log_ends import MESSAGE_CHARS
from wpbridge.store.records import Query
from wpbridge.store.running.runner_store import RunnerStore


def test_ends_of_logs(queue: Queue, store: RunnerStore) -> None:
    parts = store.parts
    ids = queue.enqueue_many([Enqueue(hook="mail") for _ in range(3)])
    long, short, none = [one for one in ids if one is not None]
    lines = [(long, LogLine(message=f"row {n}", at=NOW)) for n in range(12)]
    lines += [(short, LogLine(message="é" * 20_000, at=NOW))]
    parts.session.transact(lambda c: parts.inserts.logs(c, lines))
    parts.session.run(
        lambda c: c.execute(
            text("DELETE FROM wp_actionscheduler_logs WHERE action_id = :id"), {"id": none}
        )
    )
    whole = [one.message for one in queue.logs(long)]
    assert len(whole) == 13
    ends = parts.log_ends
    last = ends.last([long, short, none])
    assert {one: entry.message for one, entry in last.items()} == {
        long: "row 11",
        short: "é" * MESSAGE_CHARS,
    }
    assert ends.last([]) == {}
    assert [one.message for one in ends.newest(long, 3)] == whole[-3:]
    for first, newest in ((2, 3), (6, 7), (7, 6), (20, 3), (0, 3), (20, 20), (0, 13)):
        found = ends.of(long, first=first, newest=newest)
        shown = [one.message for one in found.entries]
        begin = whole[: min(first, 13 - min(newest, 13))]
        assert shown == [*begin, *whole[-newest:]]
        assert found.skipped == 13 - len(shown)
    assert ends.of(none, first=2, newest=3) == ([], 0)


def test_a_page_reads_few_rows_of_a_long_log(queue: Queue, store: RunnerStore) -> None:
    one = queue.enqueue(Enqueue(hook="mail"))
    assert one is not None
    parts = store.parts
    count = detail.MOST_LINES + 50
    lines = [(one, LogLine(message=f"row {n}", at=NOW)) for n in range(count)]
    parts.session.transact(lambda c: parts.inserts.logs(c, lines))
    seen = detail_of(JobQueue.beside(queue), one, NOW)
    assert len(seen.steps) == detail.MOST_LINES
    # The row of its creation is one more.
    assert seen.skipped_lines == 51
    assert seen.steps[1].entry.message == "row 0"
    assert seen.steps[-1].entry.message == f"row {count - 1}"
    [row] = page_of(parts, Query(hooks=("mail",)), NOW).rows
    assert row.last_log is not None
    assert row.last_log.message == f"row {count - 1}"
