"""The cron option: what PHP wrote is read, changed in places, and written as PHP would."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wpbridge.codec import php
from wpbridge.codec.wp_cron import CronOption, Event, key_of
from wpbridge.errors import CodecError

patient = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
hooks = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=12)
leaves = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(max_size=8)
args = st.lists(
    st.recursive(leaves, lambda inner: st.lists(inner, max_size=3), max_leaves=5), max_size=3
)
planned = st.lists(
    st.tuples(st.integers(1, 2**31), hooks, args, st.none() | st.integers(1, 10**6)), max_size=8
)


def to_php(value: Any) -> Any:
    if isinstance(value, list):
        return {place: to_php(one) for place, one in enumerate(value)}
    return value.encode() if isinstance(value, str) else value


def event(date: int, hook: str, values: list[Any], interval: int | None) -> Event:
    told: php.PhpArray = {
        b"schedule": False if interval is None else b"often",
        b"args": to_php(values),
    }
    if interval is not None:
        told[b"interval"] = interval
    return Event(date=date, hook=hook.encode(), key=key_of(to_php(values)), value=php.encode(told))


def option_of(events: list[Event]) -> CronOption:
    option = CronOption({b"version": 2})
    option.add(events)
    return option


@pytest.fixture
def golden(golden_dir: Path) -> bytes:
    return (golden_dir / "legacy" / "cron_option.bin").read_bytes()


def test_what_the_plugin_left_is_read_as_php_read_it(golden: bytes, golden_dir: Path) -> None:
    told = json.loads((golden_dir / "legacy" / "cron_option.json").read_text("utf-8"))
    wanted = {
        (int(date), hook, key): one
        for date, by_hook in told.items()
        for hook, by_key in by_hook.items()
        for key, one in by_key.items()
    }
    found = CronOption.decode(golden).events()
    assert [(e.date, e.name(), e.key.decode()) for e in found] == list(wanted)
    for one, meant in zip(found, wanted.values(), strict=True):
        assert json.loads(one.args()) == meant["args"]
        assert one.interval() == meant.get("interval", 0)
        assert (one.recurrence() or False) == meant["schedule"]
        assert one.key == key_of(to_php_named(meant["args"]))


def to_php_named(value: Any) -> Any:
    if isinstance(value, dict):
        return {name.encode(): to_php_named(one) for name, one in value.items()}
    if isinstance(value, list):
        return {place: to_php_named(one) for place, one in enumerate(value)}
    return value.encode() if isinstance(value, str) else value


def test_untouched_it_is_written_byte_for_byte(golden: bytes) -> None:
    assert CronOption.decode(golden).encode() == golden


def test_what_was_taken_out_and_put_back_is_there_again(golden: bytes) -> None:
    option = CronOption.decode(golden)
    events = option.events()
    assert option.remove(events) == len(events)
    assert option.encode() == b"a:0:{}"
    assert option.add(events) == len(events)
    assert option.encode() == golden
    assert option.add(events) == 0


def test_an_event_that_somebody_changed_is_another_one(golden: bytes) -> None:
    option = CronOption.decode(golden)
    first = option.events()[0]
    other = Event(date=first.date, hook=first.hook, key=first.key, value=b"a:0:{}")
    assert option.remove([other]) == 0
    assert option.encode() == golden


@patient
@given(planned, st.sets(st.integers(0, 7)))
def test_removed_here_the_rest_keeps_its_bytes(
    told: list[tuple[int, str, list[Any], int | None]], places: set[int]
) -> None:
    events = list({one.slot: one for one in (event(*some) for some in told)}.values())
    gone = [one for place, one in enumerate(events) if place in places]
    option = option_of(events)
    assert option.remove(gone) == len(gone)
    assert option.encode() == option_of([one for one in events if one not in gone]).encode()
    again = CronOption.decode(option.encode())
    assert again.encode() == option.encode()


@patient
@given(planned)
def test_args_come_back_from_json_as_they_were(
    told: list[tuple[int, str, list[Any], int | None]],
) -> None:
    for date, hook, values, interval in told:
        one = event(date, hook, values, interval)
        assert json.loads(one.args()) == values
        assert one.interval() == (interval or 0)


SERIALIZE = r"""
$told = json_decode( stream_get_contents( STDIN ), true );
$cron = array();
foreach ( $told as list( $date, $hook, $args, $interval ) ) {
  $event = array( 'schedule' => null === $interval ? false : 'often', 'args' => $args );
  if ( null !== $interval ) { $event['interval'] = $interval; }
  $cron[ $date ][ $hook ][ md5( serialize( $args ) ) ] = $event;
}
ksort( $cron );
$cron['version'] = 2;
echo serialize( $cron );
"""


@patient
@given(told=planned)
def test_php_writes_the_same_bytes(told: list[tuple[int, str, list[Any], int | None]]) -> None:
    if shutil.which("php") is None:
        pytest.skip("php is not installed (apt-get install php-cli)")
    done = subprocess.run(
        ["php", "-r", SERIALIZE],
        input=json.dumps(told).encode(),
        capture_output=True,
        check=True,
        timeout=300,
    )
    # Of two in one slot PHP keeps the first one's place and the last one's value.
    last = {one.slot: one for one in (event(*some) for some in told)}
    assert option_of(list(last.values())).encode() == done.stdout
    assert CronOption.decode(done.stdout).encode() == done.stdout


@patient
@given(st.data())
def test_cut_anywhere_it_is_an_error(golden: bytes, data: st.DataObject) -> None:
    cut = data.draw(st.integers(1, len(golden) - 1))
    with pytest.raises(CodecError):
        CronOption.decode(golden[:cut])


@patient
@given(planned, st.sets(st.integers(0, 7)), st.integers(1, 8))
def test_what_was_taken_out_in_batches_comes_back_at_its_place(
    told: list[tuple[int, str, list[Any], int | None]], places: set[int], size: int
) -> None:
    # Few dates and hooks, so that many events share them.
    crowded = [(date % 3 + 1, hook[:1], values, often) for date, hook, values, often in told]
    before = option_of([event(*some) for some in crowded]).encode()
    option = CronOption.decode(before)
    gone = [one for place, one in enumerate(option.events()) if place in places]
    batches = [gone[at : at + size] for at in range(0, len(gone), size)]
    for batch in batches:
        assert option.remove(batch) == len(batch)
    for batch in batches:
        assert option.add(batch) == len(batch)
    assert option.encode() == before
