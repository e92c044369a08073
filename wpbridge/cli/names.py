"""Names of hooks and groups that are given and that the queue does not know: most are misspelled.

What is said goes to stderr, and changes neither the answer nor the exit code.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

from wpbridge.cli.output import told
from wpbridge.executors.routes import Routes
from wpbridge.site.config import Settings
from wpbridge.store.opened import OpenStore

_SHOWN: Final = 191
"""So many characters of a name are shown: no hook has more."""
_ALIKE: Final = 0.6
"""How much of two names must be the same, from 0 to 1."""


def tell_unknown(
    store: OpenStore,
    hooks: Sequence[str] = (),
    groups: Sequence[str] = (),
    *,
    exactly: bool = False,
    for_people: bool = True,
) -> None:
    """Name what the queue does not know, with the nearest name that it knows.

    Args:
        store: of the site.
        hooks: as they were given; no patterns.
        groups: slugs; an empty one means actions without a group, which is no name.
        exactly: names count only as they are spelled. Otherwise the database compares them, mostly
            without regard to case and accents.
        for_people: also where no name is near. A program may well ask for a hook that has no
            action just now, and is told only of what looks misspelled.
    """
    tell(unknown(store, hooks, groups, exactly=exactly), for_people=for_people)


def tell_unclaimed(store: OpenStore, settings: Settings, routes: Routes) -> None:
    """Name what looks misspelled among the hooks and groups that a run takes or leaves out."""
    ours = routes.hooks() or frozenset()
    hooks = [name for name in (*settings.hooks, *settings.exclude_hooks) if name not in ours]
    groups = (*settings.groups, *settings.exclude_groups)
    tell(unknown(store, hooks, groups, exactly=True))


def tell(names: "Iterable[Unknown]", *, for_people: bool = False) -> None:
    """Name those that look misspelled; ``for_people``: the others too."""
    for one in names:
        if one.near:
            told(f"{one}; did you mean `{one.near}`?")
        elif for_people:
            told(str(one))


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """A name that no action has."""

    kind: str
    """Of what: ``hook``, or ``group``."""
    name: str
    near: str
    """The nearest name that there is; empty where none is near."""

    def __str__(self) -> str:
        more = "…" if len(self.name) > _SHOWN else ""
        return f"no {self.kind} `{self.name[:_SHOWN]}{more}`"


def unknown(
    store: OpenStore, hooks: Sequence[str], groups: Sequence[str], *, exactly: bool
) -> list[Unknown]:
    """Return the names that the queue does not know; see :func:`tell_unknown`.

    There are none in a queue without any hooks: all names are new to it.
    """
    known = store.known
    names = store.reading.hook_names
    found = [
        *_unknown("hook", hooks, known.hook, names, exactly=exactly),
        *_unknown("group", groups, known.group, known.groups, exactly=exactly),
    ]
    return found if found and names() != [] else []


def _unknown(
    kind: str,
    names: Sequence[str],
    spellings_of: Callable[[str], list[str] | None],
    all_names: Callable[[], list[str] | None],
    *,
    exactly: bool,
) -> Iterator[Unknown]:
    every: list[str] | None = None
    for name in filter(None, dict.fromkeys(names)):
        spellings = spellings_of(name)
        if spellings is None or name in spellings or (spellings and not exactly):
            continue
        if spellings:
            yield Unknown(kind=kind, name=name, near=spellings[0])
            continue
        if every is None:
            every = all_names() or []
        yield Unknown(kind=kind, name=name, near=nearest(name, every))


def nearest(name: str, others: Sequence[str]) -> str:
    """Return the name that is most alike, whatever its case; empty where none is."""
    folded = {other.casefold(): other for other in reversed(others)}
    close = get_close_matches(name.casefold(), folded, n=1, cutoff=_ALIKE)
    return folded[close[0]] if close else ""
