"""Keeps what a configuration has set so far: constants, variables and the environment.

Everything here is certain, or an :class:`Unknown` stands in its place. If the reader cannot even
say what a statement changes, it raises :class:`NotKnown` and reads no further.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final, TypeAlias

from wpbridge.site.wpconfig.found import NAMES
from wpbridge.site.wpconfig.request import FROM_WEB, REQUEST_VARIABLES, THE_RUN
from wpbridge.site.wpconfig.values import Unknown, Value, identical


class NotKnown(Exception):  # ends the reading, and becomes a SiteError
    """The reader does not know what a statement changes, or where PHP goes on after it."""

    def __init__(self, file: str, line: int, why: str) -> None:
        super().__init__(why)
        self.doubt = Unknown(file, line, why, maybe=True)


class Leave(Exception):  # a jump, not an error
    """The file has come to a ``return``."""


class Stop(Exception):  # a jump, not an error
    """The reading is complete, since ``wp-settings.php`` would be loaded now."""


class Exit(Exception):  # a jump, not an error
    """The file has come to ``exit`` or ``die``, so WordPress would never start."""

    def __init__(self, file: str, line: int) -> None:
        super().__init__()
        self.file, self.line = file, line


SUPER_GLOBALS: Final = {"_SERVER", "_ENV"}
_NOT_PLAIN: Final = {*SUPER_GLOBALS, "GLOBALS", "this", "wp_did_header", "argv", "argc"}

State: TypeAlias = "dict[tuple[str, str], Value]"
"""All that statements change, by kind and name. Each branch of a condition begins with a copy."""

CONSTANT: Final = "constant"
VARIABLE: Final = "variable"
FUNCTION: Final = "function"
FILE: Final = "file"
"""The kind of the files that were included."""


def only_set_here(name: str) -> bool:
    """Tell whether only the configuration can set a constant, and neither PHP nor WordPress."""
    return name not in THE_RUN and (name in NAMES or name.startswith(("WP_", "DB_")))


def _merged(doubt: Unknown, ends: Sequence[State]) -> State:
    """Return what all ends agree on. Everything else is unknown because of ``doubt``."""
    names = dict.fromkeys(name for end in ends for name in end)
    return {
        name: ends[0][name]
        if all(name in end and identical(ends[0].get(name), end[name]) for end in ends)
        else doubt
        for name in names
    }


class Scope:
    """The state of one reading.

    Args:
        env: the environment of PHP's process.
        request: what the web server says of the request (``HTTP_HOST`` …), with None for what it
            leaves unset. What is missing is unknown.
        constants: the constants that are defined before the configuration begins.
    """

    def __init__(
        self,
        env: Mapping[str, str],
        request: Mapping[str, str | None],
        constants: Mapping[str, Value],
    ) -> None:
        self.state: State = {(CONSTANT, name): value for name, value in constants.items()}
        self.environment = env
        self.request = request
        self.file = ""
        """The file that is being read."""
        self.places: dict[str, tuple[str, int]] = {}
        """Where each constant and variable was set last."""
        self.include: Callable[[str, str, int], None] = lambda *_: None

    def unknown(self, line: int, why: str) -> Unknown:
        """Return an unknown value of this file."""
        return Unknown(self.file, line, why)

    def not_known(self, line: int, why: str) -> NotKnown:
        """Return the exception that ends the reading at a line of this file."""
        return NotKnown(self.file, line, why)

    def get(self, kind: str, name: str) -> Value:
        """Return a value that is set, or None."""
        return self.state.get((kind, name))

    def define(self, name: str, value: Value, line: int) -> bool:
        """Set a constant unless it is set already, and tell whether it was set now."""
        if (CONSTANT, name) in self.state:
            return False
        if name in THE_RUN or not re.fullmatch(r"[^\W\d]\w*", name):
            raise self.not_known(line, "it defines a constant in an unusual way")
        if not only_set_here(name):
            value = self.unknown(line, f"PHP itself may have a constant {name}")
        self.state[CONSTANT, name] = value
        self.places[name] = (self.file, line)
        return True

    def constant(self, name: str, line: int) -> Value:
        """Return a constant's value. Unknown if the configuration has not set it."""
        why = f"the constant {name} is not set here"
        return self.state.get((CONSTANT, name), self.unknown(line, why))

    def is_defined(self, name: str, line: int) -> "bool | Unknown":
        """Return what ``defined()`` says."""
        value = self.get(CONSTANT, name)
        if isinstance(value, Unknown) and value.maybe:
            return value
        if (CONSTANT, name) in self.state:
            return True
        if not only_set_here(name):
            return self.unknown(line, f"whether {name} is set depends on the way PHP runs")
        return False

    def variable(self, name: str, keys: Sequence[Value], line: int) -> Value:
        """Return a variable's value, or that of a superglobal's key. None if it is not set."""
        if name in SUPER_GLOBALS and len(keys) == 1 and isinstance(keys[0], str):
            return self.state.get((name, keys[0]), self._from_outside(keys[0], line))
        if name in REQUEST_VARIABLES:
            return self.unknown(line, f"${name} differs from request to request")
        if name in _NOT_PLAIN:
            return self.unknown(line, f"${name} as a whole is known to PHP alone")
        value = self.get(VARIABLE, name)
        if keys and value is not None and not isinstance(value, Unknown):
            return self.unknown(line, f"it takes a part of ${name}")
        return value

    def assign(self, name: str, keys: Sequence[Value], value: Value, line: int) -> None:
        """Do ``$name = value`` or ``$_SERVER['key'] = value``. NotKnown for any other form."""
        if name in SUPER_GLOBALS and keys and isinstance(keys[0], str):
            self.state[name, keys[0]] = value
        elif keys or name in _NOT_PLAIN or name in REQUEST_VARIABLES:
            raise self.not_known(line, f"it changes a part of ${name}")
        else:
            self.state[VARIABLE, name] = value
            self.places[f"${name}"] = (self.file, line)

    def environment_variable(self, name: str, line: int) -> Value:
        """Return what ``getenv()`` says, False if the variable is not set."""
        value = self._from_outside(name, line)
        return False if value is None else value

    def _from_outside(self, key: str, line: int) -> Value:
        if not FROM_WEB.fullmatch(key):
            return self.environment.get(key)
        return self.request.get(key, self.unknown(line, f"{key} is set by the web server"))

    def either(self, doubt: Unknown, way: Callable[[bool], Value]) -> Value:
        """Follow both branches from here, and keep what they agree on.

        Everything else is unknown because of ``doubt``. A branch that ends the program does not
        count.

        Raises:
            Exit: both branches end the program.
            NotKnown: a branch leaves the file, or cannot be followed.
        """
        doubt = replace(doubt, maybe=True)
        start, ends, values = self.state, list[State](), list[Value]()
        for yes in (True, False):
            self.state = dict(start)
            try:
                values.append(way(yes))
            except Exit:
                continue
            except (Leave, Stop):
                self.state = start
                why = f"whether it goes on here cannot be decided ({doubt.why})"
                raise NotKnown(doubt.file, doubt.line, why) from None
            except NotKnown:
                # PHP may not take this branch, so what it has set is dropped.
                self.state = start
                raise
            ends.append(self.state)
        if not ends:
            raise Exit(doubt.file, doubt.line)
        self.state = _merged(doubt, ends)
        return values[0] if all(identical(values[0], value) for value in values) else doubt
