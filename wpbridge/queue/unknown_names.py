"""Names of hooks and groups that a queue does not know: most are misspelled."""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from wpbridge.dataclass import dataclass
from wpbridge.store.opened import OpenStore

_SHOWN: Final = 191
"""So many characters of a name are shown: no hook has more."""
_ALIKE: Final = 0.6
"""How much of two names must be the same, from 0 to 1."""


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
    store: OpenStore,
    hooks: Sequence[str] = (),
    groups: Sequence[str] = (),
    *,
    exactly: bool = False,
) -> list[Unknown]:
    """Return the names that the queue does not know, each with the nearest that it knows.

    A queue without any hooks knows nothing yet, so nothing is called unknown there.

    Args:
        store: of the site.
        hooks: as they were given; no patterns.
        groups: slugs; an empty one means actions without a group, which is no name.
        exactly: names count only as they are spelled. Otherwise the database compares them, mostly
            without regard to case and accents.
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
    import difflib  # noqa: PLC0415 - loads only where a name is misspelled

    close = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=_ALIKE)
    return folded[close[0]] if close else ""
