"""What the database reads for a claim depends on the batch, not on the backlog behind or before it.

MariaDB counts the rows that it reads, SQLite the steps of its machine. A claim is counted in a
backlog, and once more in one that is four times as long: it must cost the same. A claim that gets
fewer actions than it wants must notice that there are no more of them, at the same cost.
"""

from dataclasses import dataclass, field
from typing import Final

from factories import NOW
from reads import read_for
from rows import change
from stores import registered
from wpbridge.store.base import ClaimFilter
from wpbridge.store.running.runner_store import RunnerStore

BACKLOG: Final = 2_400
"""So many rows are in the backlog of the first claim; more than the windows of these searches."""
LIMIT: Final = 20
"""So many actions a claim wants."""
MANY, FEW = 60, 5
"""So many rows of ours are due: more than a claim wants, or fewer."""
DUE, LATE, FUTURE = "2026-11-01", "2026-11-20", "2027-01-01"


@dataclass(frozen=True)
class Rows:
    """A crowd of rows; n counts them from 0."""

    hook: str = "'ours'"
    group: str = "1"
    status: str = "'pending'"
    date: str = f"'{DUE} 00:00:00'"
    priority: str = "10"


@dataclass(frozen=True)
class Kind:
    """A queue, and what a runner asks of it."""

    crowd: Rows
    """The backlog."""
    only: ClaimFilter = field(default_factory=ClaimFilter)
    ours: Rows = field(default_factory=lambda: Rows(date=f"'{LATE} 00:00:00'"))
    count: int = MANY
    """How many rows of ours there are."""
    ours_first: bool = False
    """Whether ours were added before the backlog."""
    hidden_by: Rows | None = None
    """As many rows as the backlog has, which were added last and are in front of ours by date."""


OTHER = Rows(hook="'other'")
BULK = Rows(group="2")
ONLY_OURS = ClaimFilter(hooks=frozenset({"ours"}))
ROUTED = ClaimFilter(accepts=lambda hook, _: hook == "ours", may_accept=lambda hook: hook == "ours")
BY_GROUP = ClaimFilter(accepts=lambda _, group: group == "mine")
IN_GROUP = ClaimFilter(groups=frozenset({"mine"}))
NOT_BULK = ClaimFilter(exclude_groups=frozenset({"bulk"}))
ACCEPTING = ClaimFilter(exclude_groups=frozenset({"bulk"}), accepts=lambda _h, _g: True)
MINE = Rows(group="3", date=f"'{LATE} 00:00:00'")
ENDED = "CASE n % 4 WHEN 0 THEN 'failed' WHEN 1 THEN 'canceled' ELSE 'complete' END"
MANY_NAMES = "'other_' || n % 40"
MIXED = "n % 5 * 5"

KINDS: Final = {
    "behind others": Kind(OTHER, ONLY_OURS),
    "behind others that the routes leave": Kind(OTHER, ROUTED),
    "behind others of many priorities": Kind(Rows(hook="'other'", priority=MIXED), ROUTED),
    "behind many names": Kind(Rows(hook=MANY_NAMES), ROUTED),
    "all ours": Kind(Rows()),
    "all ours in a group": Kind(Rows(group="3"), IN_GROUP, MINE),
    "a group behind another": Kind(BULK, IN_GROUP, MINE),
    "a group behind another, with priorities": Kind(
        Rows(group="2", priority=MIXED), IN_GROUP, MINE
    ),
    "ours in a group only": Kind(BULK, BY_GROUP, MINE),
    "ours in many groups, not in one": Kind(
        Rows(group="2"), ClaimFilter(accepts=lambda _, group: group != "bulk"), MINE
    ),
    "a hook in a group": Kind(
        Rows(group="2"), ClaimFilter(hooks=ONLY_OURS.hooks, groups=IN_GROUP.groups), MINE
    ),
    "an excluded group": Kind(BULK, NOT_BULK, MINE),
    "an excluded group with routes": Kind(BULK, ACCEPTING, MINE),
    "an excluded group, others in front": Kind(
        BULK,
        ClaimFilter(hooks=ONLY_OURS.hooks, exclude_groups=NOT_BULK.exclude_groups),
        MINE,
    ),
    "behind what ended": Kind(Rows(status=ENDED), count=FEW),
    "before what ended": Kind(Rows(status=ENDED), count=FEW, ours_first=True),
    "ended ones of the hook": Kind(Rows(status=ENDED), ROUTED, count=FEW, hidden_by=OTHER),
    "behind ended ones of the group": Kind(
        Rows(status=ENDED, group="3"), IN_GROUP, MINE, hidden_by=BULK
    ),
    "before ended ones of the group": Kind(
        Rows(status=ENDED, group="3"), IN_GROUP, MINE, ours_first=True, hidden_by=BULK
    ),
    "behind ended ones of the group, by route": Kind(
        Rows(status=ENDED, group="3"), BY_GROUP, MINE, hidden_by=BULK
    ),
    "before ended ones of the group, by route": Kind(
        Rows(status=ENDED, group="3"), BY_GROUP, MINE, ours_first=True, hidden_by=BULK
    ),
    "before the future": Kind(Rows(date=f"'{FUTURE} 00:00:00'"), count=FEW),
    "before the future, with priorities": Kind(
        Rows(date=f"'{FUTURE} 00:00:00'", priority=MIXED), ROUTED, count=FEW
    ),
    "before the group's future": Kind(
        Rows(date=f"'{FUTURE} 00:00:00'", group="3"), IN_GROUP, MINE, count=FEW
    ),
    "nothing due": Kind(Rows(date=f"'{FUTURE} 00:00:00'"), count=0),
    "nothing ours": Kind(OTHER, ONLY_OURS, count=0),
    "nothing ours by route": Kind(OTHER, ClaimFilter(accepts=lambda _h, _g: False), count=0),
}


def test_four_times_the_backlog_costs_a_claim_no_more(store: RunnerStore) -> None:
    for slug in ("", "bulk", "mine"):
        change(store, "INSERT INTO wp_actionscheduler_groups (slug) VALUES (:s)", s=slug)
    costs = {
        name: (cost_of(store, kind, BACKLOG), cost_of(store, kind, 4 * BACKLOG))
        for name, kind in KINDS.items()
    }
    grown = {name: cost for name, cost in costs.items() if cost[1] > cost[0] * 1.2 + 20}
    assert grown == {}


def cost_of(store: RunnerStore, kind: Kind, backlog: int) -> int:
    empty = "TRUNCATE" if store.parts.dialect.name == "mysql" else "DELETE FROM"
    change(store, f"{empty} wp_actionscheduler_actions")
    parts: list[tuple[Rows, int]] = [(kind.crowd, backlog), (kind.ours, kind.count)]
    for rows, count in reversed(parts) if kind.ours_first else parts:
        add(store, rows, count)
    if kind.hidden_by:
        add(store, kind.hidden_by, backlog)
    found, cost = cost_of_claim(store, kind.only)
    assert found == min(kind.count, LIMIT)
    return cost


def add(store: RunnerStore, rows: Rows, count: int) -> None:
    hook = rows.hook
    if store.parts.dialect.name == "mysql":
        hook = f"CONCAT({hook.replace('||', ',')})"
    change(
        store,
        "INSERT INTO wp_actionscheduler_actions (hook, status, scheduled_date_gmt, args, schedule,"
        " group_id, priority) WITH RECURSIVE digits (d) AS (SELECT 0 UNION ALL SELECT d + 1 FROM"
        " digits WHERE d < 99), seq (n) AS (SELECT a.d * 100 + b.d FROM digits a, digits b)"
        f" SELECT {hook}, {rows.status}, {rows.date}, '[]',"
        f" 'O:28:\"ActionScheduler_NullSchedule\":0:{{}}', {rows.group}, {rows.priority} FROM seq"
        " WHERE n < :count",
        count=count,
    )


def cost_of_claim(store: RunnerStore, only: ClaimFilter) -> tuple[int, int]:
    """How many actions a claim takes, and what the database read for it, names included."""
    runner = registered(store.parts)
    claim, read = read_for(runner, lambda: runner.claim_due(now=NOW, limit=LIMIT, only=only))
    if claim is not None:
        runner.release(claim.actions, finished=[claim.id])
    runner.unregister()
    return len(claim.actions) if claim else 0, read
