"""The hooks and groups of a queue: what waits, how it goes lately, and which rules apply.

Every number is bounded: what waits is counted up to a cap for each hook, groups are told apart in
the oldest of what is due and the next of what is not, and what ended comes from the statistics.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from wpbridge.dashboard.past import Past, Percentiles, Period, past_of, percentiles
from wpbridge.dataclass import dataclass
from wpbridge.executors.routes import Routes
from wpbridge.runner.retry_rules import rule_for
from wpbridge.site.rules import Limit, RetryRule
from wpbridge.store.opened import OpenStore
from wpbridge.store.reading.counting import CAP
from wpbridge.store.reading.due_pairs import Pair
from wpbridge.store.reading.summed_stats import Buckets, NameSum, Part
from wpbridge.store.records import FailedRun, Pause, Query, Tally
from wpbridge.store.running.limits import Wanted, limits_of
from wpbridge.telling.counting import ENDINGS

if TYPE_CHECKING:
    from wpbridge.store.rows.stats import Count

Kind: TypeAlias = Literal["hook", "group"]
LATELY: Final = timedelta(minutes=15)
"""Rates, waits and durations are those of the whole minutes of this time."""
SAMPLED: Final = 20_000
"""Groups are told apart among so many due actions, and as many that are not due yet."""
FAILURES: Final = 10
"""So many of the latest failures of a hook or group are shown."""
_DAY: Final = timedelta(days=1)
_ANY_ERROR: Final = "Exception"
"""The class of an error that only rules without a class fit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What the settings say of hooks and groups."""

    routes: Routes
    limits: Sequence[Limit] = ()
    retry: Sequence[RetryRule] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A hook or a group."""

    kind: Kind
    name: str
    """The hook, or the slug of the group; empty for no group."""
    due: int = 0
    pending: int = 0
    """The due and the held ones among them."""
    held: int = 0
    """Due actions of a hook that WordPress has no callback for."""
    running: int = 0
    oldest_due: datetime | None = None
    cap: int | None = None
    """How far due and pending actions were counted; None: that is all of them."""
    per_minute: float = 0.0
    """Endings lately, failed attempts that are retried among them."""
    took: Percentiles = Percentiles()
    """Lately."""
    ended_day: int = 0
    """Endings of the last 24 hours."""
    failed_day: int = 0
    failure_share: float | None = None
    """Of what completed or failed in the last 24 hours; None where nothing did."""
    to: tuple[str, ...] = ()
    """Who runs it: ``python``, ``webhook``, ``php``, ``leave`` or ``unknown``; of a hook only."""
    why: tuple[str, ...] = ()
    limit: Limit | None = None
    retry: RetryRule | None = None
    """The first rule that fits errors of no special class."""
    pause: Pause | None = None
    """The pause that holds it: its own, or that of everything."""
    is_held: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class HooksSeen:
    """All hooks and groups of a queue."""

    hooks: tuple[Seen, ...]
    groups: tuple[Seen, ...]
    pauses: tuple[Pause, ...]
    """Those in force."""
    is_sampled: bool
    """There are too many hooks to count each: they are counted as groups are."""
    is_counted: bool
    """Whether the site has statistics."""

    def find(self, kind: Kind, name: str) -> Seen | None:
        """Return one of them by its exact name."""
        rows = self.hooks if kind == "hook" else self.groups
        return next((row for row in rows if row.name == name), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class HookSeen:
    """One hook or group, with its history."""

    seen: Seen
    past: Past
    failures: tuple[FailedRun, ...]


def hooks_of(store: OpenStore, now: datetime, rules: Rules) -> HooksSeen:
    """Return all hooks and groups that have pending or running actions, or endings of the day."""
    pauses = store.pauses.in_force(now)
    held = store.held.hooks()
    due, later = store.due_pairs.due(now, most=SAMPLED), store.due_pairs.later(now, most=SAMPLED)
    running = store.due_pairs.running()
    lately = _Lately(store, now)
    counted = store.counting.waiting_by_hook(now, cap=CAP)
    by_hook = _sampled("hook", due, later, held) if counted is None else _tallied(counted)
    by_group = _sampled("group", due, later, held)
    groups_of: defaultdict[str, set[str]] = defaultdict(set)
    for pair in (*due, *later, *running):
        groups_of[pair.hook].add(pair.group)
    day = now - _DAY
    named = {pause.name for pause in pauses if pause.kind == "hook"} | held
    hooks = _joined("hook", by_hook, running, store.summed.hooks(day, now), named)
    named = {pause.name for pause in pauses if pause.kind == "group"}
    groups = _joined("group", by_group, running, store.summed.groups(day, now), named)
    return HooksSeen(
        hooks=tuple(
            _ruled(_routed(lately.told(one), rules, groups_of[one.name]), rules, pauses, held)
            for one in hooks
        ),
        groups=tuple(_ruled(lately.told(one), rules, pauses, ()) for one in groups),
        pauses=tuple(pauses),
        is_sampled=counted is None,
        is_counted=store.summed.is_kept(),
    )


def hook_of(
    store: OpenStore, now: datetime, seen: Seen, *, period: Period, zone: tzinfo
) -> HookSeen:
    """Return the history and the latest failures of one hook or group of :func:`hooks_of`."""
    if seen.kind == "hook":
        ids = store.newest.of_hook(seen.name, "failed", most=FAILURES)
        part = Part(hook=seen.name)
    else:
        ids = store.newest.of_group(seen.name, "failed", most=FAILURES)
        part = Part(group=seen.name)
    failures = store.failed.newest(Query(ids=tuple(ids), limit=FAILURES))[0] if ids else []
    return HookSeen(
        seen=seen, past=past_of(store, now, period, zone, part), failures=tuple(failures)
    )


def unseen(kind: Kind, name: str, seen: HooksSeen, rules: Rules) -> Seen:
    """Return a hook or group of which nothing is known but the rules."""
    one = Seen(kind=kind, name=name)
    if kind == "hook":
        one = _routed(one, rules, ())
    return _ruled(one, rules, seen.pauses, ())


class _Lately:
    """What the last minutes say of each hook and group."""

    def __init__(self, store: OpenStore, now: datetime) -> None:
        until = now.replace(second=0, microsecond=0)
        self._counts: dict[tuple[Kind, str], list[Count]] = defaultdict(list)
        for count in store.stats.of("minute", until - LATELY, until):
            if count.outcome in ENDINGS:
                self._counts["hook", count.hook].append(count)
                self._counts["group", store.groups.slug(count.group_id)].append(count)

    def told(self, seen: Seen) -> Seen:
        """Return the same with its rates and percentiles."""
        counts = self._counts.get((seen.kind, seen.name))
        if not counts:
            return seen
        return replace(
            seen,
            per_minute=sum(c.actions for c in counts) / (LATELY / timedelta(minutes=1)),
            took=percentiles(Buckets(c.durations, c.waits) for c in counts),
        )


def _tallied(counted: Iterable[Tally]) -> dict[str, Seen]:
    return {
        tally.name: Seen(
            kind="hook",
            name=tally.name,
            due=tally.due,
            pending=tally.total,
            held=tally.held,
            oldest_due=tally.oldest_due,
            cap=tally.cap,
        )
        for tally in counted
    }


def _sampled(
    kind: Kind, due: Sequence[Pair], later: Sequence[Pair], held: Collection[str]
) -> dict[str, Seen]:
    """Count by hook or group in samples. A sample that is full is shown as a cap."""
    is_full = max(sum(p.actions for p in due), sum(p.actions for p in later)) >= SAMPLED
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    oldest: dict[str, datetime] = {}
    for pairs, what in ((due, "due"), (later, "later")):
        for pair in pairs:
            name = pair.hook if kind == "hook" else pair.group
            is_held = what == "due" and pair.hook in held
            counts[name]["held" if is_held else what] += pair.actions
            if pair.oldest is not None and not is_held:
                oldest[name] = min(pair.oldest, oldest.get(name, pair.oldest))
    return {
        name: Seen(
            kind=kind,
            name=name,
            due=count["due"],
            pending=count.total(),
            held=count["held"],
            oldest_due=oldest.get(name),
            cap=SAMPLED if is_full else None,
        )
        for name, count in counts.items()
    }


def _joined(
    kind: Kind,
    waiting: Mapping[str, Seen],
    running: Iterable[Pair],
    ended: Iterable[NameSum],
    named: Iterable[str],
) -> list[Seen]:
    """Return one of each name that anything is known of, by name."""
    runs: Counter[str] = Counter()
    for pair in running:
        runs[pair.hook if kind == "hook" else pair.group] += pair.actions
    sums = {told.name: told for told in ended}
    names = {*waiting, *runs, *sums, *named}
    return [
        _ended(replace(waiting.get(name, Seen(kind=kind, name=name)), running=runs[name]), sums)
        for name in sorted(names)
    ]


def _ended(seen: Seen, sums: Mapping[str, NameSum]) -> Seen:
    told = sums.get(seen.name)
    if told is None:
        return seen
    failed = told.endings["failed"]
    over = failed + told.endings["complete"]
    return replace(
        seen,
        ended_day=told.actions,
        failed_day=failed,
        failure_share=failed / over if over else None,
    )


def _routed(seen: Seen, rules: Rules, groups: Iterable[str]) -> Seen:
    decided = [rules.routes.decide(seen.name, group) for group in sorted(groups) or ("",)]
    return replace(
        seen,
        to=tuple(dict.fromkeys(one.to for one in decided)),
        why=tuple(dict.fromkeys(one.why for one in decided)),
    )


def _ruled(seen: Seen, rules: Rules, pauses: Sequence[Pause], held: Collection[str]) -> Seen:
    pause = next((p for p in pauses if p.kind == seen.kind and p.name == seen.name), None)
    of_all = next((p for p in pauses if p.kind == "all"), None)
    hook, group = (seen.name, "") if seen.kind == "hook" else ("", seen.name)
    limits = limits_of(rules.limits, Wanted(hook, group))
    return replace(
        seen,
        limit=next((rule for key, rule in limits.items() if key.kind == seen.kind), None),
        retry=_retry(rules.retry, seen),
        pause=pause or of_all,
        is_held=seen.kind == "hook" and seen.name in held,
    )


def _retry(rules: Sequence[RetryRule], seen: Seen) -> RetryRule | None:
    """Return the retry rule of a hook in no group, or of a group whatever the hook."""
    if seen.kind == "hook":
        return rule_for(rules, hook=seen.name, group="", error=_ANY_ERROR)
    fitting = [rule for rule in rules if rule.group is not None and rule.hook is None]
    return rule_for(fitting, hook="", group=seen.name, error=_ANY_ERROR)
