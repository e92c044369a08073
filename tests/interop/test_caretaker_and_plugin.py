"""The same rows, cleaned by the plugin's own cleaner and by wpbridge's caretaker: row by row.

Needs the real plugin (WPBRIDGE_TEST_PLUGIN).
"""

from datetime import timedelta
from typing import Any

import pytest

from both_sides import BothSides
from wpbridge.clock import SystemClock
from wpbridge.codec import schedule
from wpbridge.queue.facade import Queue
from wpbridge.store.queueing.adding import SINCE_4_HOOK
from wpbridge.telling.bus import Bus
from wpbridge.upkeep.caretaker import SiteCaretaker

NEVER = "0000-00-00 00:00:00"
DAY = 86_400
STATUSES = ("pending", "in-progress", "complete", "failed", "canceled", "strange")
AGES: tuple[int | str | None, ...] = (
    280,
    320,
    5 * DAY,
    31 * DAY - 60,
    31 * DAY + 60,
    93 * DAY - 60,
    93 * DAY + 60,
    NEVER,
    None,
)


@pytest.mark.parametrize(
    ("zone", "offset"), [("Europe/Berlin", ""), ("", "5.5")], ids=["named", "offset"]
)
def test_both_cleaners_leave_the_same_rows(both: BothSides, zone: str, offset: str) -> None:
    both.php(["update_option", "timezone_string", zone], ["update_option", "gmt_offset", offset])
    try:
        prepare(both)
        both.keep()
        before = picture(both)
        both.ask("q_clean_all")
        expected = picture(both)
        both.restore()
        assert picture(both) == before
        clean(both)
        found = picture(both)
    finally:
        both.php(
            ["update_option", "timezone_string", "Europe/Berlin"], ["delete_option", "gmt_offset"]
        )
    assert found["claims"] == expected["claims"] == before["claims"]
    changed = [key for key in before if before[key] != expected.get(key)]
    assert len(changed) > 20
    problems = [
        f"{key}\n  plugin   {expected.get(key)}\n  wpbridge {found.get(key)}"
        for key in before
        if expected.get(key) != found.get(key)
    ]
    assert not problems, "\n".join(problems)


def prepare(both: BothSides) -> None:
    """Every status, claimed and not, of every age, with schedules that each side knows or not."""
    queue = both.queue()
    if both.release >= (4, 0):
        add(both, queue, "complete", 0, 60, SINCE_4_HOOK)
    both.change("INSERT INTO {claims} (claim_id, date_created_gmt) VALUES (900, '2026-01-01')")
    for status in STATUSES:
        for claim in (0, 900, 901):
            for age in AGES:
                add(both, queue, status, claim, age)
    now = SystemClock().now()
    recurring = schedule.encode(schedule.interval(now - timedelta(hours=1), 60)).decode()
    for status in STATUSES:
        for told in (recurring, 'O:9:"NotLoaded":0:{}', "nonsense"):
            both.set(add(both, queue, status, 900, 99 * DAY), schedule=told)


def add(  # noqa: PLR0917 - a row
    both: BothSides,
    queue: Queue,
    status: str,
    claim: int,
    age: float | str | None,
    hook: str = "cleaned",
) -> int:
    action_id = queue.enqueue_async(hook, [status, claim, age])
    assert action_id is not None
    last = age
    if isinstance(age, int | float):
        last = f"{SystemClock().now() - timedelta(seconds=age):%F %T}"
    both.set(
        action_id, status=status, claim_id=claim, last_attempt_gmt=last, last_attempt_local=last
    )
    return action_id


def clean(both: BothSides) -> None:
    store = both.site.open()
    store.register(host="h", boot="b", pid=1, pid_started="1")
    it = SiteCaretaker(store.parts, SystemClock(), Bus(), holder="test")
    while it.step().has_more:
        pass
    store.unregister()
    store.close()


def picture(both: BothSides) -> dict[Any, Any]:
    """All rows by id with their logs, just now made a word; and the claims."""
    ids = [row[0] for row in both.rows("SELECT action_id FROM {actions} ORDER BY 1")]
    now = SystemClock().now()
    found: dict[Any, Any] = {}
    for action_id in ids:
        values = both.raw(action_id)
        last = str(values["last_attempt_gmt"])
        if last > f"{now - timedelta(seconds=100):%F %T}" and values["hook"] == "cleaned":
            [apart] = both.rows(
                "SELECT TIMESTAMPDIFF(SECOND, last_attempt_gmt, last_attempt_local) FROM {actions}"
                f" WHERE action_id = {action_id}"
            )
            values |= {"last_attempt_gmt": "now", "last_attempt_local": apart[0]}
        values["log"] = both.rows(
            "SELECT message, TIMESTAMPDIFF(SECOND, log_date_gmt, log_date_local) FROM {logs}"
            f" WHERE action_id = {action_id} ORDER BY log_id"
        )
        found[action_id] = values
    orphans = "SELECT COUNT(*) FROM {logs} WHERE action_id NOT IN (SELECT action_id FROM {actions})"
    found["logs of nobody"] = both.rows(orphans)
    found["claims"] = both.rows("SELECT * FROM {claims} ORDER BY claim_id")
    return found
