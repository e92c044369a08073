"""The audit table is read in pages, the newest first, by who, what and when."""

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from rows import change
from wpbridge.store.rows.audit import Audit
from wpbridge.store.running.runner_store import RunnerStore

FIRST = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.fixture
def audit(store: RunnerStore) -> Audit:
    """Twelve rows, two of each hour."""
    found = store.parts.audit
    found.prepare()
    for number in range(12):
        who = "user:anna" if number % 3 else "key:100%_shop"
        verb = "cancel" if number % 2 else "pause"
        store.session.transact(
            partial(
                found.add, who=who, verb=verb, thing=f"action {number}", detail={"changed": number}
            )
        )
        change(
            store,
            "UPDATE wp_wpbridge_audit SET at_gmt = :at WHERE audit_id = :id",
            at=str(FIRST + timedelta(hours=number // 2))[:19],
            id=number + 1,
        )
    return found


def test_nothing_is_there_before_the_first_change(store: RunnerStore) -> None:
    assert store.parts.audit.page() == []


def test_pages_are_the_whole_table(audit: Audit) -> None:
    found, before = [], None
    while page := audit.page(before_id=before, most=5):
        found += page
        before = page[-1].id
    assert [row.id for row in found] == list(range(12, 0, -1))
    assert found[-1].at == FIRST
    assert (found[-1].thing, found[-1].detail) == ("action 0", '{"changed": 0}')
    assert audit.latest(2) == found[:2]


def test_a_page_is_narrowed(audit: Audit, store: RunnerStore) -> None:
    def things(**narrowed: Any) -> list[str]:
        return [row.thing.removeprefix("action ") for row in audit.page(**narrowed)]

    assert things(who="anna", verb="cancel") == ["11", "7", "5", "1"]
    assert things(who="100%_") == ["9", "6", "3", "0"]
    assert things(who="100__") == []
    assert things(thing="action 7") == ["7"]
    hour = timedelta(hours=1)
    assert things(since=FIRST + 4 * hour) == ["11", "10", "9", "8"]
    assert things(since=FIRST + hour, until=FIRST + 2 * hour) == ["5", "4", "3", "2"]
    assert things(until=FIRST + 2 * hour, before_id=5, who="anna") == ["2", "1"]
    # A row that is gone still says where to go on.
    change(store, "DELETE FROM wp_wpbridge_audit WHERE audit_id = 5")
    assert things(before_id=5) == ["3", "2", "1", "0"]
