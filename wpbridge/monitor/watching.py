"""Watch a queue: look each minute whether a rule fires, and tell people what changes.

Any number of watchers may look; one of them sends, the one that has the duty ``alerts``. What is
owed to people is written to the table before it is sent, and struck out afterwards. So a watcher
that is killed repeats one message at most and loses none.

A database that is away is an alert too. Its state cannot be written then, so each watcher keeps it
in memory, and hands it to the table when the database is back.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final, Protocol

from wpbridge.clock import Clock
from wpbridge.dataclass import dataclass
from wpbridge.errors import StoreError, StoreMissing, WpbridgeError
from wpbridge.monitor.alert_states import (
    Speech,
    after_look,
    is_over,
    of_targets,
    owed_to,
    without,
)
from wpbridge.monitor.facts import Facts
from wpbridge.monitor.messages import Message, message_of
from wpbridge.monitor.rules import RULES, Firing, evaluate
from wpbridge.site.alert_kinds import QuietHours
from wpbridge.store.opened import OpenStore
from wpbridge.store.rows.alerts import Alert
from wpbridge.telling.log import tell

LOOK_SECONDS: Final = 60.0
KEEP_SECONDS: Final = 20.0
"""So often a watcher that has the duty says that it lives."""
STANDBY: Final = timedelta(minutes=10)
"""A watcher that did not have the duty tells so much later that the database is away: it cannot see
whether the one that had it still lives."""
AWAY: Final = "ExporterDown"
"""The rule that fires while the tables cannot be read."""


class Target(Protocol):
    """Where messages go to."""

    id: str
    shown: str

    def send(self, title: str, body: str) -> bool:
        """Send one message; return whether the target has taken it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How a site is watched."""

    site: str
    """Its name, for people."""
    targets: Sequence[Target] = ()
    thresholds: Mapping[str, float | None]
    """By rule, in place of its own. None: the rule is off."""
    repeat: timedelta | None = None
    quiet_hours: QuietHours | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a look has found."""

    firing: Sequence[Firing]
    """What is above its threshold, whether or not it has been for long enough."""
    alerts: Sequence[Alert] = ()
    """As they stand now; none where another watcher sends."""
    messages: Sequence[Message] = ()
    """What would be sent; only of :meth:`Watcher.preview`."""


class Watcher:
    """Looks at one site, and sends where it has the duty."""

    def __init__(
        self,
        open_store: Callable[[], OpenStore],
        measure: Callable[[OpenStore, datetime], Facts],
        clock: Clock,
        plan: Plan,
        *,
        holder: str,
    ) -> None:
        """Take what it needs.

        Args:
            open_store: opens the site's store. It is opened anew after each trouble.
            measure: returns what is known of the queue.
            clock: this host's.
            plan: how the site is watched.
            holder: a name that no other watcher has.
        """
        self._open = open_store
        self._measure = measure
        self._clock = clock
        self._plan = plan
        self._holder = holder
        self._store: OpenStore | None = None
        self._has_duty = False
        self._may_be_alone = True
        """Whether nobody else is known to have the duty."""
        self._has_looked = False
        self._is_away = False
        self._away: Alert | None = None
        """The alert that the database is away, while it is."""
        self._zone: tzinfo = UTC

    def look(self) -> Look:
        """Look once, and send what is owed, if no other watcher has the duty.

        Raises:
            WpbridgeError: the first look of all has failed, and not since the database is away.
        """
        try:
            return self._look()
        except WpbridgeError as error:
            self._forget_store()
            is_trouble = isinstance(error, StoreError) and not isinstance(error, StoreMissing)
            if not (is_trouble or self._has_looked):
                raise
            if not self._is_away:
                tell("alerts.away", reason=str(error))
            self._is_away = True
            return self._look_without()

    def look_once(self) -> Look:
        """Look once, send what is owed, and let another watcher send at once.

        Raises:
            WpbridgeError: the look has failed.
        """
        try:
            return self._look()
        finally:
            self.close()

    def preview(self) -> Look:
        """Look once, change and send nothing, and return what would be sent."""
        store = self._opened()
        facts = self._measure(store, self._clock.now())
        firing = evaluate(facts, self._plan.thresholds)
        speech = self._speech(facts.at)
        alerts = self._after(store.alerts.all(), firing, facts.at, speech)
        messages = [
            message_of(part, site=self._plan.site, zone=self._zone)
            for target in self._plan.targets
            if (part := owed_to(alerts, target.id, speech))
        ]
        return Look(firing=firing, alerts=list(alerts.values()), messages=messages)

    def keep(self) -> None:
        """Say that this watcher lives, if it has the duty."""
        if self._store is not None and self._has_duty:
            try:
                self._has_duty = self._store.duties.keep("alerts", self._holder)
            except StoreError:
                # The next look tells.
                self._forget_store()

    def close(self) -> None:
        """Let another watcher send at once."""
        try:
            if self._store is not None and self._has_duty:
                self._store.duties.give_back("alerts", self._holder, after_seconds=0)
        except StoreError:
            # Then another one takes the duty when its time is over.
            pass
        self._forget_store()

    def _look(self) -> Look:
        store = self._opened()
        facts = self._measure(store, self._clock.now())
        firing = evaluate(facts, self._plan.thresholds)
        self._hand_over(store)
        duties = store.duties
        had = self._has_duty
        self._has_duty = (had and duties.keep("alerts", self._holder)) or duties.take(
            "alerts", self._holder
        )
        self._may_be_alone = self._has_duty
        self._has_looked = True
        if self._is_away:
            self._is_away = False
            tell("alerts.back")
        if not self._has_duty:
            return Look(firing=firing)
        known, speech = store.alerts.all(), self._speech(facts.at)
        alerts = self._after(known, firing, facts.at, speech)
        before = {alert.key: alert for alert in known}
        store.alerts.write(
            (alert for key, alert in alerts.items() if alert != before.get(key)),
            over=before.keys() - alerts.keys(),
        )
        if facts.readings is not None:
            store.sizes.note(facts.at, facts.readings.table_bytes)
        self._deliver(
            alerts,
            speech,
            may_send=lambda: duties.keep("alerts", self._holder),
            write=lambda changed: self._strike(store, changed),
        )
        return Look(firing=firing, alerts=list(alerts.values()))

    @staticmethod
    def _after(
        known: Iterable[Alert], firing: Iterable[Firing], now: datetime, speech: Speech
    ) -> dict[tuple[str, str], Alert]:
        return after_look((of_targets(one, speech.to) for one in known), firing, now, speech)

    def _speech(self, now: datetime) -> Speech:
        quiet = self._plan.quiet_hours
        return Speech(
            to=tuple(target.id for target in self._plan.targets),
            repeat=self._plan.repeat,
            is_quiet=quiet is not None and quiet.has(now.astimezone(self._zone)),
        )

    def _deliver(
        self,
        alerts: dict[tuple[str, str], Alert],
        speech: Speech,
        *,
        may_send: Callable[[], bool],
        write: Callable[[Sequence[Alert]], bool],
    ) -> None:
        """Send what is owed, and strike out each message when it is sent.

        ``write`` returns False where another watcher has taken over, and has written meanwhile.

        A target that takes nothing is tried again at the next look, with all that it is owed.
        """
        for target in self._plan.targets:
            while part := owed_to(alerts, target.id, speech):
                if not may_send():
                    return
                if not target.send(*message_of(part, site=self._plan.site, zone=self._zone)):
                    tell("alerts.undelivered", target=target.shown, messages=len(part))
                    break
                keys = dict.fromkeys(alert.key for alert, _ in part)
                for key in keys:
                    sent = [owed for alert, owed in part if alert.key == key]
                    alerts[key] = without(alerts[key], sent, target.id)
                tell("alerts.sent", target=target.shown, messages=len(part))
                if not write([alerts[key] for key in keys]):
                    return

    def _strike(self, store: OpenStore, changed: Sequence[Alert]) -> bool:
        if not store.duties.keep("alerts", self._holder):
            return False
        gone = [one.key for one in changed if is_over(one)]
        store.alerts.write((one for one in changed if one.key not in gone), over=gone)
        return True

    # While the database is away

    def _look_without(self) -> Look:
        """Do what can be done without the database: say that it is away."""
        rule, now = RULES[AWAY], self._clock.now()
        threshold = self._plan.thresholds.get(AWAY, rule.threshold)
        if threshold is None:
            return Look(firing=())
        firing = Firing(rule=rule, of="", value=1.0, threshold=threshold)
        lasting = rule.lasting + (timedelta(0) if self._may_be_alone else STANDBY)
        known = [] if self._away is None else [self._away]
        speech = self._speech(now)
        alerts = after_look(known, [firing], now, speech, lasting=lambda _: lasting)

        def keep(changed: Sequence[Alert]) -> bool:
            [self._away] = changed
            return True

        keep([alerts[AWAY, ""]])
        self._deliver(alerts, speech, may_send=lambda: True, write=keep)
        return Look(firing=[firing], alerts=list(alerts.values()))

    def _hand_over(self, store: OpenStore) -> None:
        """Write down what people were told while the database was away.

        The watcher that has the duty then tells them that it is back.
        """
        if self._away is not None and self._away.state == "firing":
            store.alerts.write([self._away])
        self._away = None

    def _opened(self) -> OpenStore:
        if self._store is None:
            self._store = self._open()
            self._zone = self._store.tables.zone.as_tzinfo
        return self._store

    def _forget_store(self) -> None:
        store, self._store = self._store, None
        if store is not None:
            store.close()


def watch(watcher: Watcher, stops: Callable[[float], bool]) -> None:
    """Look each minute until it is told to stop.

    Args:
        watcher: that looks.
        stops: waits for so many seconds at most, and returns whether it is told to stop.
    """
    try:
        while True:
            watcher.look()
            for _ in range(round(LOOK_SECONDS / KEEP_SECONDS)):
                if stops(KEEP_SECONDS):
                    return
                watcher.keep()
    finally:
        watcher.close()
