"""What executors would start soon: frozen values by which the runner plans a claim."""

from collections.abc import Callable

from wpbridge.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class HookSet:
    """Some hooks, or all hooks but some."""

    names: frozenset[str] = frozenset()
    is_all_but: bool = False
    """Whether the set has every hook that is not among ``names``."""

    def __contains__(self, hook: str) -> bool:
        return (hook in self.names) is not self.is_all_but

    def without(self, names: frozenset[str]) -> "HookSet":
        """Return the same set but for some hooks."""
        if self.is_all_but:
            return HookSet(self.names | names, is_all_but=True)
        return HookSet(self.names - names)


NO_HOOKS = HookSet()
ANY_HOOK = HookSet(is_all_but=True)


def _always(_hook: str, _group: str) -> bool:
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Openings:
    """What one executor would start soon, as it was at one moment."""

    hooks: HookSet = NO_HOOKS
    """Actions of these hooks may be claimed for it."""
    known: HookSet = NO_HOOKS
    """Actions of these hooks may be marked as started: they have what runs them."""
    at_once: HookSet = NO_HOOKS
    """Actions of these hooks may be marked as started together with their claim."""
    room: int = 0
    """How many more calls it would start at once."""
    ahead: int = 0
    """How many calls it may have at a time."""
    is_routed: Callable[[str, str], bool] = _always
    """Whether the routing table sends a hook and a group's slug to it; a pure function."""

    def takes(self, hook: str, group: str) -> bool:
        """Return whether actions of the hook and group may be claimed for it."""
        return hook in self.hooks and self.is_routed(hook, group)

    def portion(self, waiting: int) -> int:
        """Return how many of the waiting calls start at once.

        It is none while that is a small part of them, since each portion costs a transaction.
        """
        portion = min(waiting, max(0, self.room))
        return 0 if portion < min(waiting, self.ahead // 2) else portion
