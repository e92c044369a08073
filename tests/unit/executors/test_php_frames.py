"""Answers of PHP workers, read strictly."""

import math
from typing import Any

import pytest

from wpbridge.action import ActionId
from wpbridge.executors.php.frames import Caught, Dying, End, Has, Hello, Start, read

DONE: dict[str, Any] = {
    "is": "end",
    "id": 7,
    "as": "done",
    "seconds": 0.25,
    "deferred": False,
    "full": True,
}
ERROR: dict[str, Any] = {"class": "E", "message": "boom", "file": "f.php", "line": 3}
HELLO: dict[str, Any] = {
    "is": "hello",
    "worker": 2,
    "pid": 1,
    "php": "8.2",
    "wordpress": "6.1",
    "url": "",
    "zone": "",
    "memory_limit": -1,
    "prefix": "wp_",
    "sees_runner": None,
    "action_scheduler": None,
    "store": None,
    "logger": None,
    "wp_cli": None,
}


def test_good_answers() -> None:
    id_ = ActionId(7)
    assert read({"is": "start", "id": 7}) == Start(id=id_)
    assert read(DONE) == End(id=id_, way="done", seconds=0.25, full=True)
    assert read({**DONE, "seconds": 0}) == End(id=id_, way="done", full=True)
    assert read({"is": "end", "id": 7, "as": "missing"}) == End(id=id_, way="missing")
    assert read({"is": "end", "id": 7, "as": "unstarted"}) == End(id=id_, way="unstarted")
    caught = Caught(message="boom", file="f.php", line=3, type="E")
    failed = End(id=id_, way="failed", seconds=0.25, full=True, error=caught)
    assert read({**DONE, "as": "failed", "error": ERROR}) == failed
    assert read({"is": "dying", "id": 7, "error": None}) == Dying(id=id_, error=None)
    assert read({"is": "has", "hooks": {"a": True, "": False}}) == Has(hooks={"a": True, "": False})
    # What is only shown to people may be hidden by plugins.
    shown = read({**HELLO, "wordpress": None, "url": False})
    assert isinstance(shown, Hello)
    assert (shown.wordpress, shown.url, shown.prefix) == ("", "", "wp_")


def _each(frame: dict[str, Any], name: str, *values: Any) -> list[dict[str, Any]]:
    return [{**frame, name: value} for value in values]


FAILED: dict[str, Any] = {**DONE, "as": "failed", "error": ERROR}


@pytest.mark.parametrize(
    "frame",
    [
        {},
        {"is": None},
        {"is": []},
        {"is": "END"},
        {"is": "start"},
        *_each({"is": "start"}, "id", "7", 7.0, True, None, [7], {"a": 1}, 0, -7, 1 << 70),
        *_each(DONE, "id", "7", False, 1 << 64),
        *_each(DONE, "as", None, "Done", "", ["done"], {}, 1),
        *_each(DONE, "seconds", None, "1", True, math.nan, math.inf, [], 10**400),
        *_each(DONE, "deferred", None, 0, "no", []),
        *_each(DONE, "full", None, 1, {}),
        {"is": "end", "id": 7, "as": "done"},
        {**DONE, "as": "failed"},
        *_each(FAILED, "error", None, "boom", [], {}, 3),
        *_each(FAILED, "error", *({**ERROR, name: None} for name in ERROR)),
        *_each(FAILED, "error", {**ERROR, "message": ["boom"]}, {**ERROR, "line": "3"}),
        {"is": "dying", "id": 7, "error": "x"},
        {"is": "dying", "error": None},
        *_each({"is": "has"}, "hooks", None, [], ["a"], {"a": 1}, {"a": None}, "a"),
        *({**HELLO, name: None} for name in ("worker", "pid", "memory_limit", "prefix")),
        *(
            {**HELLO, name: ["x"]}
            for name in ("prefix", "store", "sees_runner", "action_scheduler")
        ),
    ],
)
def test_anything_else_is_refused(frame: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        read(frame)
