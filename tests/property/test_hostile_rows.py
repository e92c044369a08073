"""Whatever rows hold and handlers raise: a run ends, and so does each action, beside good ones."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from factories import insert, make_new
from hostile import RAISED
from rows import change, query
from stores import make_store
from wpbridge.clock import SystemClock
from wpbridge.codec import schedule
from wpbridge.codec.schedule import Cron, Interval, Single
from wpbridge.errors import CodecError
from wpbridge.executors.handlers import Context, describe
from wpbridge.executors.threads import ThreadExecutor
from wpbridge.outcome import LogLine
from wpbridge.runner.identity import identity
from wpbridge.runner.loop import Limits, Runner
from wpbridge.site.database import DatabaseAddress
from wpbridge.store.base import ClaimFilter
from wpbridge.store.database import sqlite
from wpbridge.store.running.runner_store import RunnerStore
from wpbridge.store.schema.ddl import SQLiteDdl

ACTIONS = "wp_actionscheduler_actions"
MOST = 2**63 - 1

numbers = st.sampled_from(
    [
        0,
        1,
        -1,
        3600,
        -3600,
        10**11,
        -(10**11),
        253_402_300_799,
        253_402_300_800,
        -62_135_596_800,
        -62_135_596_801,
        2**31,
        2**40,
        -(2**40),
        MOST,
        -MOST - 1,
    ]
) | st.integers(-MOST, MOST)
crons = st.sampled_from(
    [
        "* * * * *",
        "0 0 31 2 *",
        "0 0 29 2 1 2024",
        "@hourly",
        "",
        "\0",
        "* * * * * 1970",
        "a b c d e",
        "0 0 1 1 * 9999",
    ]
)


def blob(made: schedule.Schedule) -> bytes:
    try:
        return schedule.encode(made)
    except (CodecError, ValueError, OverflowError):
        return b"a:0:{}"


intervals = st.builds(Interval, timestamp=numbers, first_timestamp=numbers, recurrence=numbers)
made = (
    st.builds(Single, timestamp=numbers)
    | intervals
    | st.builds(Cron, timestamp=numbers, first_timestamp=numbers, expression=crons)
)


@st.composite
def spoiled(draw: st.DrawFn) -> bytes:
    """A schedule's text with something changed in the middle."""
    text = draw(made.map(blob))
    place = draw(st.integers(0, max(0, len(text) - 1)))
    return text[:place] + draw(st.binary(max_size=6)) + text[place + draw(st.integers(0, 4)) :]


schedules = (
    made.map(blob)
    | spoiled()
    | st.sampled_from(
        [
            b"",
            b"O:",
            b"N;",
            b"a:1:{i:0;" * 3000,
            b'O:30:"ActionScheduler_SimpleSchedule":0:{}',
        ]
    )
)
args = st.sampled_from(
    [
        "",
        "[",
        "[1E400]",
        '["\\ud800"]',
        "[" * 600 + "]" * 600,
        "[" * 4000,
        "null",
        "5",
        '{"a":[{}]}',
        "a:1:{i:0;i:1;}",
        'O:8:"stdClass":0:{}',
        "[" + "9" * 5000 + "]",
        '["\\u0000"]',
        "[1e5]",
        '[{"0":1}]',
        "[-0]",
        "[NaN]",
    ]
) | st.text('[]{}",:0123456789eE\\u-.', max_size=40)
dates = st.sampled_from(
    [
        "0000-00-00 00:00:00",
        "1000-01-01 00:00:00",
        "9999-12-31 23:59:59",
        "2026-01-01 00:00:00",
        "0001-01-01 00:00:00",
    ]
)
anything: st.SearchStrategy[Any] = st.sampled_from(
    [
        "x",
        "",
        "1.5",
        1.5,
        -1,
        2**40,
        b"\xff\xfe",
        "9" * 400,
        "٣",
        "nan",
        float("inf"),
    ]
)


@dataclass(frozen=True)
class Row:
    """What is put into an action's columns, and what its handler does."""

    raises: str
    columns: dict[str, Any] = field(default_factory=dict)


def rows_of(**columns: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Row]]:
    row = st.builds(
        Row,
        raises=st.sampled_from(["", *RAISED]),
        columns=st.fixed_dictionaries({}, optional=columns),
    )
    return st.lists(row, min_size=1, max_size=5)


lite_rows = rows_of(
    schedule=schedules,
    args=args,
    extended_args=args,
    scheduled_date_gmt=dates | anything,
    priority=numbers | anything,
    attempts=numbers | anything,
    group_id=numbers | anything,
    status=st.sampled_from(["PENDING", "Pending"]),
)
strict_rows = rows_of(
    schedule=schedules.map(lambda told: told.decode("utf-8", "ignore")),
    args=args.map(lambda told: told[:191]),
    extended_args=args,
    scheduled_date_gmt=dates,
    priority=st.sampled_from([0, 255]),
    attempts=st.sampled_from([-(2**31), 2**31 - 1]),
    group_id=st.sampled_from([0, 2**64 - 1]),
    status=st.sampled_from(["PENDING", "pénding", "pending "]),
)


@contextlib.contextmanager
def opened(dsn: str) -> Iterator[RunnerStore]:
    with pytest.MonkeyPatch.context() as patch:
        # As older drivers make tables for WordPress: any column holds anything.
        patch.setattr(sqlite.SQLite, "ddl", SQLiteDdl(is_strict=False))
        store = make_store(DatabaseAddress.from_dsn(dsn), "wp_")
    try:
        yield store
    finally:
        store.close()


def run(store: RunnerStore, raised: dict[int, str], ran: list[int]) -> None:
    """Three times as many claims as there can be rows: a negative interval is due at once."""
    clock = SystemClock()

    def h(*_: object, context: Context) -> None:
        ran.append(context.id)
        name = raised.get(context.id, "")
        if name:
            made = RAISED[name][0]
            raise made()

    handlers = {"h": describe("h", h), "good": describe("good", lambda *_: None)}
    executor = ThreadExecutor(handlers, concurrency=2, clock=clock, site="s")
    runner = Runner(
        store,
        executor,
        clock,
        identity(),
        only=ClaimFilter(hooks=frozenset(handlers)),
        limits=Limits(batches=6, batch_size=25),
    )
    runner.run()


def weather(store: RunnerStore, told: list[Row], *, is_held: bool) -> None:
    """Put the rows there, each beside a good one, under a dead runner or under none, and run."""
    for table in ("actions", "logs", "claims"):
        change(store, f"DELETE FROM wp_actionscheduler_{table}")
    now = SystemClock().now()
    ids = insert(store, *(make_new("h", now=now) for _ in told), now=now)
    good = insert(store, *(make_new("good", now=now) for _ in told), now=now)
    if is_held:
        hold(store, [*ids, *good])
    for action_id, row in zip(ids, told, strict=True):
        for name, value in row.columns.items():
            if not (is_held and name == "status"):
                change(
                    store,
                    f"UPDATE {ACTIONS} SET {name} = :v WHERE action_id = :i",
                    v=value,
                    i=action_id,
                )
    ran: list[int] = []
    run(store, {i: row.raises for i, row in zip(ids, told, strict=True)}, ran)
    found = {
        int(str(row[0])): row
        for row in query(store, f"SELECT action_id, status, claim_id FROM {ACTIONS}")
    }
    assert {found[i][1] for i in good} == {"complete"}
    held = [
        row
        for row in found.values()
        if row[1] == "in-progress"
        or (str(row[2]) != "0" and str(row[1]).lower() in ("pending", "pending ", "pénding"))
    ]
    assert not held
    assert not query(store, "SELECT * FROM wp_actionscheduler_claims")
    assert not query(store, "SELECT * FROM wp_wpbridge_runners")
    for action_id in ids:
        ended = found[action_id][1] in ("complete", "failed", "canceled")
        logs = query(
            store, "SELECT message FROM wp_actionscheduler_logs WHERE action_id = :i", i=action_id
        )
        assert not ended or len(logs) >= 2, logs


def hold(store: RunnerStore, ids: list[Any]) -> None:
    """As a runner on another host that died: each second action was started."""
    now = SystemClock().now()
    store.register(host="other", boot="other", pid=1, pid_started="1")
    claim = store.claim_due(now=now, limit=100, only=ClaimFilter())
    assert claim is not None
    assert {action.id for action in claim.actions} == set(ids)
    started = [a for a in claim.actions if a.id % 2]
    store.start(
        [(a, [LogLine(message="action started via wpbridge", at=now)]) for a in started],
        now=now,
        once=False,
    )
    # It is gone; the next run is another one.
    change(store, "UPDATE wp_wpbridge_runners SET beat_gmt = '2020-01-01 00:00:00'")


relaxed = settings(deadline=None, suppress_health_check=list(HealthCheck))


@relaxed
@given(lite_rows, st.booleans())
def test_a_run_on_sqlite_outlives_any_rows_and_errors(told: list[Row], is_held: bool) -> None:
    with opened("sqlite://") as store:
        weather(store, told, is_held=is_held)


@settings(relaxed, max_examples=25)
@given(strict_rows, st.booleans())
def test_a_run_on_mariadb_outlives_any_rows_and_errors(
    mysql_dsn: str,
    told: list[Row],
    is_held: bool,
) -> None:
    with opened(mysql_dsn) as store:
        weather(store, told, is_held=is_held)
