"""The methods of a queue that pause hooks, groups or everything, and resume them."""

from collections.abc import Sequence
from dataclasses import replace

from wpbridge.errors import InputError
from wpbridge.queue.connection import QueueConnection
from wpbridge.queue.enqueue import Moment, check_group, check_hook
from wpbridge.store.records import Pause


class QueuePausing(QueueConnection):
    """Pause and resume."""

    def pause(
        self,
        *,
        hooks: Sequence[str] = (),
        groups: Sequence[str] = (),
        everything: bool = False,
        until: Moment = None,
        reason: str = "",
        dry_run: bool = False,
    ) -> list[Pause]:
        """Keep every runner from claiming, from its next claim on; what runs goes on.

        With ``until`` None the pause lasts until it is resumed. A hook or group that is paused
        already is given the new end.
        """
        scopes = _scopes(hooks, groups, everything=everything)
        end = None if until is None else self._moment(until)
        if end is not None and end <= self._now():
            raise InputError("pause: its end is past")
        pauses = [replace(pause, until=end, reason=reason) for pause in scopes]
        if not dry_run:
            with self._turn() as parts:
                parts.pauses.add(pauses, now=self._now())
        return pauses

    def resume(
        self,
        *,
        hooks: Sequence[str] = (),
        groups: Sequence[str] = (),
        everything: bool = False,
        dry_run: bool = False,
    ) -> list[Pause]:
        """Lift pauses, and return those that there were. ``everything`` lifts all of any kind."""
        scopes = _scopes(hooks, groups, everything=everything)
        wanted = {(scope.kind, scope.name) for scope in scopes}
        with self._turn() as parts:
            stored = parts.pauses.stored()
            lifted = [p for p in stored if everything or (p.kind, p.name) in wanted]
            if lifted and not dry_run:
                parts.pauses.remove(lifted)
                self.wake()
        return lifted

    def pauses(self) -> list[Pause]:
        """Return the pauses in force."""
        with self._turn() as parts:
            return parts.pauses.in_force(self._now())


def _scopes(hooks: Sequence[str], groups: Sequence[str], *, everything: bool) -> list[Pause]:
    if isinstance(hooks, str) or isinstance(groups, str):
        raise InputError("hooks and groups: lists of names, not one name")
    for hook in hooks:
        check_hook(hook)
    for group in groups:
        check_group(group)
    scopes = [
        *([Pause(kind="all", name="")] if everything else []),
        *(Pause(kind="hook", name=hook) for hook in hooks),
        *(Pause(kind="group", name=group) for group in groups),
    ]
    if not scopes:
        raise InputError("name a hook, a group, or everything")
    return scopes
