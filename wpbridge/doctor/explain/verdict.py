"""Put an explanation into words: its reasons, and a verdict of one line."""

from collections.abc import Mapping, Sequence
from typing import Final

from wpbridge.action import ActionId
from wpbridge.dataclass import dataclass
from wpbridge.store.records import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One thing that is in the way, or that says how it stands."""

    code: str
    """A name for programs, which never changes."""
    text: str
    """What is in the way, and why."""
    fix: str = ""
    """One command; empty where there is nothing to do, or no command does it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Why an action is not running."""

    id: ActionId
    hook: str
    status: str
    verdict: str
    """The verdict in one line."""
    reasons: tuple[Reason, ...]
    """All reasons that apply, the most decisive first."""


WORDS: Final[Mapping[str, str]] = {
    "ended": "it has ended",
    "unknown-status": "no runner knows its status",
    "running": "it is running",
    "running-dead": "it was running when its runner died",
    "running-stale": "it runs, but nobody gives a sign",
    "claimed": "a runner has it and will start it",
    "handed": "it was handed to Celery, and a worker will start it",
    "no-celery-worker": "it was handed to Celery, and no worker of Celery lives",
    "claimed-by-dead": "a dead wpbridge runner has it",
    "claim-stale": "a PHP runner that is probably dead has it",
    "held": "it waits for an action that will not complete",
    "waits-for": "it waits for other actions",
    "no-date": "it has no date and never becomes due",
    "retry-later": "it will be tried again later",
    "future": "it is not due yet",
    "paused": "it is paused",
    "limited": "a limit of the settings leaves it no room",
    "upkeep": "it is left to the plugin",
    "no-handler": "nothing here runs it",
    "no-callback": "PHP has no callback for it",
    "not-asked": "nothing else is in its way, but PHP was not asked for a callback",
    "foreign-schedule": "only PHP can run it",
    "corrupt": "its data cannot be read",
    "no-relay": "no relay lives that hands it to Celery",
    "no-runner": "nobody is running",
    "behind": "others come first",
    "handlers-not-loaded": "nobody looked whether a handler runs it",
    "due": "nothing is in its way",
}
"""Each code in a few words."""
CODES: Final = tuple(WORDS)


def verdict(record: Record, reasons: Sequence[Reason]) -> str:
    """Return the first reason in a few words, and how many more there are."""
    more = len(reasons) - 1
    others = f" (and {more} more reason{'' if more == 1 else 's'})" if more else ""
    return f"action {record.id} ({record.hook}): {WORDS[reasons[0].code]}{others}"
