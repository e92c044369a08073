"""Export and import: byte for byte, once, on every store and between them."""

import base64
import contextlib
import gzip
import io
import json
import re
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from conftest import execute
from factories import NOW, insert, make_new
from rows import change, query
from sent import listen
from stores import again
from transfers import add_row, exported, fill, told
from wpbridge.codec import schedule
from wpbridge.errors import Contention, InputError, WpbridgeError
from wpbridge.migrate.transfer import files, importing, verifying
from wpbridge.migrate.transfer.copying import copy_queue
from wpbridge.migrate.transfer.exporting import lines_of
from wpbridge.migrate.transfer.files import Line
from wpbridge.migrate.transfer.importing import Import
from wpbridge.migrate.transfer.lines import dumped
from wpbridge.migrate.transfer.wishes import Report, Wishes
from wpbridge.queue.enqueue import Enqueue
from wpbridge.queue.facade import Queue
from wpbridge.store.base import ClaimFilter
from wpbridge.store.records import Query
from wpbridge.store.running.runner_store import RunnerStore


def imported(
    store: RunnerStore, data: bytes, rejected: list[str] | None = None, **wishes: Any
) -> Report:
    bad: list[str] = [] if rejected is None else rejected

    def reject(line: Line, why: str) -> None:
        bad.append(f"{line.number}: {why}")

    return Import(store.parts, Wishes(now=NOW, **wishes), reject).run(files.read(io.BytesIO(data)))


@pytest.fixture(params=["sqlite", "mariadb"])
def other(
    request: pytest.FixtureRequest, tmp_path: Path, open_queue: Callable[[str], RunnerStore]
) -> Iterator[RunnerStore]:
    """A second queue: together with ``store``, every pair of databases."""
    if request.param == "sqlite":
        yield open_queue(f"sqlite:///{tmp_path / 'other.db'}")
        return
    server = request.getfixturevalue("mariadb")
    name = f"o{uuid.uuid4().hex[:16]}"
    execute(server, f"CREATE DATABASE {name} COLLATE utf8mb4_unicode_520_ci")
    yield open_queue(server.url(name))
    execute(server, f"DROP DATABASE {name}")


def test_a_round_trip_gives_back_every_byte(store: RunnerStore, other: RunnerStore) -> None:
    count = fill(store)
    before = exported(store)
    bad: list[str] = []
    report = imported(other, before, bad)
    assert bad == []
    assert (report.added, report.problems, report.is_good) == (count, [], True)
    after = exported(other)
    assert told(after) == told(before)
    # And not only by our own reader: column for column.
    columns = (
        "hook, status, scheduled_date_gmt, scheduled_date_local, priority, args, schedule,"
        " attempts, last_attempt_gmt, last_attempt_local, extended_args, claim_id"
    )
    statement = f"SELECT {columns} FROM wp_actionscheduler_actions ORDER BY action_id"
    assert [list(row) for row in query(other, statement)] == [
        list(row) for row in query(store, statement)
    ]
    logs = (
        "SELECT message, log_date_gmt, log_date_local FROM wp_actionscheduler_logs ORDER BY log_id"
    )
    assert [list(r) for r in query(other, logs)] == [list(r) for r in query(store, logs)]


def test_the_same_file_again_adds_nothing(store: RunnerStore, other: RunnerStore) -> None:
    count = fill(store)
    data = exported(store)
    imported(other, data)
    again = imported(other, data)
    assert (again.added, again.known, again.is_good) == (0, count, True)
    assert other.parts.counting.all(Query()) == count


@pytest.mark.parametrize("unique", [False, True])
def test_what_was_added_before_is_known_wherever_it_stands(
    store: RunnerStore, other: RunnerStore, monkeypatch: pytest.MonkeyPatch, unique: bool
) -> None:
    """After batches without any the keys are not looked up first, and refuse all the same."""
    monkeypatch.setattr(importing, "BATCH", 2)
    insert(store, *[make_new(f"h{n}") for n in range(12)])
    header, *lines, end = exported(store).splitlines(keepends=True)
    end = json.loads(end) | {"actions": 3}
    assert imported(other, header + b"".join(lines[4:7]) + dumped(end)).added == 3
    report = imported(other, exported(store), unique=unique)
    assert (report.added, report.known + report.refused, report.problems) == (9, 3, [])
    hooks = query(other, "SELECT hook FROM wp_actionscheduler_actions ORDER BY action_id")
    assert [row[0] for row in hooks] == [f"h{n}" for n in (4, 5, 6, 0, 1, 2, 3, 7, 8, 9, 10, 11)]


def test_nothing_goes_in_front_of_a_batch_that_failed(
    store: RunnerStore, other: RunnerStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "BATCH", 1)
    insert(store, *[make_new(f"h{n}") for n in range(6)])
    data = exported(store)
    bulk = type(other.parts.bulk)
    add = bulk.add

    def failing(self: Any, keyed: Any, **more: Any) -> Any:
        if keyed[0][1].hook == "h2":
            raise Contention("locked")
        return add(self, keyed, **more)

    monkeypatch.setattr(bulk, "add", failing)
    with pytest.raises(Contention):
        imported(other, data)
    hooks = query(other, "SELECT hook FROM wp_actionscheduler_actions ORDER BY action_id")
    assert [row[0] for row in hooks] == ["h0", "h1"]
    monkeypatch.undo()
    report = imported(other, data)
    assert (report.added, report.known, report.is_good) == (4, 2, True)


def test_copy_and_file_know_the_same_actions(store: RunnerStore, other: RunnerStore) -> None:
    insert(store, make_new(), make_new(group="g"))
    report = copy_queue(store.parts, Query(), other.parts, Wishes(now=NOW), lambda *_: None)
    assert (report.added, report.is_good) == (2, True)
    assert imported(other, exported(store)).known == 2
    insert(store, make_new("new"))
    assert (
        copy_queue(store.parts, Query(), other.parts, Wishes(now=NOW), lambda *_: None).added == 1
    )


def test_into_itself_only_when_asked_for(store: RunnerStore) -> None:
    insert(store, make_new())
    data = exported(store)
    with pytest.raises(InputError, match="this very queue"):
        imported(store, data)
    with pytest.raises(InputError, match="the same queue"):
        copy_queue(store.parts, Query(), store.parts, Wishes(now=NOW), lambda *_: None)
    assert imported(store, data, into_itself=True).added == 1


def test_what_runs_or_is_claimed_becomes_pending_and_free(
    store: RunnerStore, other: RunnerStore
) -> None:
    insert(store, make_new("runs"), make_new("held"), make_new("free", due_in=60))
    claim = store.claim_due(now=NOW, limit=2, only=ClaimFilter())
    assert claim is not None
    store.start([(claim.actions[0], [])], now=NOW, once=False)
    data = exported(store)
    was = {line["hook"]: line.get("was") for line in told(data)}
    assert set(was.values()) == {None, "claimed", "in-progress"}
    assert was["free"] is None
    imported(other, data)
    rows = query(other, "SELECT status, claim_id FROM wp_actionscheduler_actions")
    assert [tuple(row) for row in rows] == [("pending", 0)] * 3


def test_filters_and_statuses_narrow(store: RunnerStore, other: RunnerStore) -> None:
    insert(store, make_new("a", group="g"), make_new("b", group="g"), make_new("a"))
    assert [line["hook"] for line in told(exported(store, Query(groups=("g",))))] == ["a", "b"]
    add_row(store, hook="done", status="complete")
    report = imported(other, exported(store), statuses=frozenset({"complete"}))
    assert (report.added, report.left_out, report.is_good) == (1, 3, True)
    assert other.counts() == {"complete": 1}


def test_a_shift_moves_pending_dates_and_what_their_schedules_say(
    store: RunnerStore, other: RunnerStore
) -> None:
    insert(store, make_new("once"), make_new("again", interval=3600))
    add_row(store, hook="done", status="complete")
    imported(other, exported(store), shift=timedelta(hours=-2))
    rows = query(
        other,
        "SELECT hook, scheduled_date_gmt, schedule FROM wp_actionscheduler_actions ORDER BY action_id",
    )
    assert [str(row[1]) for row in rows] == [
        "2026-11-24 09:59:00",
        "2026-11-24 09:59:00",
        "2026-11-24 11:00:00",
    ]
    at = int(NOW.timestamp()) - 60 - 7200
    for row in rows[:2]:
        assert schedule.decode(str(row[2]).encode()).timestamp == at


def test_unique_leaves_out_what_is_pending_here(store: RunnerStore, other: RunnerStore) -> None:
    insert(
        store,
        make_new("a", args=(1,), group="g"),
        make_new("a", args=(2,), group="g"),
        make_new("a", args=(2,), group="g"),
        make_new("a", args=(1,)),
    )
    add_row(store, hook="a", args="[1]", status="complete")
    insert(other, make_new("a", args=(1,), group="g"))
    tried = imported(other, exported(store), unique=True, dry_run=True)
    assert (tried.added, tried.refused) == (3, 2)
    report = imported(other, exported(store), unique=True)
    assert (report.added, report.refused, report.is_good) == (3, 2, True)
    # A refused one is not taken for added.
    assert imported(other, exported(store), unique=True).refused == 2


def test_a_dry_run_counts_and_changes_nothing(store: RunnerStore, other: RunnerStore) -> None:
    count = fill(store)
    tables = "SELECT COUNT(*) FROM wp_actionscheduler_actions"
    report = imported(other, exported(store), dry_run=True)
    assert (report.added, report.known) == (count, 0)
    assert len(report.samples) == 3
    assert query(other, tables)[0][0] == 0
    assert query(other, "SELECT COUNT(*) FROM wp_actionscheduler_groups")[0][0] == 0


def test_a_wait_stays_between_the_same_actions_wherever_they_stand(
    store: RunnerStore, other: RunnerStore
) -> None:
    [first] = insert(store, make_new("first"))
    queue = Queue(store.parts)
    waiting = queue.enqueue(Enqueue(hook="waits", after=[first], after_failed="run"))
    [later] = insert(store, make_new("later"))
    change(store, "UPDATE wp_wpbridge_waits SET after_id = :later", later=later)
    insert(other, make_new("there"))
    report = imported(other, exported(store))
    assert (report.waits_lost, report.is_good) == (0, True)
    rows = query(
        other,
        "SELECT a.hook, b.hook, w.on_failed FROM wp_wpbridge_waits w"
        " JOIN wp_actionscheduler_actions a ON a.action_id = w.action_id"
        " JOIN wp_actionscheduler_actions b ON b.action_id = w.after_id",
    )
    assert [tuple(row) for row in rows] == [("waits", "later", "run")]
    assert waiting is not None
    # Given again after a crash between the row and its wait.
    change(other, "DELETE FROM wp_wpbridge_waits")
    imported(other, exported(store))
    assert query(other, "SELECT COUNT(*) FROM wp_wpbridge_waits")[0][0] == 1


def test_a_wait_for_what_is_not_in_the_file_is_counted(
    store: RunnerStore, other: RunnerStore
) -> None:
    [first] = insert(store, make_new("first"))
    Queue(store.parts).enqueue(Enqueue(hook="waits", after=[first]))
    report = imported(other, exported(store, Query(hooks=("waits",))))
    assert (report.added, report.waits_lost) == (1, 1)
    # It has no date, and nobody runs it.
    assert other.claim_due(now=NOW + timedelta(days=9), limit=9, only=ClaimFilter()) is None


BAD = [
    (b"{broken", "it is no JSON object"),
    (b"[1]", "it is no JSON object"),
    (b"\xff\xfe", "it is no JSON object"),
    (b'{"id":9}', "hook is missing|args"),
    (b'{"id":9,"hook":"h","status":"pending","args":[],"scheduled":"soon"}', "scheduled: a date"),
    (b'{"id":0,"hook":"h","status":"pending","args":[]}', "id: a whole number"),
    (b'{"id":9,"hook":"' + b"x" * 192 + b'","status":"pending","args":[]}', "hook: a text of 191"),
    (b'{"id":9,"hook":"\\ud800","status":"pending","args":[]}', "hook is not UTF-8"),
    (b'{"id":9,"hook":"h","status":"pending","args":["' + b"x" * 8000 + b'"]}', "8,?000"),
    (b'{"id":9,"hook":"h","status":"pending","args_raw":"/w=="}', "no base64 of UTF-8"),
    (
        b'{"id":9,"hook":"h","status":"pending","args":[],"schedule":{"kind":"x"}}',
        "schedule: an object",
    ),
    (
        b'{"id":9,"hook":"h","status":"pending","args":[],"schedule":{"kind":"single","at":null}}',
        "schedule",
    ),
    (b'{"id":9,"hook":"h","status":"pending","args":[],"after":[[1,"never"]]}', "after: an id"),
    (
        b'{"id":9,"hook":"h","status":"pending","args":[],"priority":256}',
        "priority: a whole number",
    ),
]


@pytest.mark.parametrize(("line", "why"), BAD, ids=range(len(BAD)))
def test_a_bad_line_is_set_aside_and_the_rest_added(
    line: bytes, why: str, store: RunnerStore, other: RunnerStore
) -> None:
    insert(store, make_new("a"), make_new("b"))
    lines = exported(store).splitlines()
    bad: list[str] = []
    report = imported(other, b"\n".join([*lines[:2], line, *lines[2:]]), bad)
    assert (report.added, report.rejected, report.is_good) == (2, 1, False)
    assert bad[0].startswith("3: ")
    assert re.search(why, bad[0])


def test_an_id_that_stands_twice_is_set_aside(store: RunnerStore, other: RunnerStore) -> None:
    insert(store, make_new("a"), make_new("b"))
    head, one, two, end = exported(store).splitlines()
    bad: list[str] = []
    report = imported(other, b"\n".join([head, one, two, one, end]), bad)
    assert (report.added, report.rejected) == (2, 1)
    assert "each stands once" in bad[0]


def test_a_file_that_is_cut_off_is_told(
    store: RunnerStore, other: RunnerStore, tmp_path: Path
) -> None:
    insert(store, *[make_new(f"h{n}") for n in range(50)])
    data = exported(store)
    report = imported(other, data[: len(data) // 2])
    assert not report.is_whole
    assert report.added + report.rejected == report.read
    packed = gzip.compress(data)
    (tmp_path / "cut.gz").write_bytes(packed[: len(packed) // 2])
    with files.source(str(tmp_path / "cut.gz")) as stream:
        lines = list(files.read(stream))
    assert lines[-1].why


@pytest.mark.parametrize(
    "data", [b"", b"{}\n", b"hello\n", b'{"wpbridge":"actions","version":9,"origin":"x"}\n']
)
def test_anything_else_is_no_exported_queue(data: bytes, store: RunnerStore) -> None:
    with pytest.raises(InputError, match=r"no header|version"):
        imported(store, data)
    assert store.counts() == {}


def test_a_target_of_an_old_layout_takes_what_fits(store: RunnerStore, other: RunnerStore) -> None:
    """As of schema 5: neither priorities nor long args."""
    change(
        other,
        "DROP INDEX claim_id_status_priority_scheduled_date_gmt ON wp_actionscheduler_actions"
        if other.parts.whole_rows.identity().startswith("mysql")
        else 'DROP INDEX "wp_actionscheduler_actions__claim_id_status_priority_scheduled_date_gmt"',
    )
    for name in ("priority", "extended_args"):
        change(other, f"ALTER TABLE wp_actionscheduler_actions DROP COLUMN {name}")
    other = again(other)
    insert(store, make_new("short", priority=3), make_new("long", args=("x" * 300,)))
    bad: list[str] = []
    report = imported(other, exported(store), bad)
    assert (report.added, report.rejected, report.problems) == (1, 1, [])
    assert "extended_args" in bad[0]
    # And back: what has no priority has the plugin's usual one.
    back = told(exported(other))
    assert [(line["hook"], line["priority"]) for line in back] == [("short", 10)]
    insert(store, make_new("x"))
    assert imported(store, exported(other)).is_good


def test_what_is_added_while_it_is_read_is_left_for_the_next_time(
    store: RunnerStore, other: RunnerStore
) -> None:
    insert(store, *[make_new(f"h{n}") for n in range(3)])
    lines = lines_of(store.parts, Query(), now=NOW)
    stream = io.BytesIO()
    for place, line in enumerate(lines):
        stream.write(dumped(line))
        if place == 1:
            insert(store, make_new("late"))
    assert imported(other, stream.getvalue()).added == 3
    assert imported(other, exported(store)).added == 1


def test_a_row_that_is_damaged_after_all_is_told_at_the_end(
    store: RunnerStore, other: RunnerStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert(store, make_new("a"), make_new("b"))
    data = exported(store)
    whole_rows = type(other.parts.whole_rows)
    look = whole_rows.statuses_in

    def damaged(self: Any, spans: Any) -> dict[str, int]:
        change(other, "UPDATE wp_actionscheduler_actions SET args = '[7]' WHERE hook = 'a'")
        change(other, "DELETE FROM wp_actionscheduler_actions WHERE hook = 'b'")
        return look(self, spans)

    monkeypatch.setattr(whole_rows, "statuses_in", damaged)
    report = imported(other, data)
    assert len(report.problems) == 2
    assert "2 actions were added, and 1 are there" in report.problems[0]
    assert "differs: args" in report.problems[1]


HEADER = {"wpbridge": "actions", "version": 1, "origin": "elsewhere", "zone": "UTC", "logs": True}


def line(number: int, **values: Any) -> dict[str, Any]:
    told = {
        "id": number,
        "hook": f"h{number}",
        "status": "pending",
        "group": "",
        "scheduled": "2026-12-01 06:00:00",
        "scheduled_local": "2026-12-01 06:00:00",
        "args": [],
        "schedule": {"kind": "async"},
    }
    return told | values


def file_of(*lines: dict[str, Any]) -> bytes:
    end = {"wpbridge": "end", "actions": len(lines)}
    return b"".join(dumped(one) for one in (HEADER, *lines, end))


def packed(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def hooks_of(store: RunnerStore) -> list[str]:
    return [str(r[0]) for r in query(store, "SELECT hook FROM wp_actionscheduler_actions")]


def once_before(store: RunnerStore, *words: str, deed: Callable[[], object]) -> list[str]:
    """Do something else just before the first statement with all of these words; then empty."""
    left = ["the first one"]

    def before(*told: object) -> None:
        if left and all(word in str(told[0]) for word in words):
            left.clear()
            deed()

    listen(store.session, "before", before)
    return left


def test_without_transactions_nothing_is_added_twice(
    mysql_dsn: str, open_queue: Callable[[str], RunnerStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Enqueueing refuses such tables (MyISAM: reading only)."""
    monkeypatch.setattr(importing, "BATCH", 2)
    change(open_queue(mysql_dsn), "ALTER TABLE wp_actionscheduler_actions ENGINE=MyISAM")
    here = open_queue(mysql_dsn)
    with contextlib.suppress(WpbridgeError):
        imported(here, file_of(line(3)))
        imported(here, file_of(*map(line, range(1, 5))))
    assert len(hooks_of(here)) == len(set(hooks_of(here)))


@pytest.mark.parametrize(
    "wrong",
    [
        # On MariaDB the zero date: due at once, and before all others.
        {"scheduled": "2026-02-30 06:00:00"},
        {"scheduled": "2026-13-45 99:99:99"},
        {"args_columns": [packed("x" * 300), None]},
        {"args_columns": [packed("x" * 32), packed("y" * 9000)]},
    ],
)
def test_what_the_columns_cannot_hold_is_set_aside(
    mysql_dsn: str,
    open_queue: Callable[[str], RunnerStore],
    wrong: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whether or not it is one of the fifty that are compared."""
    monkeypatch.setattr(verifying, "SAMPLE", 0)
    report = imported(open_queue(mysql_dsn), file_of(line(1, **wrong), line(2)))
    assert (report.added, report.rejected, report.is_good) == (1, 1, False)


@pytest.mark.parametrize(
    "odd",
    [
        {"hook": "elephant \U0001f418"},
        {"logs": [["elephant \U0001f418", "2026-01-01 00:00:00", "2026-01-01 00:00:00"]]},
        {"group": "\U0001f418"},
        {"args_raw": packed('["\U0001f418"]')},
    ],
)
def test_what_an_old_charset_cannot_hold_is_set_aside(
    mysql_dsn: str,
    open_queue: Callable[[str], RunnerStore],
    odd: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """``?`` is written for it, or the whole import refused (a group)."""
    monkeypatch.setattr(verifying, "SAMPLE", 0)
    here = open_queue(mysql_dsn)
    for table in ("actions", "groups", "logs"):
        change(
            here,
            f"ALTER TABLE wp_actionscheduler_{table} CONVERT TO CHARACTER SET utf8mb3"
            " COLLATE utf8mb3_unicode_ci",
        )
    report = imported(here, file_of(line(1, **odd), line(2)))
    assert (report.added, report.rejected, hooks_of(here)) == (1, 1, ["h2"])


def test_a_row_that_no_packet_holds_does_not_bar_the_others(
    mysql_dsn: str, open_queue: Callable[[str], RunnerStore]
) -> None:
    here = open_queue(mysql_dsn)
    data = file_of(line(1), line(2, schedule_raw=packed("x" * 17_000_000)), line(3))
    report = imported(here, data)
    assert (report.added, report.rejected) == (2, 1)


def test_unique_sees_what_was_added_while_it_waited_for_the_group(
    mysql_dsn: str, tmp_path: Path, open_queue: Callable[[str], RunnerStore]
) -> None:
    """The keys are looked up first, and with them begins what this transaction sees."""
    here, beside = open_queue(mysql_dsn), open_queue(mysql_dsn)
    source = open_queue(f"sqlite:///{tmp_path / 'source.db'}")
    Queue(source.parts, close_store=False).enqueue(Enqueue(hook="once", group="g"))
    here.parts.groups.ensure("g")
    here.parts.own.ensure(here.names.keys)
    new = Enqueue(hook="once", group="g", unique=True)
    left = once_before(
        here,
        "wp_actionscheduler_groups",
        "FOR UPDATE",
        deed=lambda: Queue(beside.parts, close_store=False).enqueue(new),
    )
    imported(here, exported(source), unique=True)
    assert (left, hooks_of(here)) == ([], ["once"])


def test_a_trial_counts_as_unique_what_stands_twice_in_the_file(store: RunnerStore) -> None:
    data = file_of(line(1, hook="same"), line(2, hook="same"))
    tried = imported(store, data, unique=True, dry_run=True)
    done = imported(store, data, unique=True)
    assert (tried.added, tried.refused) == (done.added, done.refused) == (1, 1)


def test_another_action_under_a_known_id_is_not_taken_for_the_known_one(store: RunnerStore) -> None:
    """The origin was made anew, or its server has given an id away twice."""
    imported(store, file_of(line(1, hook="first")))
    report = imported(store, file_of(line(1, hook="second")))
    assert report.added or not report.is_good


def test_what_comes_after_the_end_is_told(store: RunnerStore) -> None:
    """Counted are only the lines before it."""
    assert not imported(store, file_of(line(1)) + dumped(line(2))).is_good
