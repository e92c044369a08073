"""What a message may say that holds an action as a whole."""

import json
from typing import Any

import pytest

from wpbridge.errors import InputError
from wpbridge.executors.celery.messages import WholeAction, whole, whole_of

TOLD = WholeAction(
    site="site",
    key="01890a5d-ac96-774b-bcce-b302099a8057",
    hook="h",
    args="[1]",
    group="g",
    priority=10,
    enqueued_at=1_796_000_000,
    traceparent="",
)


def test_what_is_written_is_read() -> None:
    message = whole(TOLD, queue="q", priority=None)
    assert whole_of(json.loads(message.body)[0]) == TOLD


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("enqueued_at", 1 << 62),
        ("enqueued_at", -1),
        ("hook", "\ud800"),
        ("args", '["\udfff"]'),
        ("group", "\ud800"),
        ("key", "\ud800"),
        ("priority", True),
    ],
)
def test_what_no_row_can_hold_is_refused(name: str, value: Any) -> None:
    args = [*TOLD._replace(**{name: value})]
    with pytest.raises(InputError, match="none of wpbridge's"):
        whole_of(args)
