"""What becomes of an alert at each look: pending, firing, resolved, and what people are owed.

Pure functions of what was known, what is above its threshold now, and the time.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from wpbridge.dataclass import dataclass
from wpbridge.monitor.rule_texts import summary
from wpbridge.monitor.rules import RULES, Firing
from wpbridge.store.rows.alerts import Alert, Owed

MOST_OWED: Final = 200
"""So many messages of one alert wait for a target that cannot be reached; then the oldest go."""

MOST_IN_MESSAGE: Final = 20
"""So many changes stand in one message; more of them come in further ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Speech:
    """Who is told, how often, and whether this is a time to speak."""

    to: tuple[str, ...]
    """The ids of the targets."""
    repeat: timedelta | None
    """After so long people are told again that an alert fires; None: never."""
    is_quiet: bool = False
    """Quiet hours: only critical alerts are sent."""


def after_look(
    known: Iterable[Alert],
    firing: Iterable[Firing],
    now: datetime,
    speech: Speech,
    *,
    lasting: Callable[[Firing], timedelta] = lambda one: one.rule.lasting,
) -> dict[tuple[str, str], Alert]:
    """Return the alerts as they are after a look. What is over and owed to nobody is left out.

    Args:
        known: as they were before.
        firing: what is above its threshold now.
        now: aware UTC.
        speech: who is told.
        lasting: for how long it must be above before it fires.
    """
    before = {alert.key: alert for alert in known}
    above = {(one.rule.name, one.of): one for one in firing}
    found = {}
    for key in {**before, **above}:
        alert, one = before.get(key), above.get(key)
        moved = _moved(alert, one, now, lasting)
        if moved is not None:
            told = _spoken(moved, one, now, speech)
            if not is_over(told):
                found[key] = told
    return found


def _moved(
    alert: Alert | None,
    one: Firing | None,
    now: datetime,
    lasting: Callable[[Firing], timedelta],
) -> Alert | None:
    """Return the alert in its new state; None for what has not begun."""
    if one is None:
        if alert is None or alert.state == "resolved":
            return alert
        return replace(alert, state="resolved", since=now)
    if alert is None:
        alert = Alert(rule=one.rule.name, of=one.of, state="pending", since=now, value=one.value)
    elif alert.state == "resolved":
        alert = replace(alert, state="pending", since=now)
    alert = replace(alert, value=one.value)
    if alert.state == "pending" and now - alert.since >= lasting(one):
        return replace(alert, state="firing", since=now)
    return alert


def _spoken(alert: Alert, one: Firing | None, now: datetime, speech: Speech) -> Alert:
    """Return the alert with what people are owed now."""
    if not _may_be_told(alert, speech):
        return alert
    if alert.state == "firing" and one is not None:
        is_again = (
            alert.told is not None
            and speech.repeat is not None
            and now - alert.told >= speech.repeat
            and not alert.owed
        )
        if alert.told is None or is_again:
            owed = Owed(state="firing", at=alert.since, text=summary(one), to=speech.to)
            return replace(alert, told=now, owed=_more(alert.owed, owed))
    if alert.state == "resolved" and alert.told is not None:
        owed = Owed(state="resolved", at=alert.since, text="It is over.", to=speech.to)
        return replace(alert, told=None, owed=_more(alert.owed, owed))
    return alert


def _more(owed: Sequence[Owed], one: Owed) -> tuple[Owed, ...]:
    return (*owed, one)[-MOST_OWED:] if one.to else tuple(owed)


def _may_be_told(alert: Alert, speech: Speech) -> bool:
    rule = RULES.get(alert.rule)
    return not speech.is_quiet or (rule is not None and rule.severity == "critical")


def is_over(alert: Alert) -> bool:
    """Tell whether nobody needs the alert any more."""
    return alert.state == "resolved" and alert.told is None and not alert.owed


def owed_to(
    alerts: Mapping[tuple[str, str], Alert], target: str, speech: Speech
) -> list[tuple[Alert, Owed]]:
    """Return what a target has not got and may get now, the oldest first; one message of it."""
    found = [
        (alert, owed)
        for alert in alerts.values()
        if _may_be_told(alert, speech)
        for owed in alert.owed
        if target in owed.to
    ]
    return sorted(found, key=lambda pair: pair[1].at)[:MOST_IN_MESSAGE]


def without(alert: Alert, sent: Iterable[Owed], target: str) -> Alert:
    """Return the alert when a target has got these messages."""
    given = list(sent)
    left = (
        replace(one, to=tuple(to for to in one.to if to != target)) if one in given else one
        for one in alert.owed
    )
    return replace(alert, owed=tuple(one for one in left if one.to))


def of_targets(alert: Alert, targets: Sequence[str]) -> Alert:
    """Return the alert without what is owed to targets that are no longer named."""
    kept = (replace(one, to=tuple(to for to in one.to if to in targets)) for one in alert.owed)
    return replace(alert, owed=tuple(one for one in kept if one.to))
