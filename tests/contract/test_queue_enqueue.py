"""What each way to enqueue leaves in the tables, and that what is refused leaves nothing."""

import hashlib
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pymysql
import pytest

from clocks import FakeClock
from factories import NOW
from rows import change, column, log_of, query
from stores import AnyStore, again
from wpbridge.errors import (
    ActionNotFound,
    ConfigError,
    InputError,
    SchemaError,
    SiteError,
    StoreMissing,
)
from wpbridge.queue.enqueue import Enqueue
from wpbridge.queue.facade import Queue, opened
from wpbridge.site.config import load
from wpbridge.store.running.runner_store import RunnerStore

UNIX = 1_795_521_600
"""NOW."""
ZERO = "0000-00-00 00:00:00"
COLUMNS = (
    "hook, status, scheduled_date_gmt, scheduled_date_local, priority, args, schedule, attempts,"
    " last_attempt_gmt, last_attempt_local, claim_id, extended_args"
)
ASYNC = 'O:28:"ActionScheduler_NullSchedule":0:{}'


def row(store: RunnerStore, action_id: int | None) -> list[object]:
    (found,) = query(
        store, f"SELECT {COLUMNS} FROM wp_actionscheduler_actions WHERE action_id = :i", i=action_id
    )
    return [str(value) if place in (2, 3, 8, 9) else value for place, value in enumerate(found)]


def new_row(
    hook: str,
    due: str,
    schedule: str,
    *,
    args: str = "[]",
    priority: int = 10,
    extended: str | None = None,
) -> list[object]:
    """A fresh row of a site in UTC, as the plugin inserts it."""
    return [hook, "pending", due, due, priority, args, schedule, 0, ZERO, ZERO, 0, extended]


def single(at: int) -> str:
    return (
        f'O:30:"ActionScheduler_SimpleSchedule":2:{{s:22:"\0*\0scheduled_timestamp";i:{at};'
        f's:41:"\0ActionScheduler_SimpleSchedule\0timestamp";i:{at};}}'
    )


def interval(at: int, first: int, seconds: int) -> str:
    return (
        f'O:32:"ActionScheduler_IntervalSchedule":5:{{s:22:"\0*\0scheduled_timestamp";i:{at};'
        f's:18:"\0*\0first_timestamp";i:{first};s:13:"\0*\0recurrence";i:{seconds};'
        f's:49:"\0ActionScheduler_IntervalSchedule\0start_timestamp";i:{at};'
        f's:53:"\0ActionScheduler_IntervalSchedule\0interval_in_seconds";i:{seconds};}}'
    )


def cron(at: int, first: int, *parts: str) -> str:
    told = "".join(f'i:{n};s:{len(part)}:"{part}";' for n, part in enumerate(parts))
    names = ["Minutes", "Hours", "DayOfMonth", "Month", "DayOfWeek", "Year"][: len(parts)]
    fields = "".join(
        f'i:{n};O:{len(name) + 20}:"CronExpression_{name}Field":0:{{}}'
        for n, name in enumerate(names)
    )
    return (
        f'O:28:"ActionScheduler_CronSchedule":5:{{s:22:"\0*\0scheduled_timestamp";i:{at};'
        f's:18:"\0*\0first_timestamp";i:{first};s:13:"\0*\0recurrence";'
        f'O:14:"CronExpression":2:{{s:25:"\0CronExpression\0cronParts";a:{len(parts)}:{{{told}}}'
        's:28:"\0CronExpression\0fieldFactory";O:27:"CronExpression_FieldFactory":1:{'
        f's:35:"\0CronExpression_FieldFactory\0fields";a:{len(parts)}:{{{fields}}}}}}}'
        f's:45:"\0ActionScheduler_CronSchedule\0start_timestamp";i:{at};'
        's:34:"\0ActionScheduler_CronSchedule\0cron";r:4;}'
    )


def contents(store: AnyStore) -> dict[str, Sequence[Sequence[object]]]:
    """Every row of the plugin's tables and of those of ours that enqueueing fills."""
    return {
        table: query(store, f"SELECT * FROM wp_{table} ORDER BY 1, 2")
        for table in (
            "actionscheduler_actions",
            "actionscheduler_logs",
            "actionscheduler_groups",
            "actionscheduler_claims",
            "wpbridge_keys",
            "wpbridge_waits",
            "wpbridge_zones",
        )
    }


# The plugin's functions


def test_an_async_action(queue: Queue, store: RunnerStore) -> None:
    action_id = queue.enqueue_async("send_mail", {"order": 17})
    assert row(store, action_id) == new_row(
        "send_mail", "2026-11-24 12:00:00", ASYNC, args='{"order":17}'
    )
    (log,) = query(store, "SELECT action_id, message, log_date_gmt FROM wp_actionscheduler_logs")
    assert (log[0], log[1], str(log[2])) == (action_id, "action created", "2026-11-24 12:00:00")


def test_a_single_action(queue: Queue, store: RunnerStore) -> None:
    dates: list[Any] = [
        UNIX + 600,
        "+10m",
        timedelta(minutes=10),
        NOW + timedelta(minutes=10),
        "2026-11-24T12:10",
    ]
    for at in dates:
        action_id = queue.schedule_single(at, "send_mail", [17], priority=5)
        assert row(store, action_id) == new_row(
            "send_mail", "2026-11-24 12:10:00", single(UNIX + 600), args="[17]", priority=5
        )
        assert log_of(store, int(action_id or 0)) == ["action created"]


def test_a_single_action_without_a_date_is_for_now(queue: Queue, store: RunnerStore) -> None:
    action_id = queue.schedule_single(None, "h")
    assert row(store, action_id) == new_row("h", "2026-11-24 12:00:00", single(UNIX))


def test_a_single_action_of_the_past_keeps_its_date(queue: Queue, store: RunnerStore) -> None:
    action_id = queue.schedule_single("1999-12-31T23:59:59", "h")
    assert row(store, action_id) == new_row("h", "1999-12-31 23:59:59", single(946_684_799))


def test_a_recurring_action(queue: Queue, store: RunnerStore) -> None:
    action_id = queue.schedule_recurring("+1m", 3600, "tidy", ["a/b"])
    assert row(store, action_id) == new_row(
        "tidy", "2026-11-24 12:01:00", interval(UNIX + 60, UNIX + 60, 3600), args='["a\\/b"]'
    )
    assert log_of(store, int(action_id or 0)) == ["action created"]


def test_a_recurring_action_of_interval_0_is_single(queue: Queue, store: RunnerStore) -> None:
    action_id = queue.schedule_recurring(None, 0, "tidy")
    assert row(store, action_id) == new_row("tidy", "2026-11-24 12:00:00", single(UNIX))


def test_a_cron_action(queue: Queue, store: RunnerStore) -> None:
    action_id = queue.schedule_cron(UNIX + 59, "0 3 * * *", "report")
    night = UNIX + 15 * 3600
    assert row(store, action_id) == new_row(
        "report", "2026-11-25 03:00:00", cron(night, UNIX, "0", "3", "*", "*", "*")
    )
    assert log_of(store, int(action_id or 0)) == ["action created"]


def test_a_cron_action_with_a_macro_and_one_with_a_year(queue: Queue, store: RunnerStore) -> None:
    daily = queue.schedule_cron(None, "@daily", "report")
    midnight = UNIX + 12 * 3600
    assert row(store, daily) == new_row(
        "report", "2026-11-25 00:00:00", cron(midnight, UNIX, "0", "0", "*", "*", "*")
    )
    yearly = queue.schedule_cron(None, " 0  0 1 1 * 2030", "report")
    assert row(store, yearly) == new_row(
        "report",
        "2030-01-01 00:00:00",
        cron(1_893_456_000, UNIX, "0", "0", "1", "1", "*", "2030"),
    )


def test_local_dates_are_the_site_s(dsn: str, open_queue: Callable[[str], RunnerStore]) -> None:
    store = open_queue(dsn)
    change(store, "CREATE TABLE wp_options (option_name varchar(191), option_value text)")
    change(store, "INSERT INTO wp_options VALUES ('timezone_string', 'Europe/Berlin')")
    store = again(store)
    queue = Queue(store.parts, clock=FakeClock())
    async_, dated = queue.enqueue_async("h"), queue.schedule_single("2026-07-01T12:00", "h")
    assert row(store, async_)[2:4] == ["2026-11-24 12:00:00", "2026-11-24 12:00:00"]
    assert row(store, dated)[2:4] == ["2026-07-01 12:00:00", "2026-07-01 14:00:00"]
    (log,) = query(
        store,
        "SELECT log_date_gmt, log_date_local FROM wp_actionscheduler_logs WHERE action_id = :i",
        i=dated,
    )
    assert [str(date) for date in log] == ["2026-11-24 12:00:00", "2026-11-24 13:00:00"]


def test_priorities(queue: Queue, store: RunnerStore) -> None:
    for priority in (0, 10, 255):
        action_id = queue.enqueue_async("h", priority=priority)
        assert column(store, "priority", int(action_id or 0)) == priority


# Args


def test_args_over_191_bytes_are_found_by_their_md5(queue: Queue, store: RunnerStore) -> None:
    short, long = ["x" * 187], ["x" * 188]
    text = f'["{"x" * 188}"]'
    digest = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
    assert row(store, queue.enqueue_async("h", short))[5::6] == [f'["{"x" * 187}"]', None]
    assert row(store, queue.enqueue_async("h", long))[5::6] == [digest, text]


def test_args_of_8000_bytes(queue: Queue, store: RunnerStore) -> None:
    action_id = queue.enqueue_async("h", ["\\" * 3998])
    text = '["' + "\\" * 7996 + '"]'
    assert row(store, action_id)[11] == text
    assert queue.get(action_id or 0).args == text.encode()


def test_odd_texts_come_back_as_they_were(queue: Queue, store: RunnerStore) -> None:
    args = {"q'\"%s%%:x\\": "\N{PILE OF POO}\x7f\0é", "n": [None, True, 1.5, -0.0]}
    action_id = queue.enqueue_async("hook'\"\\%s :x \N{PILE OF POO}", args, group="g'\"\\%s :y é")
    found = queue.get(action_id or 0)
    assert found.hook == "hook'\"\\%s :x \N{PILE OF POO}"
    assert found.group == "g'\"\\%s :y é"
    assert found.args == (
        b'{"q\'\\"%s%%:x\\\\":"\\ud83d\\udca9\x7f\\u0000\\u00e9","n":[null,true,1.5,-0]}'
    )
    query(store, "SELECT 1")


@pytest.fixture
def bare_queue(dsn: str, open_queue: Callable[[str], RunnerStore]) -> Queue:
    """Over tables of the plugin's schema 5: neither priority nor extended args."""
    store = open_queue(dsn)
    if dsn.startswith("mysql"):
        change(
            store,
            "ALTER TABLE wp_actionscheduler_actions"
            " DROP INDEX claim_id_status_priority_scheduled_date_gmt",
        )
    else:
        names = query(
            store, "SELECT name FROM sqlite_master WHERE type = 'index' AND sql LIKE '%priority%'"
        )
        for (name,) in names:
            change(store, f'DROP INDEX "{name}"')
    for name in ("priority", "extended_args"):
        change(store, f"ALTER TABLE wp_actionscheduler_actions DROP COLUMN {name}")
    store = again(store)
    return Queue(store.parts, clock=FakeClock(), close_store=False)


def test_without_extended_args_only_short_args_are_taken(bare_queue: Queue) -> None:
    action_id = bare_queue.enqueue_async("h", ["x" * 187], priority=5)
    assert bare_queue.get(action_id or 0).priority == 10
    for call in (bare_queue.enqueue, bare_queue.check):
        with pytest.raises(InputError, match="args of 192 bytes need the column extended_args"):
            call(Enqueue(hook="h", args=["x" * 188]))
    assert bare_queue.count() == 1


def test_without_priority_no_group_is_0(bare_queue: Queue) -> None:
    store = bare_queue.store
    action_id = bare_queue.enqueue_async("h")
    assert column(store, "group_id", int(action_id or 0)) == 0
    assert query(store, "SELECT * FROM wp_actionscheduler_groups") == []
    grouped = bare_queue.enqueue_async("h", group="g")
    assert column(store, "group_id", int(grouped or 0)) == 1
    again = bare_queue.enqueue_async("h", unique=True)
    assert again is None, "the ungrouped one is pending"
    other = bare_queue.enqueue_async("other", unique=True)
    assert column(store, "group_id", int(other or 0)) == 0


# Groups


def test_no_group_is_the_row_with_the_empty_slug(queue: Queue, store: RunnerStore) -> None:
    ids = [queue.enqueue_async("h") or 0, queue.schedule_single("+1h", "h") or 0]
    assert query(store, "SELECT group_id, slug FROM wp_actionscheduler_groups") == [(1, "")]
    assert [column(store, "group_id", i) for i in ids] == [1, 1]
    assert [queue.get(i).group for i in ids] == ["", ""]


def test_a_group_is_made_once_as_it_is_written(queue: Queue, store: RunnerStore) -> None:
    ids = [queue.enqueue_async("h", group=" Mail 1 ") or 0 for _ in range(3)]
    assert query(store, "SELECT slug FROM wp_actionscheduler_groups") == [(" Mail 1 ",)]
    assert len({column(store, "group_id", i) for i in ids}) == 1


def test_the_database_decides_what_is_one_group(queue: Queue, store: RunnerStore, dsn: str) -> None:
    first = queue.enqueue_async("h", group="mail") or 0
    on_mariadb = dsn.startswith("mysql")
    for slug, is_one in (
        ("MAIL", True),
        ("máil", on_mariadb),
        ("mail ", on_mariadb),
        ("mai", False),
    ):
        second = queue.enqueue_async("h", group=slug) or 0
        same = column(store, "group_id", first) == column(store, "group_id", second)
        assert same is is_one, slug
        assert queue.get(second).group == ("mail" if is_one else slug), "the first spelling wins"


def test_of_several_rows_of_a_group_the_first_is_written(queue: Queue, store: RunnerStore) -> None:
    for _ in range(2):
        change(store, "INSERT INTO wp_actionscheduler_groups (slug) VALUES ('twice')")
    action_id = queue.enqueue_async("h", group="twice") or 0
    assert column(store, "group_id", action_id) == 1
    change(store, "UPDATE wp_actionscheduler_actions SET group_id = 2")
    assert [found.id for found in queue.find(groups=("twice",))] == [action_id]


# Refused


def nested(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels - 1):
        value = [value]
    return value


REFUSED: list[dict[str, Any]] = [
    {"hook": ""},
    {"hook": "x" * 192},
    {"hook": "a\0b"},
    {"hook": "\ud800"},
    {"group": "x" * 256},
    {"group": "a\0b"},
    {"args": "[1]"},
    {"args": None},
    {"args": [float("nan")]},
    {"args": [2**63]},
    {"args": [object()]},
    {"args": [b"\xff"]},
    {"args": ["x" * 7997]},
    {"args": nested(512)},
    {"priority": 256},
    {"priority": -1},
    {"at": datetime(2026, 1, 1)},  # noqa: DTZ001 - that is what is refused
    {"at": "whenever"},
    {"at": timedelta.max},
    {"interval": -5},
    {"interval": "often"},
    {"cron": "* * *"},
    {"cron": "0 0 30 2 *"},
    {"cron": "@daily", "tz": "Mars/Olympus"},
    {"cron": "@daily", "interval": 60},
    {"tz": "Europe/Rome"},
    {"key": "x" * 1001},
    {"after_failed": "explode"},
    {"after": [1, 999]},
    {"after": [0]},
    {"after": [-1]},
    {"after": [2**63, 2**70]},
]


def test_what_is_refused_leaves_no_trace(queue: Queue, store: RunnerStore) -> None:
    queue.enqueue_async("there", group="there", key="there")
    before = contents(store)
    good = Enqueue(hook="good", group="newer", key="k", unique=True)
    for values in REFUSED:
        bad = Enqueue(**{"hook": "h", "group": "new", **values})
        calls: list[Callable[[Enqueue], object]] = [
            queue.enqueue,
            lambda bad: queue.enqueue_many([good, bad, good]),
            queue.check,
            queue.refusal,
        ]
        for call in calls:
            with pytest.raises(ActionNotFound if "after" in values else InputError) as told:
                call(bad)
            assert "\n" not in str(told.value)
        assert contents(store) == before, values


def test_unknown_actions_to_wait_for_are_named(queue: Queue) -> None:
    known = queue.enqueue_async("h") or 0
    with pytest.raises(ActionNotFound, match=r"^there is no action 998, 999$"):
        queue.enqueue_async("h", after=[998, known, 999, 998])
    with pytest.raises(ActionNotFound, match=r"^there is no action 100, .*109, …$"):
        queue.enqueue_async("h", after=range(100, 111))


def test_tables_without_transactions_are_refused(
    mysql_dsn: str, open_queue: Callable[[str], RunnerStore]
) -> None:
    store = open_queue(mysql_dsn)
    change(store, "ALTER TABLE wp_actionscheduler_actions ENGINE=MyISAM")
    store = again(store)
    with pytest.raises(SchemaError, match="MyISAM"):
        Queue(store.parts).enqueue_async("h", group="g")
    assert query(store, "SELECT * FROM wp_actionscheduler_groups") == []


def test_check_tells_the_row_and_changes_nothing(queue: Queue, store: RunnerStore) -> None:
    before = contents(store)
    made = queue.check(Enqueue(hook="h", args=[1], at="+1h", group="new", unique=True, key="k"))
    assert (made.hook, made.args, made.group) == ("h", "[1]", "new")
    assert made.schedule.decode() == single(UNIX + 3600)
    assert made.scheduled_at == NOW + timedelta(hours=1)
    assert contents(store) == before


# Many


def test_many_keep_their_order(queue: Queue, store: RunnerStore) -> None:
    ids = queue.enqueue_many(
        Enqueue(hook="h", args=[n], group=f"g{n % 3}", at=UNIX + n) for n in range(2500)
    )
    assert [i for i in ids if i] == list(range(1, 2501))
    found = query(store, "SELECT action_id, args FROM wp_actionscheduler_actions ORDER BY 1")
    assert [str(r[1]) for r in found] == [f"[{n}]" for n in range(2500)]
    assert len(query(store, "SELECT * FROM wp_actionscheduler_groups")) == 3
    logs = query(store, "SELECT action_id, message FROM wp_actionscheduler_logs ORDER BY log_id")
    assert [(int(str(r[0])), r[1]) for r in logs] == [(n, "action created") for n in ids]


def test_many_of_every_kind_are_as_if_one_by_one(queue: Queue, store: RunnerStore) -> None:
    first = queue.enqueue_async("old", key="old") or 0
    ids = queue.enqueue_many(
        [
            Enqueue(hook="a"),
            Enqueue(hook="a", unique=True),
            Enqueue(hook="b", unique=True),
            Enqueue(hook="b"),
            Enqueue(hook="c", key="old"),
            Enqueue(hook="c", key="new"),
            Enqueue(hook="c", key="new"),
            Enqueue(hook="d", after=[first]),
            Enqueue(hook="d", unique=True, key="never"),
            Enqueue(hook="e", cron="@daily", tz="Europe/Rome"),
            Enqueue(hook="b", unique=True),
        ]
    )
    a, not_a, b, b2, old, c, c2, d, not_d, e, not_b = ids
    assert (not_a, not_d, not_b) == (None, None, None)
    assert old == first
    assert c == c2
    assert [a, b, b2, c, d, e] == sorted(i for i in {*ids} - {first} if i)
    assert [r.hook for r in queue.find(order="id")] == ["old", "a", "b", "b", "c", "d", "e"]
    assert [r[0] for r in query(store, "SELECT action_id FROM wp_wpbridge_waits")] == [d]
    assert [r[0] for r in query(store, "SELECT action_id FROM wp_wpbridge_zones")] == [e]
    assert len(query(store, "SELECT * FROM wp_wpbridge_keys")) == 2


def test_what_is_wrong_in_a_later_thousand_leaves_the_first_ones(queue: Queue) -> None:
    def many() -> Any:
        yield from (Enqueue(hook="h") for _ in range(1500))
        yield Enqueue(hook="")

    with pytest.raises(InputError):
        queue.enqueue_many(many())
    assert queue.count() == 1000
    assert queue.enqueue_many([]) == []


# Opening


def test_a_queue_is_opened_by_its_address(
    dsn: str, open_queue: Callable[[str], RunnerStore], tmp_path: Path
) -> None:
    store = open_queue(dsn)
    with Queue.open(dsn=dsn, env={}, cwd=tmp_path, unique_by="args") as queue:
        assert queue.enqueue_async("h", [1], unique=True) == 1
        assert queue.enqueue_async("h", [2], unique=True) == 2
    settings = load({"dsn": dsn, "unique_by": "group"}, {}, tmp_path)
    with opened(settings, {}) as queue:
        assert queue.enqueue_async("h", [3], unique=True) is None
    assert Queue.of(settings, {}).count() == 2
    assert len(query(store, "SELECT 1 FROM wp_actionscheduler_actions")) == 2


def test_a_queue_of_nothing_is_not_opened(tmp_path: Path) -> None:
    with pytest.raises((ConfigError, SiteError)):
        Queue.open(env={}, cwd=tmp_path)
    file = tmp_path / "empty.db"
    queue = Queue.open(dsn=f"sqlite:///{file}", env={}, cwd=tmp_path)
    with queue, pytest.raises(StoreMissing, match="is its name right"):
        queue.enqueue_async("h")
    assert not file.exists(), "a misspelt name must not become an empty queue"
    file.touch()
    with queue, pytest.raises(SchemaError, match="missing tables"):
        queue.enqueue_async("h")


# Threads, and connections that end


def test_threads_take_turns(dsn: str, open_queue: Callable[[str], RunnerStore]) -> None:
    queue = Queue(open_queue(dsn).parts, clock=FakeClock(), close_store=False)
    start = threading.Barrier(4)
    made: list[int | None] = []

    def work() -> None:
        start.wait()
        for _ in range(25):
            made.append(queue.enqueue_async("h", group="g"))
            queue.find(limit=1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(i or 0 for i in made) == list(range(1, 101))


def kill_connections(dsn: str, store: RunnerStore) -> None:
    """As a server that ends idle connections."""
    (found,) = query(store, "SELECT CONNECTION_ID()")
    socket = dsn.partition("unix_socket=")[2]
    other = pymysql.connect(unix_socket=socket, user="root")
    with other.cursor() as cursor:
        cursor.execute(f"KILL {found[0]}")
    other.close()


def test_a_queue_that_lay_idle_connects_again(
    mysql_dsn: str, open_queue: Callable[[str], RunnerStore]
) -> None:
    store = open_queue(mysql_dsn)
    queue = Queue(store.parts)
    for number in (1, 2, 3):
        assert queue.enqueue_async("h") == number
        kill_connections(mysql_dsn, store)
    assert queue.count() == 3


def test_dates_of_any_zone_are_stored_in_utc(queue: Queue, store: RunnerStore) -> None:
    at = datetime(2026, 12, 1, 9, 30, 59, 999_999, tzinfo=UTC).astimezone()
    assert row(store, queue.schedule_single(at, "h"))[2] == "2026-12-01 09:30:59"
