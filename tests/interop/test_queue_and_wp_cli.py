"""``wp action-scheduler action …`` and wpbridge's commands, side by side on the same rows.

Needs the real plugin (WPBRIDGE_TEST_PLUGIN) and a WP-CLI (WPBRIDGE_TEST_WP).
"""

import json
import os
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

import pytest

from both_sides import BothSides
from wpbridge.action import ActionId
from wpbridge.clock import SystemClock
from wpbridge.queue.enqueue import Enqueue

WHEN: Final = 1_806_195_599
LONG: Final = ["é" * 100]
UNDATED: Final = "0000-00-00 00:00:00"
"""How WP-CLI writes that there is no date, as of async actions."""


@pytest.fixture(autouse=True)
def _wp_cli(plugin_site: BothSides) -> None:
    if not os.environ.get("WPBRIDGE_TEST_WP"):
        pytest.skip("WPBRIDGE_TEST_WP does not name a WP-CLI")
    plugin_site.site.needs_release((3, 9, 1), "commands for single actions")


@pytest.fixture
def ids(both: BothSides) -> list[ActionId]:
    """Actions of every kind and status, written by both sides, with different dates."""
    queue = both.queue()
    found = queue.enqueue_many(
        [
            Enqueue(hook="a", args=[1], at=WHEN),
            Enqueue(hook="a", at=WHEN + 60, group="g", priority=0),
            Enqueue(hook="a", args=[1], at=WHEN + 120, group="g", interval=90),
            Enqueue(hook="a", args={"k": "ü/", "n": {"x": []}}, at=WHEN + 180, cron="*/5 * * * *"),
            Enqueue(hook="b", args=LONG, at=WHEN + 240, group="Grüße 😀"),
            Enqueue(hook="b", at=WHEN + 300, cron="0 0 1 1 * 2030", group="g"),
            Enqueue(hook="now", args=["x"]),
            Enqueue(hook="now", args=["y"], group="g"),
        ]
    )
    found += both.php(
        ["as_schedule_single_action", WHEN + 360, "c", [1.5]],
        ["as_schedule_recurring_action", WHEN + 420, 60, "c", [], "g"],
        ["as_schedule_cron_action", WHEN + 480, "@daily", "c", ["é"]],
        ["as_enqueue_async_action", "now", ["z"]],
    )
    found.append(queue.enqueue_async("waits", after=[found[0] or 0]))
    made = [ActionId(i) for i in found if i]
    for i, status in zip(made[4:7], ("complete", "failed", "in-progress"), strict=True):
        both.set(i, status=status, last_attempt_gmt="2026-10-11 12:13:14", claim_id=77)
    return made


# Looking


def test_get_shows_the_same(both: BothSides, ids: Sequence[ActionId]) -> None:
    printed = both.wp(*(["action", "get", i, "--format=json"] for i in ids))
    for i, one in zip(ids, printed, strict=True):
        theirs = json.loads(one.stdout)
        ours = json.loads(both.wpbridge("get", i, "--format=json"))
        assert facts(ours) == wp_facts(theirs)
        assert [(e["date"], e["message"]) for e in ours["log"]] == [
            (iso(e["date"]), e["message"]) for e in theirs["log_entries"]
        ]
        assert ours["log"]


def facts(ours: dict[str, Any]) -> dict[str, Any]:
    """What WP-CLI tells, too."""
    return {
        **{name: ours[name] for name in ("id", "hook", "status", "args", "group")},
        "recurring": ours["recurrence"] is not None,
        "scheduled": None if ours["kind"] == "async" else ours["scheduled"],
    }


def wp_facts(theirs: dict[str, Any]) -> dict[str, Any]:
    date = theirs["scheduled_date"]
    return {
        **{name: theirs[name] for name in ("hook", "status", "args", "group")},
        "id": int(theirs["id"]),
        "recurring": theirs["recurring"] == "yes",
        "scheduled": None if date == UNDATED else iso(date),
    }


def iso(date: str) -> str:
    assert date.endswith(" +0000")
    return date.removesuffix(" +0000").replace(" ", "T") + "Z"


LISTS: Final[Sequence[tuple[list[str], list[str]]]] = [
    ([], []),
    (["--hook=a"], ["--hook=a"]),
    (["--group=g"], ["--group=g"]),
    (["--group=G", "--hook=A", "--status=pending"], ["--group=G", "--hook=A", "--status=pending"]),
    (["--args=[1]"], ["--args=[1]"]),
    (["--args=[]"], ["--args=[]"]),
    ([f"--args={json.dumps(LONG)}"], [f"--args={json.dumps(LONG)}"]),
    (["--status=complete"], ["--status=complete"]),
    (["--claimed=77"], ["--claim=77"]),
    (["--claimed=false"], ["--unclaimed"]),
    (["--search=a"], ["--search=a"]),
    (["--date=2027-03-28 01:01:00", "--date_compare=>="], ["--since=2027-03-28 01:01:00"]),
    (["--date=2027-03-28 01:01:00"], ["--until=2027-03-28 01:01:00"]),
    (
        ["--modified=2026-10-11 12:13:14", "--modified_compare=>="],
        ["--modified-since=2026-10-11 12:13:14"],
    ),
    (["--group=nowhere"], ["--group=nowhere"]),
    (
        ["--per_page=3", "--offset=2", "--order=desc"],
        ["--per_page=3", "--offset=2", "--order=desc"],
    ),
]


def _without_limit(words: Sequence[str]) -> list[str]:
    # WP-CLI 3 makes a list of an option that is given twice, where 2 took the last one.
    return [] if any(word.startswith("--per_page=") for word in words) else ["--per_page=0"]


def test_list_shows_the_same(both: BothSides, ids: Sequence[ActionId]) -> None:
    fields = "--fields=id,hook,status,args,group,recurring,scheduled_date"
    printed = both.wp(
        *(
            ["action", "list", "--orderby=action_id", *words, *how]
            for words in ([*_without_limit(words), *words] for words, _ in LISTS)
            for how in (["--format=json", fields], ["--format=ids"], ["--format=count"])
        )
    )
    assert [one.stderr for one in printed] == [""] * len(printed)
    sizes = set()
    for place, (_, words) in enumerate(LISTS):
        rows, told_ids, count = (one.stdout for one in printed[3 * place : 3 * place + 3])
        call = ["list", "--limit=0", "--orderby=action_id", *words]
        ours = json.loads(both.wpbridge(*call, "--format=json"))
        assert [facts(one) for one in ours] == [wp_facts(one) for one in json.loads(rows)], words
        assert both.wpbridge(*call, "--format=ids").strip() == told_ids
        if "--per_page=3" not in words:
            assert both.wpbridge(*call, "--format=count").strip() == count
        sizes.add(len(ours))
    assert {0, 1, len(ids)} <= sizes


NEXTS: Final[Sequence[list[str]]] = [
    ["a"],
    ["a", "--args=[1]"],
    ["a", "--args=[1]", "--group=g"],
    ["a", "--group=nowhere"],
    ["a", '--args={"k":"ü/","n":{"x":[]}}'],
    ["b"],
    ["now", '--args=["y"]'],
    ["none"],
]


def test_next_tells_the_same(both: BothSides, ids: Sequence[ActionId]) -> None:
    printed = both.wp(
        *(["action", "next", *words, *raw] for words in NEXTS for raw in (["--raw"], []))
    )
    found = 0
    for place, words in enumerate(NEXTS):
        raw, shown = printed[2 * place].stdout, printed[2 * place + 1].stdout
        ours = both.wpbridge("next", *words, "--raw").strip()
        # WP-CLI prints PHP's true as 1.
        assert ours == {"1": "now"}.get(raw, raw), words
        if shown and ours != "now":
            # Without --raw WP-CLI prints the action's id, wpbridge its date.
            [record] = both.queue().find(ids=(int(shown),))
            assert both.wpbridge("next", *words) == f"{record.scheduled_at:%Y-%m-%dT%H:%M:%SZ}\n"
            found += 1
    assert found > 3


# Canceling

CANCELS: Final[Sequence[tuple[list[str], list[str]]]] = [
    (["a"], ["a"]),
    (["a", "--args=[1]"], ["a", "--args=[1]"]),
    (["a", "--args=[1]", "--group=g"], ["a", "--args=[1]", "--group=g"]),
    (["now", "--all"], ["now", "--all"]),
    (["a", "--all"], ["a", "--all"]),
    (["a", "--args=[1]", "--all"], ["a", "--args=[1]", "--all"]),
    (["--group=g", "--all"], ["--group=g"]),
    (["none"], ["none"]),
    (["a", "--group=nowhere"], ["a", "--group=nowhere"]),
    (["a", "--group=g", "--all"], ["a", "--group=g", "--all", "--args=[]"]),
]


def test_cancel_takes_the_same(both: BothSides, ids: Sequence[ActionId]) -> None:
    both.keep()
    printed = both.wp(*(["action", "cancel", *words] for words, _ in CANCELS))
    sizes = []
    for (_, words), one in zip(CANCELS, printed, strict=True):
        both.restore()
        before = both.statuses()
        planned = json.loads(both.wpbridge("cancel", *words, "--dry-run", "--format=json") or "{}")
        assert both.statuses() == before
        both.wpbridge("cancel", *words)
        assert both.statuses() == one.statuses, words
        sizes.append(list(one.statuses.values()).count("canceled"))
        assert len(planned.get("ids", ())) == sizes[-1]
    assert set(sizes) >= {0, 1, 2, 4}


# Creating and deleting

CREATES: Final[Sequence[tuple[list[object], list[object]]]] = [
    (["h", "async"], ["h"]),
    (["h", "async", "--args=[1]", "--group=g"], ["h", "--args=[1]", "--group=g"]),
    (["h", WHEN, '--args={"a":"ü"}'], ["h", f"--at={WHEN}", '--args={"a":"ü"}']),
    (["h", "2027-06-07 08:09:10"], ["h", "--at=2027-06-07 08:09:10"]),
    (
        ["h", WHEN, "--interval=90", "--group=g"],
        ["h", f"--at={WHEN}", "--interval=90", "--group=g"],
    ),
    (["h", WHEN, "--cron=30 4 * * MON"], ["h", f"--at={WHEN}", "--cron=30 4 * * MON"]),
]


def test_create_and_enqueue_write_the_same(both: BothSides) -> None:
    both.wp(*(["action", "create", *words] for words, _ in CREATES))
    theirs = rows(both)
    for _, words in CREATES:
        both.wpbridge("enqueue", *words)
    assert rows(both)[len(theirs) :] == theirs
    assert len(theirs) == len(CREATES)


def test_generate_writes_the_same(both: BothSides) -> None:
    words = ["--count=3", "--interval=60", "--args=[1]", "--group=g"]
    both.wp(["action", "generate", "h", WHEN, *words])
    theirs = rows(both)
    both.wpbridge("generate", "h", WHEN, *words)
    assert rows(both)[3:] == theirs
    assert len(theirs) == 3


def rows(both: BothSides) -> list[dict[str, Any]]:
    """All of them by id, without ids, and without the dates of those that are due at once."""
    found = []
    for (i,) in both.rows("SELECT action_id FROM {actions} ORDER BY 1"):
        row = both.raw(i)
        if "NullSchedule" in row["schedule"]:
            assert row["scheduled_date_gmt"] == row["scheduled_date_local"]
            row |= {"scheduled_date_gmt": "now", "scheduled_date_local": "now"}
        found.append({name: value for name, value in row.items() if name != "action_id"})
    return found


def test_delete_and_clean_leave_the_same(both: BothSides, ids: Sequence[ActionId]) -> None:
    at = SystemClock().now()
    for i, days in zip(ids[:6], (1, 9, 11, 40, 99, 10), strict=True):
        date = f"{at - timedelta(days=days, minutes=1):%Y-%m-%d %H:%M:%S}"
        both.set(i, status="complete", last_attempt_gmt=date, claim_id=0)
    both.keep()
    before = f"{at - timedelta(days=10):%Y-%m-%d %H:%M:%S}"
    deleted, cleaned = both.wp(
        ["action", "delete", ids[7], ids[8]],
        ["clean", "--status=complete", f"--before={before}", "--batch-size=2"],
    )
    both.restore()
    both.wpbridge("delete", ids[7], ids[8])
    assert both.statuses() == deleted.statuses
    assert len(deleted.statuses) == len(ids) - 2
    both.restore()
    both.wpbridge("clean", "--status=complete", f"--before={before}", "--batch-size=2", "--yes")
    assert both.statuses() == cleaned.statuses
    assert len(cleaned.statuses) == len(ids) - 4
