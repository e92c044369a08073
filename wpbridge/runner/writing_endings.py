"""Writing endings, so that what the database refuses of one action costs that action alone."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple

from wpbridge.action import ActionId, ClaimId
from wpbridge.errors import Contention, RunnerGone, StoreMissing, StoreUnavailable
from wpbridge.outcome import Failed
from wpbridge.runner import concluding
from wpbridge.store.base import Ending
from wpbridge.store.protocol import Store

OF_THE_STORE = (StoreUnavailable, StoreMissing, Contention, RunnerGone)
"""Errors that say nothing about what was to be written."""


class Written(NamedTuple):
    """An ending as it was written."""

    ending: Ending
    failed: Failed | None
    """What became of the action in place of what its run said; None where it is that."""
    is_settled: bool
    """Whether it was ours to end."""


def write(
    store: Store, endings: Sequence[Ending], *, now: datetime, finished: Collection[ClaimId] = ()
) -> list[Written]:
    """Make endings true, in one transaction if the database takes them all.

    Otherwise each is written by itself, and one that is refused in a plainer form, at last as a
    failure that needs nothing but ASCII. A crash in the middle leaves the rest to the next reaper.

    Raises:
        StoreError: the database takes not even that, or is not there.
    """
    try:
        settled = store.settle(endings, now=now, finished=finished)
    except OF_THE_STORE:
        raise
    except Exception:  # noqa: BLE001 - found out one by one
        written = [_write_one(store, ending, now) for ending in endings]
        store.release([], finished=finished)
        return written
    return [as_given(ending, settled) for ending in endings]


def as_given(ending: Ending, settled: Collection[ActionId]) -> Written:
    """Return an ending that was written without a change, if it was ours."""
    return Written(ending=ending, failed=None, is_settled=ending.action.id in settled)


def _write_one(store: Store, ending: Ending, now: datetime) -> Written:
    try:
        return as_given(ending, store.settle([ending], now=now))
    except OF_THE_STORE:
        raise
    except Exception as error:  # noqa: BLE001 - of whatever kind: the driver's own, too
        refusal = error
    for other, failed in concluding.plainer(ending, refusal):
        try:
            settled = store.settle([other], now=now)
        except OF_THE_STORE:
            raise
        except Exception as error:  # noqa: BLE001 - the next one is plainer
            refusal = error
        else:
            is_settled = other.action.id in settled
            return Written(ending=other, failed=failed, is_settled=is_settled)
    raise refusal
