"""What a message says. It has no args, no addresses of databases and no secrets."""

from collections.abc import Sequence
from datetime import tzinfo
from typing import NamedTuple

from wpbridge.monitor.rule_texts import title
from wpbridge.monitor.rules import RULES
from wpbridge.store.rows.alerts import Alert, Owed


class Message(NamedTuple):
    """A message as a target gets it."""

    title: str
    body: str


def message_of(told: Sequence[tuple[Alert, Owed]], *, site: str, zone: tzinfo) -> Message:
    """Return one message for what a target has not got yet."""
    parts = [_part(alert, owed, zone) for alert, owed in told]
    if len(told) == 1:
        head = _head(*told[0])
    else:
        firing = sum(owed.state == "firing" for _, owed in told)
        counts = [(firing, "firing"), (len(told) - firing, "resolved")]
        head = ", ".join(f"{count} {word}" for count, word in counts if count)
    return Message(f"[wpbridge {site}] {head}", "\n\n".join(parts))


def trial(site: str) -> Message:
    """Return the message of `wpbridge watch --test`."""
    return Message(
        f"[wpbridge {site}] test",
        "This is a test of `wpbridge watch`. Alerts of this queue will come to this place.",
    )


def _head(alert: Alert, owed: Owed) -> str:
    rule = RULES.get(alert.rule)
    is_critical = owed.state == "firing" and rule is not None and rule.severity == "critical"
    name = alert.rule if rule is None else title(rule, alert.of)
    return f"{owed.state.upper()}{' (critical)' if is_critical else ''}: {name}"


def _part(alert: Alert, owed: Owed, zone: tzinfo) -> str:
    lines = [_head(alert, owed), owed.text]
    rule = RULES.get(alert.rule)
    if rule is not None and owed.state == "firing":
        lines += [rule.advice, f"More: docs/how-to/alert.md#{rule.name.lower()}"]
    lines.append(f"Since {owed.at.astimezone(zone):%Y-%m-%d %H:%M %Z}.")
    return "\n".join(lines)
