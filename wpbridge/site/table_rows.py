"""Reads one table of a TOML file whose keys are known, and tells all that is wrong with it."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from wpbridge.site.faults import Faults, meant, unknown_names


class Key(NamedTuple):
    """What stands below one key of a table."""

    read: Callable[[Any], Any]
    """Value to the rule's attribute; ValueError for a value that cannot be one."""
    must: str
    """What the value must be: the message where that error has none."""
    is_required: bool = False


def row(
    told: Mapping[str, Any],
    where: str,
    keys: Mapping[str, Key],
    check: Callable[[Mapping[str, object]], Iterator[str]] = lambda _given: iter(()),
) -> dict[str, Any]:
    """Read one table; ConfigError with everything that is wrong with it.

    ``check`` is given the keys that the table has with what stands there, and tells what is wrong
    with them together. A misspelled key counts there as the one that was meant.
    """
    faults = Faults()
    faults.add(*unknown_names(told, keys, where))
    values = {}
    for name, key in keys.items():
        if not key.is_required and told.get(name) is None:
            continue
        try:
            values[name] = key.read(told.get(name))
        except ValueError as error:
            faults.add(f"{where}: {error.args[0] if error.args else key.must}")
    given = {meant(name, keys) or name: value for name, value in told.items() if value is not None}
    faults.add(*(f"{where}: {fault}" for fault in check(given)))
    faults.refuse()
    return values
