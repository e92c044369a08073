"""What must hold of the tables after any run, crash or race, and of what handlers saw of it."""

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import evidence
from evidence import Attempt, Harm
from rows import query
from wpbridge.store.running.runner_store import RunnerStore

ACTIONS, LOGS = "wp_actionscheduler_actions", "wp_actionscheduler_logs"
BY_US = ("action complete via wpbridge", "action failed via wpbridge")
"""How the log rows of endings that have a successor begin."""
LATE_SECONDS = 10.0
"""For so long after the date in its log an action that others ended may still start under a runner.

It looks once a second. But that date is cut to its second, and is the moment in which somebody
asked for it: on a busy server it takes a while until it is done.
"""
PHP_FAILED = "action marked as failed after%"
"""The log row of the plugin's cleaner."""


def check(store: RunnerStore) -> None:
    """No claim without work, no work without a claim, every attempt and ending with its log."""
    held = query(
        store,
        f"SELECT action_id FROM {ACTIONS} WHERE status = 'in-progress'"
        " OR (status = 'pending' AND claim_id <> 0)",
    )
    assert not held, f"held by nobody: {held}"
    claims = query(store, "SELECT claim_id FROM wp_actionscheduler_claims")
    assert not claims, f"orphan claims: {claims[:5]}"
    owners = query(store, "SELECT runner_id FROM wp_wpbridge_runners WHERE claims <> ''")
    assert not owners, f"runners that hold claims: {owners}"
    for status, message in (("complete", "action complete%"), ("failed", PHP_FAILED)):
        wrong = query(
            store,
            f"SELECT a.action_id FROM {ACTIONS} a LEFT JOIN (SELECT action_id, COUNT(*) AS n"
            f" FROM {LOGS} WHERE message LIKE '{message}' OR message LIKE 'action {status}%'"
            " GROUP BY action_id) l ON l.action_id = a.action_id"
            f" WHERE a.status = '{status}' AND COALESCE(l.n, 0) <> 1",
        )
        assert not wrong, f"{status} without exactly one log row of it: {wrong[:5]}"
    miscounted = query(
        store,
        f"SELECT a.action_id, a.attempts, l.n FROM {ACTIONS} a LEFT JOIN (SELECT action_id,"
        f" COUNT(*) AS n FROM {LOGS} WHERE message LIKE 'action started%' GROUP BY action_id) l"
        " ON l.action_id = a.action_id WHERE a.attempts <> COALESCE(l.n, 0)",
    )
    assert not miscounted, f"attempts differ from started rows: {miscounted[:5]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What may have become of the actions of a round."""

    ids: Collection[int]
    """All that were enqueued by the round itself."""
    statuses: Mapping[str, Collection[str]]
    """By hook, those its actions may end with when nothing happens to their runners."""
    chains: int = 0
    """How many recurring actions there were in the beginning."""
    once: Collection[str] = ()
    excuses: Sequence[str] = ()
    """Patterns of the log rows that excuse a failure."""
    harm: Harm = field(default_factory=Harm)


def check_round(
    store: RunnerStore, attempts: Mapping[int, Sequence[Attempt]], terms: Terms
) -> Counter[str]:
    """All of it, after a storm: returns how many actions ended with each status.

    Raises AssertionError with the first few things that are wrong.
    """
    check(store)
    left = query(store, "SELECT runner_id, pid FROM wp_wpbridge_runners")
    wrongs = [f"a runner is still registered: {row}" for row in left]
    rows = query(store, f"SELECT action_id, hook, status, attempts FROM {ACTIONS}")
    actions = {int(str(r[0])): (str(r[1]), str(r[2]), int(str(r[3]))) for r in rows}
    wrongs += [f"action {i} is gone" for i in terms.ids if i not in actions]
    logs = _logs(store)
    for action_id, (hook, status, counted) in actions.items():
        told = f"action {action_id} ({hook}, {status})"
        own = attempts.get(action_id, ())
        lines = [message for _, message in logs.get(action_id, ())]
        wrongs += [f"{told} {wrong}" for wrong in _fate(hook, status, own, lines, terms)]
        unwritten = _cut_off(status, own, logs.get(action_id, ()))
        wrongs += [
            f"{told} {wrong}" for wrong in _books(own, counted, unwritten, lines, terms.harm)
        ]
        wrongs += [
            f"{told} {wrong}"
            for wrong in _after_the_end(status, own, logs.get(action_id, ()), terms.harm)
        ]
    wrongs += evidence.wrongs(attempts, terms.harm, terms.once)
    wrongs += evidence.starts_in_lapses(attempts, terms.harm)
    wrongs += _chains(store, terms.chains)
    wrongs += _children(store)
    assert not wrongs, f"{len(wrongs)} wrongs: " + "\n".join(wrongs[:8])
    return Counter(status for _, status, _ in actions.values())


def _logs(store: RunnerStore) -> dict[int, list[tuple[str, str]]]:
    found: dict[int, list[tuple[str, str]]] = {}
    statement = f"SELECT action_id, log_date_gmt, message FROM {LOGS} ORDER BY log_id"
    for action_id, date, message in query(store, statement):
        found.setdefault(int(str(action_id)), []).append((str(date), str(message)))
    return found


def _fate(
    hook: str, status: str, own: Sequence[Attempt], lines: Sequence[str], terms: Terms
) -> list[str]:
    """Nothing is lost: it ended as it may, and its handler ran."""
    if status not in ("complete", "failed", "canceled"):
        return [f"did not end; its log: {lines}"]
    if status == "complete" and not any(attempt.is_success for attempt in own):
        return [f"has no attempt that succeeded: {own}"]
    if status in terms.statuses[hook]:
        return [] if own or status == "canceled" or _excused(lines, terms) else ["was never run"]
    return [] if status == "failed" and _excused(lines, terms) else [f"; its log: {lines}"]


def _excused(lines: Sequence[str], terms: Terms) -> bool:
    return any(re.search(pattern, line) for pattern in terms.excuses for line in lines)


def _books(
    own: Sequence[Attempt], counted: int, unwritten: int, lines: Sequence[str], harm: Harm
) -> list[str]:
    """Every attempt is in the log: of those that nobody harmed neither more nor fewer."""
    unharmed = sum(not harm.has_touched(attempt) for attempt in own)
    if counted + unwritten < unharmed:
        return [f"ran {unharmed} times and counts {counted}; its log: {lines}"]
    is_clean = unharmed == len(own) and not any("its runner" in line for line in lines)
    # A child that was killed right after it said that it starts has left nothing else of its run.
    killed = sum("process was ended by signal 9" in line for line in lines)
    if is_clean and counted > len(own) + killed:
        return [f"ran {len(own)} times and counts {counted}; its log: {lines}"]
    return []


def _cut_off(status: str, own: Sequence[Attempt], log: Sequence[tuple[str, str]]) -> int:
    """One when the action was canceled before its last attempt's ending was written.

    A short attempt leaves no trace before its ending, which is then not written.
    """
    canceled = [date for date, line in log if line == "action canceled"]
    if status != "canceled" or not own or not canceled:
        return 0
    at = datetime.fromisoformat(canceled[-1]).replace(tzinfo=UTC).timestamp()
    return int(own[-1].wall < at + LATE_SECONDS)


def _after_the_end(
    status: str, own: Sequence[Attempt], log: Sequence[tuple[str, str]], harm: Harm
) -> list[str]:
    """Nothing that ended is run again; what others end under a runner may start for a while."""
    if status not in ("complete", "failed"):
        return []
    ends = [one for one in log if re.match(r"action (complete|failed|marked)", one[1])]
    if not ends:
        return []
    date, line = ends[-1]
    ended = datetime.fromisoformat(date).replace(tzinfo=UTC).timestamp()
    by_others = line.startswith("action marked")
    return [
        f"ended at {date} and was started later: {attempt}"
        for attempt in own
        if attempt.wall >= ended + (LATE_SECONDS if by_others else 1)
        and harm.lapse_of(attempt) is None
        and harm.blackout_of(attempt) is None
    ]


def _chains(store: RunnerStore, first: int) -> list[str]:
    """One successor for each ending of a recurring action; none for those of the cleaner."""
    ended = " OR ".join(f"l.message LIKE '{start}%'" for start in BY_US)
    rows = query(
        store,
        f"SELECT a.args, COUNT(DISTINCT a.action_id), COUNT(l.log_id) FROM {ACTIONS} a"
        f" LEFT JOIN {LOGS} l ON l.action_id = a.action_id AND ({ended})"
        " WHERE a.hook = 'chain' GROUP BY a.args",
    )
    found = [
        f"chain {args} has {count} actions after {endings} endings"
        for args, count, endings in rows
        if int(str(count)) != int(str(endings)) + 1
    ]
    return found if len(rows) == first else [*found, f"{len(rows)} chains of {first}"]


def _children(store: RunnerStore) -> list[str]:
    """What a handler enqueues under a key is there once, however often the handler ran."""
    rows = query(
        store,
        "SELECT p.args, p.status, COUNT(c.action_id) FROM wp_actionscheduler_actions p"
        " LEFT JOIN wp_actionscheduler_actions c ON c.hook = 'child' AND c.args = p.args"
        " WHERE p.hook = 'parent' GROUP BY p.args, p.status",
    )
    return [
        f"parent {args} ({status}) has {count} children"
        for args, status, count in rows
        if int(str(count)) > 1 or (status == "complete" and int(str(count)) != 1)
    ]
