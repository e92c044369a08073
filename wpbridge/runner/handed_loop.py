"""The loop of a run whose actions others name to it: it claims when something was named.

It does not look what is due, and writes its endings with its next claim, or a moment later.
"""

from collections.abc import Callable, Sequence
from typing import Any

from wpbridge.action import Claim
from wpbridge.runner.loop import Runner


class HandedRunner(Runner):
    """One run over what was named to it. It lasts until it is stopped."""

    def __init__(
        self,
        *parts: Any,
        is_named: Callable[[], bool],
        take_whole: Callable[[], Sequence[Claim]],
        dropped: Callable[[], None],
        **more: Any,
    ) -> None:
        """Make the run.

        Args:
            parts: as those of :class:`~wpbridge.runner.loop.Runner`, like ``more``.
            is_named: tells whether something was named that is not claimed yet.
            take_whole: returns what starts now and has no row, each action as a claim of its own.
            dropped: called when everything in hand was forgotten, since others took us for dead.
            more: the limits must have a poll.
        """
        super().__init__(*parts, **more)
        self._is_named = is_named
        self._take_whole = take_whole
        self._dropped = dropped

    def _step(self) -> bool:
        if not self._run.is_quiet or self._run.is_stopping:
            for claim in self._take_whole():
                for _ in self._starting.hand_over(claim):
                    pass
        return super()._step()

    def _drop_everything(self) -> None:
        super()._drop_everything()
        self._dropped()

    def _may_claim(self) -> bool:
        # What a look has found counts for nothing here.
        self._run.is_exhausted = False
        return self._is_named() and not self._run.in_hand.to_mark

    def _is_last_ending(self) -> bool:
        # The next action usually comes within a moment, and takes the endings along.
        return self._run.is_stopping

    def _go_on_with_nothing(self) -> bool:
        if self._run.is_stopping:
            return self._wait_for_strays()
        if not self._is_named():
            self._idling.rest()
        return True
