"""Everything that is wrong with the settings, so that it can be told at once."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from wpbridge.errors import ConfigError


class Faults:
    """Faults in the order in which they were found."""

    def __init__(self) -> None:
        self._errors: list[ConfigError] = []

    def __bool__(self) -> bool:
        return bool(self._errors)

    def add(self, *faults: str) -> None:
        """Keep faults, each a line."""
        self._errors += [ConfigError(fault) for fault in faults]

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Keep the ConfigError of the block, which ends there, and go on after it."""
        try:
            yield
        except ConfigError as error:
            self._errors.append(error)

    def refuse(self) -> None:
        """Raise ConfigError with all faults; nothing happens when there are none."""
        told = dict.fromkeys(fault for error in self._errors for fault in error.faults)
        if len(told) > 1:
            raise ConfigError(faults=tuple(told))
        if told:
            raise self._errors[0]


def unknown_names(names: Iterable[str], known: Iterable[str], place: str) -> list[str]:
    """Return a fault for each name that nobody knows, with the one that was perhaps meant."""
    known = list(known)
    faults = []
    for name in names:
        if name not in known:
            close = meant(name, known)
            hint = f"did you mean {close}?" if close else f"known: {', '.join(sorted(known))}"
            faults.append(f"{place}: unknown setting {name}; {hint}")
    return faults


def meant(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that is most like this one; None when none is like it."""
    import difflib  # noqa: PLC0415 - loads only where a name is misspelled

    return next(iter(difflib.get_close_matches(name, list(known), 1)), None)
