"""Run actions that somebody named: say which can be run, and what became of them."""

from collections.abc import Mapping, Sequence

from wpbridge.action import ActionId, Status
from wpbridge.dataclass import dataclass
from wpbridge.errors import ActionNotFound, HandlerNotFound
from wpbridge.executors.routes import Routes
from wpbridge.runner.loop import Runner
from wpbridge.store.opened import OpenStore
from wpbridge.store.records import Record
from wpbridge.store.running.candidates import has_known_schedule


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """Actions that were named and judged before anything is claimed."""

    records: Mapping[ActionId, Record]
    wanted: tuple[ActionId, ...]
    """The actions that can be run."""
    left: Mapping[ActionId, str]
    """The actions that are left as they are, and why."""


def judge(store: OpenStore, ids: Sequence[ActionId], routes: Routes) -> Named:
    """Judge the actions with these ids.

    Raises:
        ActionNotFound: there is no action with one of the ids.
        HandlerNotFound: nothing here runs one of them.
    """
    records = store.reading.existing(ids)
    missing = [str(i) for i in ids if i not in records]
    if missing:
        raise ActionNotFound(f"there is no action {', '.join(missing)}")
    left = {action_id: why for action_id in ids if (why := _why_left(records[action_id]))}
    wanted = tuple(action_id for action_id in ids if action_id not in left)
    for action_id in wanted:
        record = records[action_id]
        decision = routes.decide(record.hook, record.group)
        if decision.to == "leave":
            raise HandlerNotFound(
                f"action {action_id}: hook {record.hook} is not run here: {decision.why}"
            )
    return Named(records=records, wanted=wanted, left=left)


def _why_left(record: Record) -> str:
    """Say why an action is left as it is; empty when it can be run."""
    if record.status != Status.PENDING:
        return f"it is {record.status}"
    if record.claim_id:
        return "a runner has claimed it"
    return "" if has_known_schedule(record.schedule) else "only PHP knows its kind of schedule"


def put_back(store: OpenStore, ids: Sequence[ActionId], runner: Runner) -> list[Record]:
    """Return the actions that a run has put back, since WordPress has no callback for them."""
    return [
        record
        for record in store.reading.existing(ids).values()
        if record.status == Status.PENDING and record.hook in runner.missing
    ]


def unasked(named: Named, routes: Routes) -> list[Record]:
    """Return the actions that go to PHP: a plan does not ask it for callbacks."""
    records = [named.records[action_id] for action_id in named.wanted]
    return [r for r in records if routes.decide(r.hook, r.group).to == "php"]
