"""Failures that are alike, together: those whose messages differ in ids, dates and numbers only."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from wpbridge.action import ActionId
from wpbridge.dataclass import dataclass
from wpbridge.store.records import FailedRun
from wpbridge.telling.fingerprints import Fingerprints

_SAMPLE: Final = 300
_IDS: Final = 20
NO_MESSAGE: Final = "(no message)"
"""The fingerprint of failures without a message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureGroup:
    """Failures that are alike."""

    fingerprint: str
    """What their messages have in common."""
    count: int
    hooks: Sequence[str]
    first: datetime | None
    last: datetime | None
    sample: str
    """The newest one's message, cut."""
    ids: Sequence[ActionId]
    """The newest ones."""


def names_of(messages: Iterable[str]) -> list[str]:
    """Return what each failure has in common with others of its group."""
    fingerprints = Fingerprints()
    return [fingerprints.of(message) or NO_MESSAGE for message in messages]


def mark_of(name: str) -> str:
    """Return what stands for a fingerprint where its own text must not, as in an address.

    A text may hold what somebody has to keep secret, or characters that nobody can see.
    """
    return f"~{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:24]}"


def is_meant(name: str, wanted: str) -> bool:
    """Return whether a fingerprint is the wanted one, which is given as its text or its mark."""
    return name == wanted or (wanted.startswith("~") and mark_of(name) == wanted)


def grouped(runs: Sequence[FailedRun]) -> list[FailureGroup]:
    """Put like failures together, the most frequent first; ``runs``: the newest first."""
    groups: defaultdict[str, list[FailedRun]] = defaultdict(list)
    for run, name in zip(runs, names_of(run.message for run in runs), strict=True):
        groups[name].append(run)
    found = []
    for name, alike in groups.items():
        dates = sorted(run.at for run in alike if run.at is not None)
        found.append(
            FailureGroup(
                fingerprint=name,
                count=len(alike),
                hooks=sorted({run.hook for run in alike}),
                first=dates[0] if dates else None,
                last=dates[-1] if dates else None,
                sample=alike[0].message[:_SAMPLE],
                ids=[run.id for run in alike[:_IDS]],
            )
        )
    return sorted(found, key=lambda group: (-group.count, group.fingerprint))
