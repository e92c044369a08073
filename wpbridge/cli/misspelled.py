"""Names of hooks and groups that look misspelled are named on stderr.

That changes neither the answer of a command nor its exit code.
"""

from collections.abc import Iterable, Sequence

from wpbridge.cli.output import told
from wpbridge.executors.routes import Routes
from wpbridge.queue.unknown_names import Unknown, unknown
from wpbridge.site.config import Settings
from wpbridge.store.opened import OpenStore


def tell_unknown(
    store: OpenStore,
    hooks: Sequence[str] = (),
    groups: Sequence[str] = (),
    *,
    for_people: bool = True,
) -> None:
    """Name what the queue does not know, with the nearest name that it knows.

    ``for_people``: also where no name is near. A program may well ask for a hook that has no
    action just now, and is told only of what looks misspelled.
    """
    tell(unknown(store, hooks, groups), for_people=for_people)


def tell_unclaimed(store: OpenStore, settings: Settings, routes: Routes) -> None:
    """Name what looks misspelled among the hooks and groups that a run takes or leaves out."""
    ours = routes.hooks() or frozenset()
    hooks = [name for name in (*settings.hooks, *settings.exclude_hooks) if name not in ours]
    groups = (*settings.groups, *settings.exclude_groups)
    tell(unknown(store, hooks, groups, exactly=True))


def tell(names: Iterable[Unknown], *, for_people: bool = False) -> None:
    """Name those that look misspelled; ``for_people``: the others too."""
    for one in names:
        if one.near:
            told(f"{one}; did you mean `{one.near}`?")
        elif for_people:
            told(str(one))
