"""What is to be enqueued becomes a row's texts, or an InputError that says why not."""

import re
from collections import OrderedDict, UserDict, UserList, deque
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import IntEnum, StrEnum
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from wpbridge.codec import schedule
from wpbridge.errors import InputError
from wpbridge.queue.enqueue import Enqueue, encoded, moment_of, new_action

NOW = datetime(2026, 11, 24, 12, 0, 0, 250_000, tzinfo=UTC)
UNIX = 1_795_521_600
"""NOW's second."""


class Hook(StrEnum):
    MAIL = "send_mail"


class Priority(IntEnum):
    HIGH = 3


def refused(**values: Any) -> str:
    """Why this is refused."""
    with pytest.raises(InputError) as told:
        new_action(Enqueue(**{"hook": "h", **values}), NOW)
    assert "\n" not in str(told.value)
    return str(told.value)


# Kinds of schedule


def test_without_a_date_it_is_async() -> None:
    made = new_action(Enqueue(hook="h"), NOW)
    assert made.is_async
    assert made.schedule == b'O:28:"ActionScheduler_NullSchedule":0:{}'
    assert made.scheduled_at == NOW
    assert (made.args, made.group, made.priority, made.zoned) == ("[]", "", 10, None)


def test_with_a_date_it_is_single() -> None:
    made = new_action(Enqueue(hook="h", at="+1h"), NOW)
    assert not made.is_async
    assert schedule.decode(made.schedule) == schedule.Single(timestamp=UNIX + 3600)
    assert made.scheduled_at == NOW + timedelta(hours=1)


@pytest.mark.parametrize("interval", [3600, "3600", "1h", timedelta(hours=1), 3600.0])
def test_an_interval_counts_from_its_date(interval: Any) -> None:
    made = new_action(Enqueue(hook="h", at=timedelta(minutes=5), interval=interval), NOW)
    assert schedule.decode(made.schedule) == schedule.Interval(
        timestamp=UNIX + 300, first_timestamp=UNIX + 300, recurrence=3600
    )
    assert b'"\0*\0recurrence";i:3600;' in made.schedule


def test_an_interval_without_a_date_begins_now() -> None:
    made = new_action(Enqueue(hook="h", interval=60), NOW)
    assert schedule.decode(made.schedule).timestamp == UNIX
    assert made.scheduled_at == NOW


@pytest.mark.parametrize("at", [None, "now", NOW])
def test_an_interval_of_nothing_is_single(at: Any) -> None:
    made = new_action(Enqueue(hook="h", at=at, interval=0), NOW)
    assert schedule.decode(made.schedule) == schedule.Single(timestamp=UNIX)


@pytest.mark.parametrize(
    "interval",
    [
        -1,
        "-5",
        0.5,
        "1.5s",
        timedelta(milliseconds=1500),
        "soon",
        True,
        float("nan"),
        float("inf"),
        timedelta(days=-1),
        [60],
        b"60",
    ],
)
def test_an_interval_is_whole_seconds(interval: Any) -> None:
    assert refused(interval=interval).startswith("interval: ")


def test_cron_is_in_utc_from_the_first_match_on() -> None:
    made = new_action(Enqueue(hook="h", at="2026-11-24T12:00:59", cron="*/15 * * * *"), NOW)
    told = schedule.decode(made.schedule)
    assert told == schedule.Cron(timestamp=UNIX, first_timestamp=UNIX, expression="*/15 * * * *")
    assert made.scheduled_at == NOW.replace(microsecond=0)
    assert made.zoned is None


def test_cron_in_a_zone_remembers_the_zone() -> None:
    made = new_action(Enqueue(hook="h", cron="@daily", tz="Europe/Rome"), NOW)
    assert made.scheduled_at == datetime(2026, 11, 24, 23, tzinfo=UTC)
    assert made.zoned is not None
    assert (made.zoned.expression, made.zoned.zone) == ("0 0 * * *", "Europe/Rome")


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"cron": "* * * *"}, "cron: * * * * is not a valid CRON expression"),
        ({"cron": ""}, "cron:  is not a valid CRON expression"),
        ({"cron": "* * * * * * *"}, "cron: 6 is not a valid position"),
        ({"cron": "0 0 30 2 *"}, "cron: Impossible CRON expression"),
        ({"cron": "*/0 * * * *"}, "cron: "),
        ({"cron": 5}, "cron: a text, not int"),
        ({"cron": "*\udcff * * * *"}, "cron: it holds half a surrogate pair"),
        ({"cron": "@daily", "tz": "Europe/Rom"}, "cron: there is no time zone 'Europe/Rom'; did"),
        ({"cron": "@daily", "tz": ""}, "cron: there is no time zone ''"),
        ({"cron": "@daily", "tz": "../../etc/passwd"}, "cron: there is no time zone"),
        ({"cron": "@daily", "tz": 5}, "tz: a text, not int"),
        ({"cron": "@daily", "tz": ZoneInfo("Europe/Rome")}, "tz: a text, not ZoneInfo"),
        ({"cron": "@daily", "interval": 5}, "interval and cron: give one of them"),
        ({"cron": "@daily", "interval": 0}, "interval and cron: give one of them"),
        ({"tz": "Europe/Rome"}, "tz: it is for cron expressions"),
        ({"tz": "Europe/Rome", "interval": 60}, "tz: it is for cron expressions"),
    ],
)
def test_what_is_no_recurrence(values: dict[str, Any], reason: str) -> None:
    assert refused(**values).startswith(reason)


def test_an_expression_in_a_zone_fits_the_zones_table() -> None:
    longest = ",".join(["10"] * 82) + " * * * *"
    assert len(longest) == 253
    assert new_action(Enqueue(hook="h", cron=longest, tz="UTC"), NOW).zoned is not None
    longer = "00," + longest
    assert refused(cron=longer, tz="UTC") == "cron: 255 characters at most with a tz, not 256"
    assert new_action(Enqueue(hook="h", cron=longer), NOW).zoned is None


# Dates


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (None, NOW),
        (NOW + timedelta(days=1), NOW + timedelta(days=1)),
        (timedelta(seconds=-30), NOW - timedelta(seconds=30)),
        (UNIX, NOW.replace(microsecond=0)),
        (UNIX + 0.9, NOW.replace(microsecond=0)),
        (0, datetime(1970, 1, 1, tzinfo=UTC)),
        ("2026-12-01T09:00", datetime(2026, 12, 1, 9, tzinfo=UTC)),
        (date(2026, 12, 1), datetime(2026, 12, 1, tzinfo=UTC)),
        (
            datetime(2026, 12, 1, 9, tzinfo=ZoneInfo("Europe/Rome")),
            datetime(2026, 12, 1, 8, tzinfo=UTC),
        ),
    ],
)
def test_a_moment(told: Any, expected: datetime) -> None:
    found = moment_of(told, NOW)
    assert found == expected
    assert found.tzinfo is UTC


@pytest.mark.parametrize(
    "told",
    [
        datetime(2026, 12, 1, 9),  # noqa: DTZ001 - that is what is refused
        datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC),
        datetime.max.replace(tzinfo=ZoneInfo("America/New_York")),
        datetime.min.replace(tzinfo=ZoneInfo("Asia/Tokyo")),
        timedelta.max,
        timedelta.min,
        timedelta(days=365 * 9000),
        float("nan"),
        float("inf"),
        1e300,
        10**12,
        -1,
        True,
        "tomorrow",
        b"now",
        [],
    ],
)
def test_what_is_no_moment(told: Any) -> None:
    with pytest.raises(InputError):
        moment_of(told, NOW)


# Texts and numbers


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"hook": ""}, "hook: 1 to 191 characters, not 0"),
        ({"hook": "x" * 192}, "hook: 1 to 191 characters, not 192"),
        ({"hook": "a\0b"}, "hook: it holds a NUL"),
        ({"hook": "a\ud800"}, "hook: it holds half a surrogate pair"),
        ({"hook": b"h"}, "hook: a text, not bytes"),
        ({"hook": None}, "hook: a text, not NoneType"),
        ({"group": "x" * 256}, "group: 0 to 255 characters, not 256"),
        ({"group": "a\0"}, "group: it holds a NUL"),
        ({"group": "\udcff"}, "group: it holds half a surrogate pair"),
        ({"group": None}, "group: a text, not NoneType"),
        ({"key": "x" * 1001}, "key: 0 to 1000 characters, not 1001"),
        ({"key": 5}, "key: a text, not int"),
        ({"key": "\udcff"}, "key: it holds half a surrogate pair"),
        ({"priority": -1}, "priority: a whole number from 0 to 255, not -1"),
        ({"priority": 256}, "priority: a whole number from 0 to 255, not 256"),
        ({"priority": 1.5}, "priority: a whole number from 0 to 255, not 1.5"),
        ({"priority": "10"}, "priority: a whole number from 0 to 255, not '10'"),
        ({"priority": None}, "priority: a whole number from 0 to 255, not None"),
        ({"priority": True}, "priority: a whole number from 0 to 255, not True"),
        ({"after_failed": "retry"}, "after_failed is hold, run, cancel, not 'retry'"),
        ({"after": 5}, "after: ids of actions, not 5"),
        ({"after": "12"}, "after: ids of actions, not '12'"),
        ({"after": [1, "2"]}, "after: ids of actions, not [1, '2']"),
        ({"after": [[1]]}, "after: ids of actions, not [[1]]"),
        ({"after": [True]}, "after: ids of actions, not [True]"),
    ],
)
def test_what_cannot_be_stored(values: dict[str, Any], reason: str) -> None:
    assert refused(**values) == reason


def test_the_longest_texts_and_the_ends_of_the_priorities() -> None:
    for priority in (0, 255):
        made = new_action(
            Enqueue(
                hook="\N{PILE OF POO}" * 191, group="é" * 255, key="k" * 1000, priority=priority
            ),
            NOW,
        )
        assert (len(made.hook), len(made.group), made.priority) == (191, 255, priority)


def test_enums_are_their_values() -> None:
    made = new_action(Enqueue(hook=Hook.MAIL, priority=Priority.HIGH), NOW)
    assert (made.hook, made.priority) == ("send_mail", 3)


# Args


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        ((), "[]"),
        ([], "[]"),
        ({}, "[]"),
        ([5], "[5]"),
        (["5"], '["5"]'),
        ({"order": 17}, '{"order":17}'),
        ({"b": 1, "a": 2}, '{"b":1,"a":2}'),
        ({0: "a", 1: "b"}, '["a","b"]'),
        ({"0": "a", "1": "b"}, '["a","b"]'),
        ({1: "x", 0: "y"}, '{"1":"x","0":"y"}'),
        ([{}], "[[]]"),
        ([None, True, False], "[null,true,false]"),
        ([1.0, 0.1, 1e17, 1e-5, -0.0], "[1,0.1,1.0e+17,1.0e-5,-0]"),
        (["a/b\x7f"], '["a\\/b\x7f"]'),
        (["é<>&'\n"], '["\\u00e9<>&\'\\n"]'),
        (["\U0001f4a9"], '["\\ud83d\\udca9"]'),
        ([b"x"], '["x"]'),
        ([2**63 - 1, -(2**63)], "[9223372036854775807,-9223372036854775808]"),
        (range(3), "[0,1,2]"),
        (deque([1]), "[1]"),
        (UserList([1]), "[1]"),
        (UserDict({"a": 1}), '{"a":1}'),
        (OrderedDict(a=1), '{"a":1}'),
        (MappingProxyType({"a": 1}), '{"a":1}'),
    ],
)
def test_args_are_stored_as_php_repeats_them(args: Any, expected: str) -> None:
    assert encoded(args) == expected


@pytest.mark.parametrize(
    ("args", "reason"),
    [
        ("[1]", "args: a list or a dict, not str"),
        (b"[1]", "args: a list or a dict, not bytes"),
        (bytearray(b"x"), "args: a list or a dict, not bytearray"),
        (None, "args: a list or a dict, not NoneType"),
        (5, "args: a list or a dict, not int"),
        ({1, 2}, "args: a list or a dict, not set"),
        (iter([1]), "args: a list or a dict, not list_iterator"),
        ([float("nan")], "args: JSON has no nan"),
        ([float("-inf")], "args: JSON has no -inf"),
        ([2**63], "args: 9223372036854775808 does not fit 64 bit"),
        ([Decimal(1)], "args: a Decimal cannot be stored"),
        ([NOW], "args: a datetime cannot be stored"),
        ([{1, 2}], "args: a set cannot be stored"),
        ({None: 1}, "args: None cannot be a name"),
        ({1.5: 1}, "args: 1.5 cannot be a name"),
        (["\ud800"], "args: half a surrogate pair"),
        ([b"\xff"], "args: bytes that are not UTF-8"),
        ({"a": {b"\xff": 1}}, "args: bytes that are not UTF-8"),
    ],
)
def test_what_args_cannot_hold(args: Any, reason: str) -> None:
    with pytest.raises(InputError, match=f"^{re.escape(reason)}"):
        encoded(args)


def nested(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels - 1):
        value = [value]
    return value


def test_args_are_as_deep_as_php_can_read_them() -> None:
    assert encoded(nested(511)) == "[" * 511 + "]" * 511
    for levels in (512, 513, 5000):
        with pytest.raises(InputError, match=r"^args: args are nested deeper than"):
            encoded(nested(levels))
    flat: list[Any] = [[]] * 600
    assert encoded(flat) == f"[{','.join(['[]'] * 600)}]"
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(InputError):
        encoded(loop)


def test_args_have_8000_bytes_at_most() -> None:
    assert len(encoded(["x" * 7996])) == 8000
    with pytest.raises(InputError, match="args too long"):
        encoded(["x" * 7997])
    with pytest.raises(InputError, match="args too long"):
        encoded(["é" * 1334])
