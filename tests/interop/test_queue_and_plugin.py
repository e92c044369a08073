"""What the queue writes the real plugin reads, and the reverse: rows, lookups, canceling.

Needs the real plugin (WPBRIDGE_TEST_PLUGIN); PHP says what is right, in one process a test.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from both_sides import BothSides, Call, Threw
from wpbridge.clock import from_timestamp
from wpbridge.codec import args as args_codec
from wpbridge.codec import schedule
from wpbridge.errors import CronError, InputError
from wpbridge.queue.enqueue import Enqueue
from wpbridge.queue.facade import Queue

WHEN = 1_806_195_599  # 2027-03-28 00:59:59 UTC: one second before Berlin's clock changes
LAST = 253_402_214_399  # 9999-12-30 23:59:59: no local date lies beyond the calendar
LONG = ["é" * 100, {"deep": [1.5, None]}]
LIVE = ["in-progress", "pending"]


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request, as both sides are asked."""

    kind: str = "single"
    hook: str = "q_hook"
    args: Any = field(default_factory=list)
    group: str = ""
    priority: int = 10
    when: int | str = WHEN
    pattern: int | str = 0

    @property
    def call(self) -> Call:
        """Of the plugin's function."""
        tail = (self.hook, self.args, self.group, False, self.priority)
        match self.kind:
            case "async":
                return ("as_enqueue_async_action", *tail)
            case "single":
                return ("as_schedule_single_action", self.when, *tail)
            case "interval":
                return ("as_schedule_recurring_action", self.when, self.pattern, *tail)
        return ("as_schedule_cron_action", self.when, self.pattern, *tail)

    def ask(self, queue: Queue) -> int:
        """The queue's method of the same name."""
        terms = {"group": self.group, "priority": self.priority}
        match self.kind:
            case "async":
                found = queue.enqueue_async(self.hook, self.args, **terms)
            case "single":
                found = queue.schedule_single(self.when, self.hook, self.args, **terms)
            case "interval":
                found = queue.schedule_recurring(
                    self.when, self.pattern, self.hook, self.args, **terms
                )
            case _:
                found = queue.schedule_cron(
                    self.when, str(self.pattern), self.hook, self.args, **terms
                )
        assert found is not None
        return found

    @property
    def one_of_many(self) -> Enqueue:
        """For :meth:`Queue.enqueue_many`."""
        return Enqueue(
            hook=self.hook,
            args=self.args,
            at=None if self.kind == "async" else self.when,
            interval=self.pattern if self.kind == "interval" else None,
            cron=str(self.pattern) if self.kind == "cron" else None,
            group=self.group,
            priority=self.priority,
        )

    @property
    def match(self) -> tuple[Any, ...]:
        """For the functions that look actions up."""
        return self.hook, self.args, self.group


def nested(levels: int) -> list[Any]:
    made: list[Any] = []
    for _ in range(levels - 1):
        made = [made]
    return made


ARGS: Sequence[Any] = [
    [],
    {},
    [1],
    ["1"],
    [0],
    [""],
    [None, True, False],
    [1.0, -0.0, 0.1, 1e15, 1e17, 1.5e300, 1e-4, 1e-5, 123456789.123, -2.5],
    [9223372036854775807, -9223372036854775808],
    ["é", "日本", "😀", "\u2028", "\ud7ff", "\uffff"],
    ["\x7f", "\x00", "\x1f\t\n\r\b\f"],
    ["a/b", 'q"\\', "<>&'", "%s %1$d %%", "_%", "'; DROP TABLE x; --", "?:name"],
    {"order_id": 5, "a": 1.5},
    {"0": "a", "1": "b"},
    {"1": "x", "0": "y"},
    {"2": "gap"},
    {"": "no name", " ": 1, "01": 2, "-1": 3, "-0": 4, "9223372036854775808": 5},
    {"é": {"deep": [{}, [], {"x": [], "y": {}}]}},
    [[[]], [{"0": {"0": 1}}]],
    nested(511),
    ["x" * 187],
    ["x" * 188],
    ["é" * 31],
    ["é" * 32],
    ["x" * 7996],
    {"long": "😀" * 600},
    LONG,
]
GROUPS = ["", "mail", "Grüße 日本 😀", "a'b\"c\\d%s", " spaces inside and before", "x" * 255]
PRIORITIES = [0, 1, 10, 128, 255]
HOOKS = ["with space", "ünïcode/😀", "quote'\"\\", "%s%d", "h" * 191, "12", "Case", "nl\nx"]
WHENS: Sequence[int | str] = [
    0,
    1,
    946_684_800,
    WHEN,
    WHEN + 1,
    1_824_857_999,
    1_824_858_000,
    4_102_444_800,
    LAST,
    "2027-05-06 07:08:09",
]
INTERVALS = [1, 59, 60, 3600, 86_400, 31_536_000, 2**31, 0]
CRONS = [
    "@yearly",
    "@annually",
    "@monthly",
    "@weekly",
    "@daily",
    "@hourly",
    "* * * * *",
    "0 3 * * *",
    "30 4 1 * *",
    "*/7 1,5-9 L * *",
    "1-5/2 */6 */10 */4 *",
    "0 0 * * MON",
    "0 0 * * mon-fri",
    "0 0 1 JAN *",
    "0 0 * 2-dec *",
    "0 0 * * 7",
    "0 0 * * 6-7",
    "0 0 * * */7",
    "0 0 15W * *",
    "0 0 * * 5#2",
    "0 0 * * 5L",
    "0 12 ? * 0",
    "0 12 * * *-3",
    "59 23 31 12 *",
    "0 0 29 2 *",
    "0 0 1 2 *",
    "-5 * * * *",
    "5-10-15 * * * *",
    "*-5 * * * *",
    "  0   3 * *\t* ",
    "00 03 * * *",
    "0 3 * * 0,7",
    "0,0,30 3,x * * *",
    "0 0 1 1 * 2030",
    "0 0 1 1 * 2027-2035/2",
    "*/15 * * * * *",
    "0 3 * * 1 2028,2030",
]
NO_CRONS = [
    "@midnight",
    "@reboot",
    "@Daily",
    " @daily",
    "0 3 * *",
    "0 3 * * * * *",
    "x * * * *",
    "0 0 * jan *",
    "0 0 * * mon",
    "0 0 * * ?",
    "0 22-2 * * *",
    "0 0 30 2 *",
    "0 0 * * 0#2",
    "0 0 * * 1#6",
    "*/0 * * * *",
    "*/x * * * *",
    "0 0 LW * *",
    "0 0 1 1 * 2020",
]
KINDS: Sequence[tuple[str, int | str]] = [
    ("async", 0),
    ("single", 0),
    ("interval", 3600),
    ("cron", "30 4 * * MON"),
]


def requests() -> list[Request]:
    """Every schedule type with every group, priority and some args; then one thing at a time."""
    found = [
        Request(kind=kind, pattern=pattern, group=group, priority=priority, args=args)
        for kind, pattern in KINDS
        for group in GROUPS
        for priority in PRIORITIES
        for args in ([], LONG)
    ]
    found += [Request(kind=k, pattern=p, args=args) for k, p in KINDS for args in ARGS]
    found += [Request(kind=k, pattern=p, when=when) for k, p in KINDS[1:] for when in WHENS[:-2]]
    found += [Request(when=when) for when in WHENS]
    found += [Request(kind="interval", pattern=seconds) for seconds in INTERVALS]
    found += [Request(kind="cron", pattern=expression) for expression in CRONS]
    named = [replace(one, hook=f"q_{place}") for place, one in enumerate(found)]
    return named + [
        Request(kind=KINDS[place % 4][0], pattern=KINDS[place % 4][1], hook=hook)
        for place, hook in enumerate(HOOKS)
    ]


# Rows


def test_python_writes_the_rows_that_php_writes(both: BothSides) -> None:
    asked = requests()
    compare_rows(both, asked)
    # And the other one made no groups of its own.
    slugs = [slug for (slug,) in both.rows("SELECT slug FROM {groups}")]
    # Since 3.6 the empty group has a row too.
    none = set[str]() if both.release >= (3, 6) else {""}
    assert sorted(slugs) == sorted({one.group for one in asked} - none)


@pytest.fixture
def offset_only(both: BothSides) -> Iterator[BothSides]:
    """A site whose time zone is a bare offset."""
    both.php(["update_option", "timezone_string", ""], ["update_option", "gmt_offset", "5.5"])
    yield both
    both.php(["update_option", "timezone_string", "Europe/Berlin"], ["delete_option", "gmt_offset"])


def test_local_dates_are_those_of_php_on_a_site_with_an_offset_only(offset_only: BothSides) -> None:
    compare_rows(offset_only, [Request(kind=k, pattern=p) for k, p in KINDS])


def compare_rows(both: BothSides, asked: Sequence[Request]) -> None:
    """Column by column, log rows too; the first to need a group is now this side, now that."""
    queue = both.queue()
    early = {place: one.ask(queue) for place, one in enumerate(asked) if place % 2}
    by_php = both.php(*(one.call for one in asked))
    late = {place: one.ask(queue) for place, one in enumerate(asked) if not place % 2}
    one_by_one = [(early | late)[place] for place in range(len(asked))]
    at_once = queue.enqueue_many(one.one_of_many for one in asked)
    rows, logs = all_rows(both), all_logs(both)
    for one, *ids in zip(asked, by_php, one_by_one, at_once, strict=True):
        wanted, *found = [comparable(rows[i], one) for i in ids]
        assert found == [wanted, wanted], one
        wanted_logs, *found_logs = [logs[i] for i in ids]
        assert wanted_logs[0][0] == "action created"
        assert found_logs == [wanted_logs, wanted_logs], one


def all_rows(both: BothSides) -> dict[int, dict[str, Any]]:
    names = [str(row[0]) for row in both.rows("SHOW COLUMNS FROM {actions}")]
    rows = both.rows(f"SELECT {', '.join(names)} FROM {{actions}}")
    found = [dict(zip(names, row, strict=True)) for row in rows]
    return {row["action_id"]: row for row in found}


def all_logs(both: BothSides) -> dict[int, list[tuple[str, timedelta]]]:
    """Messages, and how far local time was from UTC."""
    found: dict[int, list[tuple[str, timedelta]]] = {}
    rows = both.rows("SELECT action_id, message, log_date_gmt, log_date_local FROM {logs}")
    for action_id, message, gmt, local in rows:
        assert is_now(gmt)
        shift = datetime.fromisoformat(local) - datetime.fromisoformat(gmt)
        found.setdefault(action_id, []).append((message, shift))
    return found


def is_now(told: str) -> bool:
    return abs(datetime.fromisoformat(f"{told}Z") - datetime.now(UTC)) < timedelta(minutes=2)


def comparable(row: dict[str, Any], asked: Request) -> dict[str, Any]:
    """A row without its id, and without dates that are the moment of writing."""
    row = {name: value for name, value in row.items() if name != "action_id"}
    if asked.kind == "async":
        gmt, local = row.pop("scheduled_date_gmt"), row.pop("scheduled_date_local")
        assert is_now(gmt)
        assert local == gmt
    return row


# Reading


def test_php_reads_what_python_wrote(both: BothSides) -> None:
    asked, queue = requests(), both.queue()
    ids = [one.ask(queue) for one in asked]
    looked, lookups = [], []
    for one, i in zip(asked, ids, strict=True):
        looked.append(("q_action", i, afters(one)))
        query = {"hook": one.hook, "args": one.args, "group": one.group, "status": LIVE}
        lookups += [
            ("as_next_scheduled_action", *one.match),
            ("as_has_scheduled_action", *one.match),
            ("as_get_scheduled_actions", query, "ids"),
            ("as_next_scheduled_action", one.hook),
            ("as_has_scheduled_action", one.hook, ["other"]),
        ]
    # Written by PHP itself, the same request says what PHP should find in our row.
    answers = both.php(*looked, *lookups, *(one.call for one in asked))
    found, seen = answers[: len(ids)], answers[len(ids) : -len(ids)]
    wanted = both.php(
        *(("q_action", i, afters(one)) for one, i in zip(asked, answers[-len(ids) :], strict=True))
    )
    for place, (one, i) in enumerate(zip(asked, ids, strict=True)):
        assert undated(found[place], one) == undated(wanted[place], one), one
        assert found[place]["class"] == "ActionScheduler_Action", one
        assert (found[place]["hook"], found[place]["group"]) == (one.hook, one.group)
        assert found[place]["priority"] == both.told_priority(one.priority)
        assert found[place]["status"] == "pending"
        assert found[place]["args"] == as_arrays(one.args), one
        date = True if one.kind == "async" else found[place]["date"]
        assert date is not None
        answer = seen[5 * place : 5 * place + 5]
        assert answer == [date, True, [str(i)], date, False], one


def afters(asked: Request) -> list[int]:
    """Moments to ask the next date after: early, late, much later."""
    when = asked.when if isinstance(asked.when, int) else WHEN
    return [min(when + later, LAST) for later in (-100, 0, 1, 12_345, 40 * 86_400)]


def undated(told: dict[str, Any], asked: Request) -> dict[str, Any]:
    return {**told, "dated": None} if asked.kind == "async" else told


def as_arrays(value: Any) -> Any:
    """As PHP's arrays come back: it knows one kind of them."""

    def array(members: dict[str, Any]) -> Any:
        is_list = list(members) == [str(place) for place in range(len(members))]
        return list(members.values()) if is_list else members

    return json.loads(json.dumps(value), object_hook=array)


def test_python_reads_what_php_wrote(both: BothSides) -> None:
    asked = requests()
    ids = both.php(*(one.call for one in asked))
    told = both.php(*(("q_action", i, afters(one)) for one, i in zip(asked, ids, strict=True)))
    queue = both.queue()
    for one, i, wanted in zip(asked, ids, told, strict=True):
        assert as_php_tells(queue, i, one) == {
            name: value for name, value in wanted.items() if name not in ("class", "finished")
        }, one
        [found] = queue.find(
            hooks=(one.hook,),
            args=args_codec.canonical(one.args),
            groups=(one.group,),
            statuses=("pending",),
        )
        assert found == queue.get(i)
        date = True if one.kind == "async" else from_timestamp(wanted["date"])
        assert queue.next_scheduled(*one.match) == date, one
        assert queue.next_scheduled(one.hook) == date
        assert queue.has_scheduled(*one.match)
        assert not queue.has_scheduled(one.hook, ["other"])


def as_php_tells(queue: Queue, action_id: int, asked: Request) -> dict[str, Any]:
    record = queue.get(action_id)
    told = schedule.decode(record.schedule)
    assert not isinstance(told, schedule.ForeignSchedule)
    recurrence, first = None, None
    if isinstance(told, schedule.Interval | schedule.Cron):
        recurrence = told.expression if isinstance(told, schedule.Cron) else str(told.recurrence)
        first = told.first_timestamp or told.timestamp
    assert record.scheduled_at is not None
    return {
        "hook": record.hook,
        "args": args_codec.decode(record.args).mapping,
        "group": record.group,
        "priority": record.priority,
        "schedule": told.php_class,
        "date": told.timestamp,
        "recurrence": recurrence,
        "first": first,
        "next": [following(told, after) for after in afters(asked)],
        "logs": [entry.message for entry in queue.logs(action_id)],
        "status": record.status,
        "claim": record.claim_id,
        "dated": int(record.scheduled_at.timestamp()),
    }


def following(told: schedule.Schedule, after: int) -> int | str | None:
    """The date after a run at that moment; of one that does not recur PHP says the same date."""
    try:
        found = schedule.next_after_run(told, ran_at=from_timestamp(after))
    except CronError as error:
        return str(error)
    if found is not None:
        return found.timestamp
    return None if told.timestamp is None or after > told.timestamp else told.timestamp


# What both refuse


def test_both_refuse_the_same_cron_expressions(both: BothSides) -> None:
    calls = [Request(kind="cron", pattern=expression).call for expression in NO_CRONS]
    answers = both.php(*calls, may_throw=True, stderr=lambda _told: True)
    queue = both.queue()
    for expression, answer in zip(NO_CRONS, answers, strict=True):
        assert isinstance(answer, Threw), expression
        with pytest.raises(InputError):
            queue.schedule_cron(WHEN, expression, "q_hook")
    assert both.statuses() == {}


def test_both_refuse_args_over_8000_bytes(both: BothSides) -> None:
    both.site.needs_release((3, 7, 0), "a function that returns 0 for what cannot be saved")
    too_long = ["x" * 7997]
    told = both.php(
        ["as_enqueue_async_action", "q_hook", too_long], stderr=lambda told: "too long" in told
    )
    assert told == [0]
    with pytest.raises(InputError, match="too long"):
        both.queue().enqueue_async("q_hook", too_long)
    assert both.statuses() == {}


def test_args_reach_a_php_callback_as_if_php_had_stored_them(both: BothSides) -> None:
    """The plugin's own runner runs rows of both sides."""
    queue = both.queue()
    for args in ARGS:
        queue.schedule_single(1, "t_args", args)
    both.php(*(("as_schedule_single_action", 2, "t_args", args) for args in ARGS))
    while both.ask("q_run"):
        pass
    statuses = [s for (s,) in both.rows("SELECT status FROM {actions} WHERE hook = 't_args'")]
    assert statuses == ["complete"] * 2 * len(ARGS)
    got = [json.dumps(one) for [one] in both.site.records("args")]
    assert got[: len(ARGS)] == got[len(ARGS) :]
    assert len(got) == 2 * len(ARGS)
