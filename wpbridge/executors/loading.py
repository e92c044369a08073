"""Import the modules that the settings name, and collect the functions they mark."""

import importlib
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from wpbridge.errors import ConfigError, NotObeyed
from wpbridge.events import Event, Subscriber
from wpbridge.executors.handlers import AROUND_MARK, EVENTS_MARK, HOOKS_MARK, Handler, describe
from wpbridge.system.trusted_files import may_obey
from wpbridge.system.trusted_imports import guard_imports


def load(
    modules: Sequence[str], *, folder: str | None = None, trusted: bool = False
) -> dict[str, Handler]:
    """Import modules and collect their marked functions.

    Args:
        modules: dotted names; ``folder`` (default: the working directory) is searched first.
        folder: where the handlers live.
        trusted: run them, whoever may write them.

    Raises:
        ConfigError: a module must not be trusted, fails to import or marks nothing (@hook,
            @middleware or @on), or two functions claim one hook.
    """
    found: dict[str, Handler] = {}
    imported = _imported(modules, folder, trusted=trusted)
    around = tuple(_marked(imported, AROUND_MARK))
    for name, module in zip(modules, imported, strict=True):
        if not any(_marked([module], mark) for mark in (HOOKS_MARK, AROUND_MARK, EVENTS_MARK)):
            told = "@hook, @middleware or @on"
            raise ConfigError(f"handlers module {name} marks no function with {told}")
        for handler in _handlers(module):
            other = found.get(handler.hook)
            if other is not None and other.function is not handler.function:
                raise ConfigError(
                    f"hook {handler.hook!r} has two handlers: {other.source} and {handler.source}"
                )
            found[handler.hook] = replace(handler, around=around)
    return found


def subscribers(
    modules: Sequence[str], *, folder: str | None = None, trusted: bool = False
) -> list[tuple[type[Event], Subscriber]]:
    """Return what the same modules mark with ``@on``: each kind, and who is called for it."""
    return [
        (kind, function)
        for function in _marked(_imported(modules, folder, trusted=trusted), EVENTS_MARK)
        for kind in _widest(getattr(function, EVENTS_MARK))
    ]


def _widest(kinds: Sequence[type[Event]]) -> list[type[Event]]:
    """Leave out kinds that belong to another one, so that nobody is called twice for an event."""
    unique = list(dict.fromkeys(kinds))
    return [k for k in unique if not any(k is not o and issubclass(k, o) for o in unique)]


def _handlers(module: object) -> list[Handler]:
    return [
        describe(
            mark.hook,
            function,
            at_most_once=mark.at_most_once,
            timeout=mark.timeout,
            isolate=mark.isolate,
        )
        for function in _marked([module], HOOKS_MARK)
        for mark in getattr(function, HOOKS_MARK)
    ]


def _marked(modules: Sequence[object], mark: str) -> list[Callable[..., Any]]:
    """Return the functions with a mark, each once, in the order of their definition."""
    members = [m for module in modules for m in vars(module).values() if callable(m)]
    return list({id(m): m for m in members if getattr(m, mark, ())}.values())


def _imported(modules: Sequence[str], folder: str | None, *, trusted: bool) -> list[object]:
    place = os.path.abspath(folder or os.getcwd())  # noqa: PTH100, PTH109 - sys.path holds text
    if modules:
        guard_imports(trusted=trusted)
    # A folder that is gone, as a release that was deleted, holds no module. The guard judges
    # whatever is found there later.
    if modules and not trusted and os.path.lexists(place):
        may_obey(Path(place), "the handlers' folder", is_searched=True)
    if modules and place not in sys.path:
        sys.path.insert(0, place)
    return [_import(name) for name in modules]


def _import(name: str) -> object:
    try:
        return importlib.import_module(name)
    except NotObeyed:
        raise
    except (Exception, SystemExit) as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        where = "" if "importlib" in last.filename else f" ({last.filename}:{last.lineno})"
        text = " ".join(str(error).split())
        raise ConfigError(
            f"handlers module {name} could not be imported: {type(error).__name__}: {text}{where}"
        ) from error
