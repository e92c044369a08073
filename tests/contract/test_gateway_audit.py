"""Who changed what through the gateway stands in the audit table, and only what was changed."""

import json

import pytest

from gateway import serving
from rows import query
from wpbridge.errors import StoreError
from wpbridge.store.rows.audit import Audit
from wpbridge.store.running.runner_store import RunnerStore


def audited(store: RunnerStore) -> list[tuple[str, str]]:
    rows = query(store, "SELECT who, verb, object FROM wp_wpbridge_audit ORDER BY audit_id")
    return [(str(verb), str(thing)) for who, verb, thing in rows if who == "key:shop"]


def test_each_change_leaves_a_row_and_nothing_else_does(dsn: str, store: RunnerStore) -> None:
    with serving(dsn) as gateway:
        first, second, third = (gateway.add(hook) for hook in "abc")
        action = f"/v1/actions/{first['action_id']}"
        asked = [
            ("POST", f"{action}/reschedule", {"at": "2036-01-01T00:00:00Z"}, 200),
            ("POST", f"{action}/run", None, 200),
            ("POST", f"{action}/cancel", {"reason": "no"}, 200),
            ("POST", f"{action}/cancel", {}, 409),
            ("POST", f"{action}/requeue", {}, 200),
            ("POST", f"{action}/requeue", {}, 409),
            ("POST", "/v1/actions/999999/cancel", {}, 404),
            ("DELETE", second["links"]["self"], None, 200),
            ("DELETE", second["links"]["self"], None, 200),
            ("POST", "/v1/pauses", {"hook": "h", "for": "1h"}, 200),
            ("POST", "/v1/pauses", {"hook": "h", "for": "-1h"}, 422),
            ("DELETE", "/v1/pauses?hook=h", None, 200),
            ("DELETE", "/v1/pauses?hook=h", None, 200),
            ("POST", "/v1/pauses", {"everything": True}, 200),
            ("DELETE", "/v1/pauses?everything=true", None, 200),
            ("GET", f"/v1/actions/{third['action_id']}", None, 200),
            ("GET", "/v1/actions", None, 200),
        ]
        for method, path, body, status in asked:
            answer = gateway.ask(method, path, body)
            assert answer.status_code == status, (method, path, answer.text)
    thing = f"action {first['action_id']}"
    assert audited(store) == [
        ("reschedule", thing),
        ("run", thing),
        ("cancel", thing),
        ("requeue", thing),
        ("cancel", f"job {second['job']}"),
        ("pause", "hook h"),
        ("resume", "hook h"),
        ("pause", "everything"),
        ("resume", "everything"),
    ]
    [[detail]] = query(store, "SELECT detail FROM wp_wpbridge_audit WHERE verb = 'reschedule'")
    assert json.loads(str(detail)) == {
        "at": "2036-01-01T00:00:00Z",
        "changed": 1,
        "ids": [first["action_id"]],
        "address": "127.0.0.1",
    }


def test_a_change_without_its_row_is_not_made(
    dsn: str, store: RunnerStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The row is part of the transaction: what takes the row away takes the change away."""

    def refuse(*_given: object, **_more: object) -> None:
        raise StoreError("no room")

    with serving(dsn) as gateway:
        job = gateway.add()
        monkeypatch.setattr(Audit, "add", refuse)
        assert gateway.ask("DELETE", job["links"]["self"]).status_code == 503
        assert gateway.ask("GET", job["links"]["self"]).json()["status"] == "pending"
