"""Who runs the queue just now: every runner of wpbridge, PHP's own runners, and the claims."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, Literal, TypeAlias

from wpbridge.action import PLUGIN_TIMEOUT_SECONDS, ClaimId, RunnerId
from wpbridge.dataclass import dataclass
from wpbridge.runner.identity import Identity, identity
from wpbridge.runner.liveness import WATCH_SECONDS, is_dead
from wpbridge.store.base import RunnerRecord
from wpbridge.store.opened import OpenStore
from wpbridge.store.reading.handed_actions import HandedActions, handed_in
from wpbridge.store.reading.live_claims import LiveClaims, RunningAction
from wpbridge.store.reading.survey import SIGHT, Rows
from wpbridge.store.records import ClaimRecord
from wpbridge.store.running.seen_runners import RELAY, About, SeenRunner, seen_runners

CLAIMS: Final = 100
"""So many claims are shown, the oldest first."""
RUNNING: Final = 500
"""So many running actions are looked for, of all runners together."""
MOST_RUNNERS: Final = 500
"""So many runners are shown, the oldest first."""

Life: TypeAlias = Literal["alive", "silent", "dead"]
Holder: TypeAlias = Literal["wpbridge", "php", "nobody"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownRunner:
    """One runner of wpbridge."""

    id: RunnerId
    host: str
    is_here: bool
    """Whether it runs on the host that looks."""
    pid: int
    version: str
    about: About
    started_at: datetime | None
    places: int | None
    """How many actions it can run at once; None where its release does not tell."""
    beat_age_seconds: float
    life: Life
    """As the host that looks sees it: ``silent`` is one whose beat is late, ``dead`` one whose
    process is gone, or whose beat is so late that others take over what it has."""
    wish: str
    """Empty, ``quiet`` or ``stop``."""
    has_obeyed: bool
    claims: tuple[ClaimId, ...]
    running: tuple[RunningAction, ...]
    """What it runs, as far as its start stands in the tables: that takes up to a second."""
    handed: int | None
    """How many actions a relay has handed to Celery that no worker has started; None for others."""

    @property
    def can_stop(self) -> bool:
        """Tell whether people may wish that it stops; the gateway is stopped in another way."""
        return self.about.kind != "serve" and self.wish != "stop"

    def seconds(self, action: RunningAction, now: datetime) -> float | None:
        """Return how long one of its actions has been running; None where the log has no start."""
        if action.started_at is None:
            return None
        return max(0.0, (now - action.started_at).total_seconds())


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownClaim:
    """One claim that has live actions."""

    claim: ClaimRecord
    age_seconds: float | None
    """How long ago it was made; None where the claim has no row any more."""
    holder: Holder
    """``nobody`` for one of PHP's that has given no sign for as long as PHP's cleaner waits."""
    runner: RunnerId | None
    """The runner of wpbridge whose it is."""
    kind: str
    """Of that runner; empty where there is none, or its release does not tell."""
    life: Life
    """Of its holder; one of PHP's without a sign is dead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhpRunner:
    """A kind of PHP's own runners, as the log names it."""

    name: str
    last_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Workers:
    """Who runs the queue."""

    runners: tuple[ShownRunner, ...]
    """The oldest first."""
    more_runners: int
    """How many have a row and are not shown."""
    claims: tuple[ShownClaim, ...]
    """The oldest first."""
    has_more_claims: bool
    php: tuple[PhpRunner, ...]
    """Those that the newest log rows of the last hour name, the latest first."""

    @property
    def handed(self) -> int | None:
        """Count what the shown relays have handed over; None where there is no relay."""
        told = [one.handed for one in self.runners if one.handed is not None]
        return sum(told) if told else None

    @property
    def alive(self) -> int:
        """Count the shown runners that are alive."""
        return sum(one.life == "alive" for one in self.runners)


def workers_of(store: OpenStore, now: datetime, *, me: Identity | None = None) -> Workers:
    """Ask who runs the queue. ``me`` is who looks: processes are looked for on its host alone.

    Raises:
        StoreError: the database does not answer.
    """
    me = me or identity()
    seen = seen_runners(store.tables)
    lives = {one.runner.id: _life(one.runner, me) for one in seen}
    claims = LiveClaims(store.tables)
    shown = seen[:MOST_RUNNERS]
    running = claims.running([claim for one in shown for claim in one.runner.claims], RUNNING)
    relays = [one.runner.claims for one in shown if one.about.kind == RELAY]
    handed = handed_in(store.tables, [claim for claims in relays for claim in claims])
    oldest = claims.oldest(CLAIMS)
    ours = {claim: one for one in seen for claim in one.runner.claims}
    contexts = Rows(store.tables).contexts(now - SIGHT)
    php = [PhpRunner(name=name, last_at=at) for name, at in contexts.items() if name != "wpbridge"]
    return Workers(
        runners=tuple(_shown(one, lives[one.runner.id], running, handed, me) for one in shown),
        more_runners=len(seen) - len(shown),
        claims=tuple(_claim(one, ours, lives, now) for one in oldest.claims),
        has_more_claims=not oldest.is_whole,
        php=tuple(sorted(php, key=lambda one: one.last_at, reverse=True)),
    )


def _life(runner: RunnerRecord, me: Identity) -> Life:
    if is_dead(runner, me):
        return "dead"
    return "silent" if runner.beat_age_seconds > WATCH_SECONDS else "alive"


def _shown(
    seen: SeenRunner,
    life: Life,
    running: Sequence[RunningAction],
    handed: HandedActions,
    me: Identity,
) -> ShownRunner:
    runner = seen.runner
    is_relay = seen.about.kind == RELAY
    return ShownRunner(
        id=runner.id,
        host=runner.host,
        is_here=runner.host == me.host,
        pid=runner.pid,
        version=runner.version,
        about=seen.about,
        started_at=seen.started_at,
        places=seen.places,
        beat_age_seconds=max(0.0, runner.beat_age_seconds),
        life=life,
        wish=seen.wish,
        has_obeyed=seen.has_obeyed,
        claims=runner.claims,
        running=tuple(action for action in running if action.claim_id in runner.claims),
        handed=sum(handed.by_claim.get(c, 0) for c in runner.claims) if is_relay else None,
    )


def _claim(
    claim: ClaimRecord,
    ours: Mapping[ClaimId, SeenRunner],
    lives: Mapping[RunnerId, Life],
    now: datetime,
) -> ShownClaim:
    owner = ours.get(claim.id)
    runner = None if owner is None else owner.runner.id
    made = claim.created_at
    signs = [sign for sign in (made, claim.last_attempt_at) if sign is not None]
    has_sign = any(now - sign < timedelta(seconds=PLUGIN_TIMEOUT_SECONDS) for sign in signs)
    holder: Holder = "wpbridge" if runner is not None else "php" if has_sign else "nobody"
    life: Life = "alive" if has_sign else "dead"
    return ShownClaim(
        claim=claim,
        age_seconds=None if made is None else max(0.0, (now - made).total_seconds()),
        holder=holder,
        runner=runner,
        kind="" if owner is None else owner.about.kind,
        life=life if runner is None else lives[runner],
    )
