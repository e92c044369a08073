"""Names of settings and variables that are deprecated, read as those that came after them."""

from collections.abc import Mapping
from typing import Any

from wpbridge.deprecated.register import of_kind
from wpbridge.errors import ConfigError


def with_new_keys(tables: Mapping[str, Any], file: str) -> tuple[dict[str, Any], list[str]]:
    """Return a file's tables with today's keys, and a warning for each old one.

    Raises:
        ConfigError: the file has an old key beside its successor.
    """
    found = {name: dict(value) if _is_table(value) else value for name, value in tables.items()}
    warnings = []
    for old, one in of_kind("setting").items():
        table, key = old.split(".")
        new_table, new_key = one.successor.split(".")
        if not _is_table(found.get(table)) or key not in found[table]:
            continue
        target = found.setdefault(new_table, {})
        if new_key in target:
            raise ConfigError(f"{file} has both {old} and {one.successor}: keep the second")
        target[new_key] = found[table].pop(key)
        warnings.append(f"{file}: {one.words}")
    return found, warnings


def with_new_variables(env: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """Return the environment with today's variables, and a warning for each old one.

    A variable without a value counts as not set, so it takes nothing and warns of nothing.

    Raises:
        ConfigError: an old variable stands beside its successor.
    """
    found, warnings = dict(env), []
    for old, one in of_kind("variable").items():
        if not (value := found.pop(old, "")):
            continue
        if found.get(one.successor):
            raise ConfigError(f"both {old} and {one.successor} are set: keep the second")
        found[one.successor] = value
        warnings.append(one.words)
    return found, warnings


def _is_table(value: object) -> bool:
    return isinstance(value, Mapping)
