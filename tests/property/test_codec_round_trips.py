"""What goes in comes out, for whatever hypothesis thinks of."""

import json
import math
from datetime import UTC, datetime, timedelta
from typing import Any

import phpserialize
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wpbridge.codec import args, php, schedule
from wpbridge.codec.args_encode import JsonWriter, flat_text
from wpbridge.codec.php import PhpArray, PhpObject, PhpValue
from wpbridge.codec.php_values import INT_MAX, INT_MIN, array_key, float_text
from wpbridge.codec.schedule import Canceled, Cron, Interval, Schedule, Single
from wpbridge.errors import CodecError

# A busy machine is no failure.
patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

ints = st.integers(INT_MIN, INT_MAX)
keys = ints | st.binary(max_size=8).map(array_key)
names = st.text("abc_", min_size=1, max_size=8)


def trees(numbers: st.SearchStrategy[float]) -> st.SearchStrategy[Any]:
    return st.recursive(
        st.none() | st.booleans() | ints | numbers | st.binary(max_size=20),
        lambda inner: st.dictionaries(keys, inner, max_size=5),
        max_leaves=20,
    )


php_values = trees(st.floats(allow_nan=False))
finite_php_values = trees(st.floats(allow_nan=False, allow_infinity=False))
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | ints | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=20,
)
seconds = st.integers(-(2**40), 2**40)
moments = st.datetimes(
    datetime(2000, 1, 1),  # noqa: DTZ001 - hypothesis adds the zone
    datetime(2100, 1, 1),  # noqa: DTZ001 - as above
    timezones=st.just(UTC),
)


@patient
@given(php_values)
def test_php_values_survive_their_text(value: PhpValue) -> None:
    assert php.decode(php.encode(value)) == value


@patient
@given(st.lists(st.integers(0, 4), max_size=12), names)
def test_objects_stay_shared(places: list[int], class_name: str) -> None:
    pool = [PhpObject(class_name, {}) for _ in range(5)]
    for owner, place in enumerate(places):
        pool[owner % 5].properties[owner] = pool[place]
    value: PhpArray = {0: pool[0], **{n: pool[place] for n, place in enumerate(places, 1)}}
    blob = php.encode(value)
    decoded = php.decode(blob)
    assert php.encode(decoded) == blob
    assert isinstance(decoded, dict)
    for n, place in enumerate(places, 1):
        assert (decoded[n] is decoded[0]) == (place == 0)


@patient
@given(php_values)
def test_phpserialize_reads_what_we_write(value: PhpValue) -> None:
    assert phpserialize.loads(php.encode(value)) == value


@patient
@given(finite_php_values)  # it writes infinity in Python's words, which PHP refuses
def test_we_read_what_phpserialize_writes(value: PhpValue) -> None:
    assert php.decode(phpserialize.dumps(value)) == value


@patient
@given(
    st.binary(max_size=60) | st.text('0123456789:;{}"aOsidbNrREC-.', max_size=60).map(str.encode)
)
def test_any_bytes_are_read_or_refused_within_their_length(data: bytes) -> None:
    try:
        value = php.decode(data)
    except CodecError as error:
        offset = error.offset
    else:
        offset = 0
        json.dumps(php.to_plain(value), allow_nan=False)
        assert php.encode(php.decode(php.encode(value))) == php.encode(value)
    assert offset is not None
    assert 0 <= offset <= len(data)


@patient
@given(php_values)
def test_every_value_has_a_plain_view(value: PhpValue) -> None:
    json.dumps(php.to_plain(value), allow_nan=False)


@patient
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_floats_read_back_from_either_layout(number: float) -> None:
    for exponent in "Ee":
        read = float(float_text(number, exponent))
        assert (read, math.copysign(1, read)) == (number, math.copysign(1, number))


@patient
@given(json_values)
def test_args_are_json_for_everyone(value: Any) -> None:
    text = args.encode([value])
    assert text.isascii()
    # PHP writes a float without a fraction as an int.
    assert as_php(json.loads(text, parse_int=float)) == as_php([value], number=float)


@patient
@given(json_values)
def test_args_reach_a_steady_text_at_the_first_repeat(value: Any) -> None:
    stored = args.encode([value])
    repeat = args.canonical(args.decode(stored.encode()).mapping)
    # "-0", a float when written, comes back as the int 0.
    assert args.canonical(args.decode(repeat.encode()).mapping) == repeat


@patient
@given(json_values)
def test_other_writers_json_is_read_as_it_is_meant(value: Any) -> None:
    decoded = args.decode(json.dumps([value], ensure_ascii=False).encode())
    assert list(decoded.values) == as_php([value])


@patient
@given(
    st.binary(max_size=40) | st.text('[]{}",:0123456789.eE-\\ud8tfn', max_size=40).map(str.encode)
)
def test_any_args_text_is_read_or_refused(data: bytes) -> None:
    try:
        decoded = args.decode(data)
    except CodecError:
        return
    assert len(decoded.values) == len(decoded.mapping)


@patient
@given(
    st.builds(Single, timestamp=seconds)
    | st.builds(Canceled, timestamp=seconds)
    | st.builds(
        Interval,
        timestamp=seconds,
        first_timestamp=st.integers(1, 2**40),
        recurrence=st.integers(1, 10**9) | st.integers(1, 10**9).map(str) | st.floats(1, 1e9),
    )
    | st.builds(
        Cron,
        timestamp=seconds,
        first_timestamp=st.integers(1, 2**40),
        expression=st.sampled_from(["* * * * *", "0 3 * * *", "*/5 1-2 ? JAN SUN 2030"]),
    )
)
def test_schedules_survive_their_bytes(value: Schedule) -> None:
    blob = schedule.encode(value)
    assert schedule.decode(blob) == value
    assert php.encode(php.decode(blob)) == blob
    assert schedule.class_of(blob[: schedule.PREFIX_BYTES]) == value.php_class


@patient
@given(moments, st.integers(1, 10**7), st.integers(-(10**6), 10**6))
def test_an_interval_run_late_comes_after_the_run(
    start: datetime, every: int, late_seconds: int
) -> None:
    made = schedule.interval(start, every)
    ran_at = start.replace(microsecond=0) + timedelta(seconds=late_seconds)
    following = schedule.next_after_run(made, ran_at=ran_at)
    assert isinstance(following, Interval)
    assert following.first_timestamp == made.timestamp
    expected = ran_at.timestamp() + every if late_seconds > 0 else made.timestamp
    assert following.timestamp == expected


@patient
@given(moments, st.sampled_from(["* * * * *", "*/7 * * * *", "0 3 * * 1-5", "30 4 1 * *"]))
def test_a_cron_run_late_comes_after_the_run(start: datetime, expression: str) -> None:
    made = schedule.cron_schedule(start, expression)
    assert made.timestamp is not None
    assert made.timestamp >= start.timestamp() - 60
    ran_at = datetime.fromtimestamp(made.timestamp, UTC) + timedelta(microseconds=1)
    following = schedule.next_after_run(made, ran_at=ran_at)
    assert following is not None
    assert following.timestamp is not None
    assert following.timestamp > made.timestamp
    assert schedule.next_after_run(made, ran_at=start - timedelta(days=9)) == made


def as_php(value: Any, number: type[int] | type[float] = int) -> Any:
    """The value with PHP's one kind of array: numbered dicts are lists."""
    if isinstance(value, list):
        return [as_php(item, number) for item in value]
    if isinstance(value, int) and not isinstance(value, bool):
        return number(value)
    if not isinstance(value, dict):
        return value
    members = {name: as_php(item, number) for name, item in value.items()}
    is_list = list(members) == [str(place) for place in range(len(members))]
    return list(members.values()) if is_list else members


FLAT = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.text() | st.floats()


@given(st.lists(FLAT) | st.dictionaries(st.text() | st.integers().map(str), FLAT))
def test_the_fast_way_to_write_args_says_the_same(value: Any) -> None:
    fast = flat_text(value)
    if fast is not None:
        assert fast == JsonWriter(keep_objects=True).write(value)


@pytest.mark.parametrize(
    "value",
    [
        ["\x7f"],
        ["\U0001f600"],
        ["\ud800"],
        [2**63],
        [1.0],
        {"0": 1},
        {"-1": 1},
        {},
        [[1]],
        ["\u2028/"],
    ],
)
def test_what_python_writes_otherwise_is_left_to_the_slow_way(value: Any) -> None:
    assert flat_text(value) == ('["\\u2028\\/"]' if value == ["\u2028/"] else None)
