"""Events as log lines."""

import io
import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import pytest

from wpbridge.action import ActionId, ClaimId
from wpbridge.events import KINDS, ActionFailed, ActionStarted, Event, StoreLost
from wpbridge.telling import lines
from wpbridge.telling.bus import Bus
from wpbridge.telling.log import KINDS as KINDS_OF_LINES
from wpbridge.telling.log import tell

NOW = datetime(2026, 12, 1, 9, tzinfo=UTC)
FAILED = ActionFailed(
    at=NOW,
    site="shop",
    action_id=ActionId(5),
    hook="send\nmail",
    group="",
    claim_id=ClaimId(7),
    attempt=2,
    took=timedelta(milliseconds=1500),
    reason='no "route"',
    error_type="OSError",
)


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before = (root.level, root.handlers[:])
    yield io.StringIO()
    root.setLevel(before[0])
    root.handlers[:] = before[1]


def test_every_kind_has_a_level_and_a_name_of_its_own() -> None:
    assert set(lines.LEVELS) == set(KINDS)
    names = [lines.name_of(kind) for kind in KINDS]
    assert len(set(names)) == len(names)
    assert "action.failed" in names
    assert "runner.presumed_dead" in names


def test_json_lines_hold_plain_values(stream: io.StringIO) -> None:
    lines.set_up(1, "json", stream)
    lines.write(FAILED)
    told = json.loads(stream.getvalue())
    assert told.pop("ts").endswith("+00:00")
    assert told == {
        "level": "info",
        "logger": "wpbridge",
        "event": "action.failed",
        "site": "shop",
        "action_id": 5,
        "hook": "send\nmail",
        "claim_id": 7,
        "attempt": 2,
        "took_ms": 1500.0,
        "reason": 'no "route"',
        "error_type": "OSError",
    }


def test_text_lines_are_one_line_each(stream: io.StringIO) -> None:
    lines.set_up(1, "text", stream)
    lines.write(FAILED)
    (line,) = stream.getvalue().splitlines()
    assert 'INFO action.failed site=shop action_id=5 hook="send\\nmail"' in line
    assert line.endswith('reason="no \\"route\\"" error_type=OSError')


def test_what_is_below_the_level_is_not_written(stream: io.StringIO) -> None:
    lines.set_up(0, "text", stream)
    lines.write(
        ActionStarted(
            at=NOW,
            action_id=ActionId(5),
            hook="h",
            group="",
            claim_id=ClaimId(7),
            attempt=1,
            waited=None,
        )
    )
    assert stream.getvalue() == ""
    lines.set_up(2, "text", stream)
    lines.write(StoreLost(at=NOW, reason="gone"))
    assert stream.getvalue().endswith("WARNING store.lost reason=gone\n")


def test_subscribers_get_their_kinds_and_one_that_fails_hurts_nobody() -> None:
    bus = Bus()
    seen: list[Event] = []

    def broken(_event: Event) -> None:
        raise ValueError("subscriber")

    def leaves(_event: Event) -> None:
        raise SystemExit(1)

    bus.extend([(Event, broken), (Event, leaves)])
    bus.subscribe(ActionFailed, seen.append)
    bus.subscribe(Event, seen.append)
    bus.tell(FAILED)
    bus.tell(StoreLost(at=NOW, reason="gone"))
    assert [type(event).__name__ for event in seen] == ["ActionFailed", "ActionFailed", "StoreLost"]


# Whatever a line is about

HOSTILE = 'a\x1b[2J\x9b31m\x7f\u202e\u2028\nINFO forged\ud800 ="x"'


def _own() -> None:
    lines.write(replace(FAILED, reason=HOSTILE, hook=HOSTILE))


def _kept() -> None:
    tell("php.printed", pid=3, line=HOSTILE)


def _foreign() -> None:
    logging.getLogger("some.library").warning("%s", HOSTILE, extra={HOSTILE: HOSTILE})


def _raised() -> None:
    try:
        raise ValueError(HOSTILE)  # noqa: TRY301
    except ValueError:
        logging.getLogger("wpbridge.handler").exception(HOSTILE)


def _nested() -> None:
    tell("daemon.changed", files=[HOSTILE, {HOSTILE: HOSTILE}])


@pytest.mark.parametrize("style", ["text", "json"])
@pytest.mark.parametrize("write", [_own, _kept, _foreign, _raised, _nested])
def test_no_data_steers_who_reads_the_log(
    stream: io.StringIO, style: Literal["text", "json"], write: Callable[[], None]
) -> None:
    lines.set_up(2, style, stream)
    write()
    first, *more = stream.getvalue().removesuffix("\n").split("\n")
    assert all(line.isprintable() for line in (first, *more))
    # Only a traceback has lines of its own, and none of them can be taken for a line of the log.
    assert all(line.startswith("  ") for line in more)
    assert bool(more) == (style == "text" and write is _raised)
    if style == "json":
        told = json.loads(first)
        assert HOSTILE in _texts(told)


def _texts(value: object) -> set[str]:
    if isinstance(value, dict):
        return {text for item in [*value, *value.values()] for text in _texts(item)}
    if isinstance(value, list):
        return {text for item in value for text in _texts(item)}
    return {value} if isinstance(value, str) else set()


def test_every_json_line_has_a_stable_event_and_its_site(stream: io.StringIO) -> None:
    lines.set_up(2, "json", stream, site="/var/www/shop blog 3")
    tell("php.died", action_id=7, hook="mail", reason="PHP ended")
    tell("daemon.stopped", code=0, complete=5)
    lines.write(StoreLost(at=NOW, reason="gone"))
    lines.write(StoreLost(at=NOW, reason="gone", site="https://b.example"))
    logging.getLogger("library").warning("%d of %d", 1, 2, extra={"event": "mine", "n": 1})
    told = [json.loads(line) for line in stream.getvalue().splitlines()]
    for line in told:
        assert line.pop("ts")
    assert told == [
        {
            "level": "warning",
            "logger": "wpbridge.php",
            "event": "php.died",
            "site": "/var/www/shop blog 3",
            "action_id": 7,
            "hook": "mail",
            "reason": "PHP ended",
        },
        {
            "level": "info",
            "logger": "wpbridge.daemon",
            "event": "daemon.stopped",
            "site": "/var/www/shop blog 3",
            "code": 0,
            "complete": 5,
        },
        {
            "level": "warning",
            "logger": "wpbridge",
            "event": "store.lost",
            "site": "/var/www/shop blog 3",
            "reason": "gone",
        },
        {
            "level": "warning",
            "logger": "wpbridge",
            "event": "store.lost",
            "site": "https://b.example",
            "reason": "gone",
        },
        {
            "level": "warning",
            "logger": "library",
            "event": "log.message",
            "site": "/var/www/shop blog 3",
            "message": "1 of 2",
            "event_": "mine",
            "n": 1,
        },
    ]


class _Unprintable:
    def __str__(self) -> str:
        raise SystemExit(1)


@pytest.mark.parametrize("style", ["text", "json"])
def test_a_line_that_cannot_be_made_is_told_by_its_failure(
    stream: io.StringIO, style: Literal["text", "json"], capsys: pytest.CaptureFixture[str]
) -> None:
    lines.set_up(1, style, stream, site="s")
    log = logging.getLogger("wpbridge.handler")
    log.warning("%d", "no number\x1b")
    log.warning("fine", extra={"value": _Unprintable()})
    loop: dict[Any, Any] = {(1, 2): 3}
    loop["itself"] = loop
    log.warning("odd", extra={"value": loop})
    failed, fine, odd = stream.getvalue().splitlines()
    assert "odd" in odd
    assert "(1, 2): 3" in odd
    assert "log.failed" in failed
    assert "TypeError" in failed
    assert "<unprintable _Unprintable>" in fine
    assert capsys.readouterr() == ("", "")


def test_fields_are_attributes_of_the_record_too() -> None:
    """As formatters of other programs expect it; so none may be called as the record's own."""
    names = {name for kind in KINDS_OF_LINES.values() for name in kind.fields}
    names |= {field.name for kind in KINDS for field in fields(kind)}
    assert not names & (set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "fields"})
