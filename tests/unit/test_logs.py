"""Events as log lines."""

import io
import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from wpbridge import logs
from wpbridge.action import ActionId, ClaimId
from wpbridge.events import KINDS, ActionFailed, ActionStarted, Bus, Event, StoreLost

NOW = datetime(2026, 12, 1, 9, tzinfo=UTC)
FAILED = ActionFailed(
    at=NOW, site="shop", action_id=ActionId(5), hook="send\nmail", group="", claim_id=ClaimId(7),
    attempt=2, took=timedelta(milliseconds=1500), reason='no "route"', error_type="OSError",
)  # fmt: skip


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before = (root.level, root.handlers[:])
    yield io.StringIO()
    root.setLevel(before[0])
    root.handlers[:] = before[1]


def test_every_kind_has_a_level_and_a_name_of_its_own() -> None:
    assert set(logs.LEVELS) == set(KINDS)
    names = [logs.name_of(kind) for kind in KINDS]
    assert len(set(names)) == len(names)
    assert "action.failed" in names
    assert "runner.presumed_dead" in names


def test_json_lines_hold_plain_values(stream: io.StringIO) -> None:
    logs.set_up(1, "json", stream)
    logs.write(FAILED)
    told = json.loads(stream.getvalue())
    assert told.pop("ts").endswith("+00:00")
    assert told == {
        "level": "info", "logger": "wpbridge", "event": "action.failed", "site": "shop",
        "action_id": 5, "hook": "send\nmail", "claim_id": 7, "attempt": 2, "took_ms": 1500.0,
        "reason": 'no "route"', "error_type": "OSError",
    }  # fmt: skip


def test_text_lines_are_one_line_each(stream: io.StringIO) -> None:
    logs.set_up(1, "text", stream)
    logs.write(FAILED)
    (line,) = stream.getvalue().splitlines()
    assert 'INFO action.failed site=shop action_id=5 hook="send\\nmail"' in line
    assert line.endswith('reason="no \\"route\\"" error_type=OSError')


def test_what_is_below_the_level_is_not_written(stream: io.StringIO) -> None:
    logs.set_up(0, "text", stream)
    logs.write(
        ActionStarted(
            at=NOW, action_id=ActionId(5), hook="h", group="", claim_id=ClaimId(7), attempt=1,
            waited=None,
        )
    )  # fmt: skip
    assert stream.getvalue() == ""
    logs.set_up(2, "text", stream)
    logs.write(StoreLost(at=NOW, reason="gone"))
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
