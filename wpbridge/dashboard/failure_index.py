"""Remember the failed actions of a site, so that a page groups a hundred thousand of them at once.

The first reading of many failures takes seconds, so it goes on in a thread while pages say how far
it is. Afterwards only those ten minutes are read again whose failures have changed: see
:mod:`wpbridge.store.reading.failure_rows`. What is deleted, requeued or run again is forgotten or
marked by then. A failure that a runner writes late is found as well, since its ten minutes change.

No more than the newest 200,000 failures are remembered. They take about 60 MB.
"""

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import Final, TypeAlias

from wpbridge.clock import ZERO_DATE
from wpbridge.dashboard.failure_entries import Entry, in_bucket
from wpbridge.dataclass import dataclass
from wpbridge.errors import WpbridgeError
from wpbridge.queue.failure_groups import NO_MESSAGE
from wpbridge.store.opened import OpenStore
from wpbridge.store.reading.failure_rows import LOG_ROWS, FailureRow, FailureRows, Key, Reason, Sums
from wpbridge.telling.fingerprints import Fingerprints

MOST: Final = 200_000
FRESH: Final = timedelta(seconds=3)
"""What was read within this time is not read again."""
_OLD: Final = timedelta(seconds=15)
"""A page waits a moment for what is newer than this."""
_MOST_WAIT: Final = 0.15
_CHUNK: Final = 2_000
"""Ten minutes beside each other are read together, up to so many failures."""
_PAGE: Final = 5_000
_RECENT_LOG: Final = 5_000
"""So many ids of the log are read again each time: they are not committed in their order."""
_YOUNG: Final = timedelta(hours=1)
"""The reason of a failure that is younger is read twice: PHP writes it after the status."""
_AGAIN: Final = timedelta(seconds=10)
_HOOKS: Final = 50
"""Of so many hooks it is asked each time whether chains have completed a run since."""
_Chain: TypeAlias = tuple[int, bytes]
"""The group's id and the args of a recurring hook."""
_LAST_ID: Final = 1 << 62


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """What is remembered at one moment."""

    entries: Sequence[Entry]
    is_cut: bool
    """Whether there are older failures, which were not read."""
    at: datetime | None
    """When the failures were last read to their end; None before the first time."""
    read: int
    """How many failures the reading that goes on has read so far."""
    of: int
    """How many there are to read."""
    error: str = ""
    """Why the last reading was given up."""


class FailureIndex:
    """The failures of one site. All its methods may be called by any thread."""

    def __init__(self, *, most: int = MOST) -> None:
        self._most = most
        self._turn = threading.Lock()
        """Held by the one that reads."""
        self._guard = threading.Lock()
        """Held while entries come and go."""
        self._entries: dict[int, Entry] = {}
        self._buckets: dict[str, set[int]] = {}
        self._sums: dict[str, Sums] = {}
        self._young: dict[int, datetime] = {}
        self._texts: dict[str, str] = {}
        self._prints = Fingerprints()
        self._log = 0
        self._hook = ""
        self._is_cut = False
        self._read = self._of = 0
        self._at: datetime | None = None
        self._error = ""
        self._took_seconds = 0.0
        """How long the last reading took."""
        self._is_doubted = False
        """Whether something was changed since the last reading began."""
        self._thread: threading.Thread | None = None
        self._is_over = False

    def remembered(self) -> Remembered:
        """Return what is remembered now."""
        with self._guard:
            entries = list(self._entries.values())
        return Remembered(
            entries=entries,
            is_cut=self._is_cut,
            at=self._at,
            read=self._read,
            of=self._of,
            error=self._error,
        )

    def keep_up(
        self,
        open_store: Callable[[], AbstractContextManager[OpenStore]],
        now: Callable[[], datetime],
        *,
        wait_seconds: float | None = None,
    ) -> Remembered:
        """Return what is remembered, after a reading in a thread has had a moment to end.

        What is not old yet is returned at once, and read again in the meantime. A short reading is
        waited for, so that a person sees what they have just changed.

        Args:
            open_store: opens a store that the thread alone uses. It is called in that thread, and
                closed there.
            now: the time.
            wait_seconds: how long the caller waits for the thread; None for at most 0.15.
        """
        with self._guard:
            is_fresh = self._at is not None and now() - self._at < FRESH and not self._is_doubted
            if self._thread is None and not is_fresh and not self._is_over:
                self._thread = threading.Thread(
                    target=self._in_thread,
                    args=(open_store, now),
                    name="wpbridge-failures",
                    daemon=True,
                )
                self._thread.start()
            thread, is_old = self._thread, self._at is None or now() - self._at > _OLD
            is_short = self._took_seconds < _MOST_WAIT
        if wait_seconds is None:
            wait_seconds = _MOST_WAIT if is_old or is_short else 0.0
        if thread is not None:
            thread.join(wait_seconds)
        return self.remembered()

    def _in_thread(
        self,
        open_store: Callable[[], AbstractContextManager[OpenStore]],
        now: Callable[[], datetime],
    ) -> None:
        try:
            with open_store() as store:
                self.catch_up(store, now())
        except WpbridgeError as error:
            self._error = str(error)
        finally:
            with self._guard:
                self._thread = None

    def doubt(self) -> None:
        """Have it read anew by whoever asks next, since something was changed."""
        with self._guard:
            self._is_doubted = True

    def close(self) -> None:
        """Let a reading that goes on end soon, and wait for it. None begins any more."""
        with self._guard:
            self._is_over, thread = True, self._thread
        if thread is not None:
            thread.join()

    def catch_up(self, store: OpenStore, now: datetime) -> None:
        """Read all that has changed since the last time.

        StoreError where the database does not answer; the next time goes on from there.
        """
        with self._turn:
            began, self._is_doubted = time.monotonic(), False
            self._catch_up(store.failure_rows, now)
            self._took_seconds = time.monotonic() - began

    def _catch_up(self, rows: FailureRows, now: datetime) -> None:
        newest_log = rows.newest_log()
        told = rows.buckets(self._most + 1)
        is_cut = sum(sums.failures for sums in told.values()) > self._most
        if is_cut and len(told) > 1:
            del told[min(told)]
        for bucket in self._buckets.keys() - told.keys():
            self._forget(bucket, set())
        changed = [one for one in sorted(told, reverse=True) if self._sums.get(one) != told[one]]
        self._read, self._of = 0, sum(told[one].failures for one in changed)
        for chunk in _chunks(sorted(told, reverse=True), set(changed), told):
            if self._is_over:
                return
            self._read_chunk(rows, chunk, now)
            self._sums |= {bucket: told[bucket] for bucket in chunk}
        self._mark_requeued(rows, newest_log)
        self._read_young(rows, now)
        self._mark_outlived(rows)
        self._is_cut, self._at, self._error = is_cut, now, ""

    # Ten minutes and their failures

    def _read_chunk(self, rows: FailureRows, chunk: Sequence[str], now: datetime) -> None:
        """Read ten minutes that lie beside each other, the newest first."""
        keys = _keys(rows, chunk, self._most)
        found: dict[str, set[int]] = {bucket: set() for bucket in chunk}
        for key in keys:
            found.setdefault(in_bucket(key.attempt), set()).add(key.id)
        for bucket in chunk:
            self._forget(bucket, found[bucket])
        fresh = [key.id for key in keys if self._is_new(key)]
        self._read += len(keys) - len(fresh)
        for start in range(0, len(fresh), _CHUNK):
            part = fresh[start : start + _CHUNK]
            self._add(rows, part, now)
            self._read += len(part)

    def _is_new(self, key: Key) -> bool:
        known = self._entries.get(key.id)
        return known is None or known.attempt != key.attempt

    def _add(self, rows: FailureRows, ids: Sequence[int], now: datetime) -> None:
        reasons = {reason.action_id: reason for reason in rows.reasons(ids)}
        requeued = rows.requeued(ids)
        made = [self._entry(row, reasons.get(row.id)) for row in rows.rows(ids)]
        with self._guard:
            for entry in made:
                entry.is_requeued = entry.id in requeued
                if (before := self._entries.get(entry.id)) is not None:
                    self._buckets[in_bucket(before.attempt)].discard(entry.id)
                self._entries[entry.id] = entry
                self._buckets.setdefault(in_bucket(entry.attempt), set()).add(entry.id)
                if entry.at is None or entry.at > (now - _YOUNG).timestamp():
                    self._young[entry.id] = now + _AGAIN

    def _entry(self, row: FailureRow, reason: Reason | None) -> Entry:
        entry = Entry(row, self._text(row.hook))
        self._explain(entry, reason)
        return entry

    def _explain(self, entry: Entry, reason: Reason | None) -> None:
        entry.kind = self._text(self._prints.of(reason.message) if reason else "") or NO_MESSAGE
        at = reason.at if reason else None
        entry.at = int(at.timestamp()) if at else entry.attempted_at

    def _text(self, text: str) -> str:
        """Return an equal text that others share."""
        if len(self._texts) > self._most:
            self._texts.clear()
        return self._texts.setdefault(text, text)

    def _forget(self, bucket: str, kept: set[int]) -> None:
        """Forget the failures of ten minutes that are not among these."""
        with self._guard:
            for gone in self._buckets.get(bucket, set()) - kept:
                self._entries.pop(gone, None)
                self._young.pop(gone, None)
                self._buckets[bucket].discard(gone)
            if not kept:
                self._buckets.pop(bucket, None)
                self._sums.pop(bucket, None)

    # What becomes of them

    def _mark_requeued(self, rows: FailureRows, newest_log: int) -> None:
        if newest_log - self._log <= LOG_ROWS:
            found = rows.newly_requeued(self._log - _RECENT_LOG)
        elif self._log:
            # Nobody has looked for long, and much has been written since.
            found = rows.requeued([e.id for e in self._entries.values() if not e.is_requeued])
        else:
            found = set()
        for action in found & self._entries.keys():
            self._entries[action].is_requeued = True
        self._log = newest_log

    def _read_young(self, rows: FailureRows, now: datetime) -> None:
        """Read reasons again that PHP may have written after the status."""
        ids = [action for action, at in self._young.items() if at <= now][:_CHUNK]
        for reason in rows.reasons(ids):
            if (entry := self._entries.get(reason.action_id)) is not None:
                self._explain(entry, reason)
        for action in ids:
            self._young.pop(action, None)

    def _mark_outlived(self, rows: FailureRows) -> None:
        """Mark failures whose recurring chain has completed a later run, some hooks at a time."""
        by_hook: dict[str, dict[_Chain, list[Entry]]] = {}
        for entry in self._entries.values():
            if entry.chain is not None and entry.attempted_at is not None and not entry.is_requeued:
                chains = by_hook.setdefault(entry.hook, {})
                chains.setdefault((entry.group_id, entry.chain), []).append(entry)
        for hook in _turn(sorted(by_hook), self._hook):
            last: dict[_Chain, str] = {}
            for one in rows.successes(hook):
                chain = (one.group_id, one.args)
                if alike := by_hook[hook].get(chain):
                    oldest = min(alike, key=lambda entry: entry.attempt)
                    # As in `Failed.standing`: a run that was due before the failures counts not.
                    if one.scheduled >= oldest.scheduled:
                        last[chain] = max(one.attempt, last.get(chain, ""))
            for chain, alike in by_hook[hook].items():
                for entry in alike:
                    entry.is_outlived = entry.attempt < last.get(chain, "")
            self._hook = hook


def _turn(hooks: list[str], last: str) -> list[str]:
    """Return the hooks whose turn it is, those after the last one first."""
    after = [hook for hook in hooks if hook > last]
    return (after + hooks[: len(hooks) - len(after)])[:_HOOKS]


def _chunks(
    buckets: Sequence[str], changed: set[str], told: dict[str, Sums]
) -> Iterable[Sequence[str]]:
    """Yield changed ten minutes, together where nothing unchanged lies between them."""
    chunk, size = list[str](), 0
    for bucket in (*buckets, None):
        count = told[bucket].failures if bucket else 0
        if chunk and (bucket not in changed or size + count > _CHUNK):
            yield chunk
            chunk, size = [], 0
        if bucket in changed and bucket is not None:
            chunk.append(bucket)
            size += count


def _keys(rows: FailureRows, chunk: Sequence[str], most: int) -> list[Key]:
    """Return the keys of ten minutes beside each other, the newest first."""
    dated = [bucket for bucket in chunk if bucket]
    starts = [Key(_LAST_ID, _end(dated[0]))] if dated else []
    starts += [Key(_LAST_ID, "")] if len(dated) < len(chunk) else []
    low = f"{dated[-1]}0:00" if dated else ""
    found: list[Key] = []
    for after in starts:
        part = rows.keys(after, low, _PAGE)
        found += part
        while len(part) == _PAGE and len(found) < most:
            part = rows.keys(part[-1], low, _PAGE)
            found += part
    return found[:most]


def _end(bucket: str) -> str:
    """Return the last second of ten minutes. The zero date has no other second."""
    return ZERO_DATE if ZERO_DATE.startswith(bucket) else f"{bucket}9:59"
