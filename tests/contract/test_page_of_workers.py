"""The page of workers: what it shows to whom, and that its buttons lead to the changes."""

import json
from collections.abc import Callable, Iterator

import pytest

from dashboard_site import Dashboard, dashboard
from factories import NOW, insert, make_new
from rows import change, query
from wpbridge.site.rules import ROLES
from wpbridge.store.base import ClaimFilter
from wpbridge.store.running.runner_store import RunnerStore

EVIL = "<b>\x1b\u202e"
RUNNERS = "wp_wpbridge_runners"


@pytest.fixture
def site(dsn: str, store: RunnerStore) -> Iterator[Dashboard]:
    del store
    with dashboard(dsn) as found:
        yield found


def test_runners_and_claims_are_shown_as_text(site: Dashboard, store: RunnerStore) -> None:
    about = {
        "kind": EVIL,
        "state": EVIL,
        "executors": {EVIL: 3},
        "restarts": {"worker": 2},
        "memory": 5 << 20,
        "done": {"complete": 1234},
    }
    insert(store, make_new("pay"))
    claim = store.claim_due(now=NOW, limit=1, only=ClaimFilter())
    assert claim is not None
    change(
        store,
        f"UPDATE {RUNNERS} SET about = :about, host = :host, version = :host, wish = 'quiet'",
        about=json.dumps(about),
        host=EVIL,
    )
    page = site.text("/workers")
    for told in ("5.0 MB", "1,234", "2 deaths", "not obeyed yet", f"claim={claim.id}"):
        assert told in page
    assert "<b>" not in page
    assert "\x1b" not in page
    assert "\u202e" not in page


def test_a_relay_and_a_worker_of_celery_are_named(
    site: Dashboard, store: RunnerStore, dsn: str, open_queue: Callable[[str], RunnerStore]
) -> None:
    store.tell_about('{"kind": "relay"}')
    worker = open_queue(dsn)
    worker.register(host="there", boot="b", pid=2, pid_started="2")
    worker.tell_about('{"kind": "celery"}')
    [one, _] = insert(store, make_new("pay"), make_new("pay"))
    assert store.claim_due(now=NOW, limit=2, only=ClaimFilter())
    page = site.text("/workers")
    for told in ("relay to Celery", "worker of Celery", "2 actions handed to Celery"):
        assert told in page
    assert "it was handed to Celery" in site.text(f"/actions/{one}")


def test_only_who_may_gets_the_buttons(
    site: Dashboard, store: RunnerStore, dsn: str, open_queue: Callable[[str], RunnerStore]
) -> None:
    for wish in ("quiet", "stop"):
        open_queue(dsn).register(host=wish, boot="b", pid=2, pid_started="2")
        change(store, f"UPDATE {RUNNERS} SET wish = :wish WHERE host = :wish", wish=wish)
    found = {role: _buttons(site.text("/workers", role)) for role in ROLES}
    assert found == {
        "viewer": {},
        "operator": {"quiet-worker": 1, "wake-worker": 1},
        "admin": {"quiet-worker": 1, "wake-worker": 1, "stop-worker": 2},
    }


def _buttons(page: str) -> dict[str, int]:
    """How many buttons for each change a page has."""
    verbs = [f"{verb}-worker" for verb in ("quiet", "wake", "stop")]
    return {verb: n for verb in verbs if (n := page.count(f"/changes/{verb}"))}


def test_a_button_makes_the_wish_and_the_page_says_so(site: Dashboard, store: RunnerStore) -> None:
    assert "Wake" not in site.text("/workers")
    [[runner]] = query(store, f"SELECT runner_id FROM {RUNNERS}")
    form = {"runner": runner, "back": "workers"}
    quiet = site.post("/changes/quiet-worker", form, "operator")
    assert (quiet.status_code, store.wish()) == (303, "quiet")
    page = site.text(quiet.headers["Location"])
    assert "The worker will take nothing more" in page
    assert "Wake" in page
    # Stopping cannot be taken back, so it asks first.
    assert site.post("/changes/stop-worker", form, "operator").status_code == 403
    assert site.post("/changes/stop-worker", form).status_code == 200
    assert store.wish() == "quiet"
    assert site.post("/changes/stop-worker", {**form, "sure": "yes"}).status_code == 303
    assert store.wish() == "stop"
    [[who, verb, thing]] = query(
        store,
        "SELECT who, verb, object FROM wp_wpbridge_audit WHERE verb = 'stop-worker'",
    )
    assert (str(who), str(verb), str(thing)) == ("user:admin", "stop-worker", f"runner {runner}")
