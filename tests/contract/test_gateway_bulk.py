"""`POST /v1/actions:bulk`: a preview, then the count; the gateway's own runner does the rest."""

from typing import Any

import pytest

from daemons import until
from gateway import KEYS, Gateway, serving
from rows import query, set_status
from wpbridge.access.keys import Allowed
from wpbridge.action import BULK_HOOK
from wpbridge.plugin import own_hooks
from wpbridge.plugin.own_hooks import OwnHooks
from wpbridge.store.running.runner_store import RunnerStore

PATH = "/v1/actions:bulk"
CANCEL = {"verb": "cancel", "filter": {"hook": ["mail"]}}


def ask(gateway: Gateway, status: int, body: Any, key: str = "shop") -> Any:
    answer = gateway.ask("POST", PATH, body, key=key)
    assert answer.status_code == status, answer.text
    return answer.json()


def statuses(store: RunnerStore, hook: str) -> list[str]:
    rows = query(store, "SELECT status FROM wp_actionscheduler_actions WHERE hook = :h", h=hook)
    return [str(status) for (status,) in rows]


def test_a_preview_then_the_count_then_all_are_changed(dsn: str, store: RunnerStore) -> None:
    with serving(dsn, runs_own=True, poll_interval="0.05s") as gateway:
        ids = [gateway.add("mail", at="2036-01-01")["action_id"] for _ in range(3)]
        seen = ask(gateway, 200, {**CANCEL, "dry_run": True})
        assert (seen["count"], seen["is_capped"], seen["up_to_id"]) == (3, False, ids[-1])
        assert [one["id"] for one in seen["sample"]] == ids[::-1]
        gateway.add("mail", at="2036-01-01")
        told = {**CANCEL, "up_to_id": seen["up_to_id"], "fields": {"reason": "no more"}}
        assert ask(gateway, 409, {**told, "count": 4})["field"] == "count"
        assert ask(gateway, 422, told)["field"] == "count"
        assert statuses(store, BULK_HOOK) == []
        made = ask(gateway, 202, {**told, "count": 3})
        assert made["count"] == 3
        one = f"/v1/actions/{made['action_id']}"
        until(lambda: gateway.ask("GET", one).json()["status"] == "complete", "the bulk's end")
        assert gateway.ask("GET", one).json()["result"] == {"changed": 3, "skipped": {}}
    assert sorted(statuses(store, "mail")) == ["canceled"] * 3 + ["pending"]


def test_the_verb_decides_which_right_is_needed(dsn: str, store: RunnerStore) -> None:
    keys = {
        **KEYS,
        "operates": Allowed(rights=("operate",)),
        "administers": Allowed(rights=("administer",)),
    }
    with serving(dsn, keys=keys) as gateway:
        job = gateway.add("mail", at="2036-01-01")
        delete = {"verb": "delete", "filter": {"hook": ["mail"]}, "dry_run": True}
        cancel = {**CANCEL, "dry_run": True}
        assert ask(gateway, 200, cancel, "operates")["count"] == 1
        assert ask(gateway, 200, delete, "administers")["count"] == 1
        assert "administer" in ask(gateway, 403, delete, "operates")["detail"]
        assert "operate" in ask(gateway, 403, cancel, "administers")["detail"]
        set_status(store, job["action_id"], "failed")
        alike = {"verb": "requeue", "filter": {"fingerprint": "(no message)"}, "dry_run": True}
        assert ask(gateway, 200, alike)["count"] == 1


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"verb": "pause", "filter": {"hook": ["a"]}}, "verb"),
        ({"verb": "cancel"}, "filter"),
        ({"verb": "cancel", "filter": {}}, "filter"),
        ({"verb": "cancel", "filter": {"limit": 5}}, "filter.limit"),
        ({"verb": "cancel", "filter": {"since": "soon"}}, "since"),
        ({"verb": "delete", "filter": {"search": ""}}, "filter.search"),
        ({"verb": "reschedule", "filter": {"hook": ["a"]}, "dry_run": True}, "at"),
        ({"verb": "run", "filter": {"hook": ["a"]}, "fields": {"x": 1}, "dry_run": True}, "x"),
    ],
)
def test_what_cannot_be_is_refused_with_its_field(
    dsn: str, store: RunnerStore, body: dict[str, Any], field: str
) -> None:
    with serving(dsn) as gateway:
        assert ask(gateway, 422, {"count": 0, **body})["field"] == field


def test_without_the_companion_nothing_is_started(
    dsn: str, store: RunnerStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(dsn) as gateway:
        gateway.add("mail", at="2036-01-01")
        monkeypatch.setattr(OwnHooks, "refusal", lambda *_: own_hooks.REFUSAL)
        told = ask(gateway, 409, {**CANCEL, "count": 1})
        assert "companion plugin" in told["detail"]
        assert ask(gateway, 200, {**CANCEL, "dry_run": True})["count"] == 1
    assert statuses(store, BULK_HOOK) == []
