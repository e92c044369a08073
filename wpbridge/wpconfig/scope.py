"""What a configuration has set so far: constants, variables and the environment.

The reader knows everything here for certain, or holds an :class:`Unknown` in its place. Where it
cannot even tell what a statement touches, it raises :class:`NotKnown` and reads no further.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, TypeAlias

from wpbridge.wpconfig.values import Unknown, Value


class NotKnown(Exception):  # ends the reading, and becomes a SiteError
    """The effect of a statement on constants, environment, globals or flow is not known."""

    def __init__(self, file: str, line: int, why: str) -> None:
        super().__init__(why)
        self.doubt = Unknown(file, line, why, maybe=True)


class Leave(Exception):  # a jump, not an error
    """``return``: the file or the function is left."""

    def __init__(self, value: Value = None) -> None:
        super().__init__()
        self.value = value


class Stop(Exception):  # a jump, not an error
    """Reading is over: ``wp-settings.php`` would be loaded now."""


class Exit(Exception):  # a jump, not an error
    """``exit`` or ``die``: a WordPress that gets here never starts."""

    def __init__(self, file: str = "", line: int = 0) -> None:
        super().__init__()
        self.file, self.line = file, line


FROM_WEB: Final = re.compile(
    r"HTTPS?(_.*)?|(SERVER|REMOTE|REQUEST|SCRIPT|PATH|GATEWAY|CONTENT|CONTEXT|REDIRECT|SSL|PHP_AUTH"
    r"|ORIG|FCGI|UNENCODED)_.*|DOCUMENT_(ROOT|URI)|QUERY_STRING|PHP_SELF|AUTH_TYPE|USER|HOME"
    r"|UNIQUE_ID|arg[vc]|SHELL|TERM|PWD|LOGNAME|SUDO_.*|SSH_.*",
)
"""Keys of ``$_SERVER`` that hang on the request, or on the way PHP runs."""
WORDPRESS: Final = re.compile(
    r"(DB|DATABASE|WP|WPMU|AUTH|SECURE_AUTH|LOGGED_IN|NONCE|COOKIE|FS|CUSTOM_USER|DISALLOW|AUTOSAVE"
    r"|FORCE_SSL|EMPTY_TRASH|MEDIA_TRASH|IMAGE_EDIT|DOMAIN_CURRENT|PATH_CURRENT|SITE_ID_CURRENT"
    r"|BLOG_ID_CURRENT|MYSQL_(CLIENT|SSL))_\w+|FTP_(BASE|SSL|USER|PASS|HOST|\w+_DIR|P\w+KEY)|ABSPATH|MULTISITE|SUBDOMAIN_INSTALL|VHOST"
    r"|SUNRISE|FQDB|FQDBDIR|UPLOADS|SCRIPT_DEBUG|SAVEQUERIES|CONCATENATE_SCRIPTS|COMPRESS_\w+"
    r"|ALTERNATE_WP_CRON|DISABLE_WP_CRON|USE_MYSQL|TABLE_PREFIX|(ADMIN|SITE)?COOKIEPATH|PLUGINDIR"
    r"|AUTOMATIC_UPDATER_DISABLED|NOBLOGREDIRECT|DO_NOT_UPGRADE_GLOBAL_TABLES|COOKIEHASH",
)
"""Constants that PHP itself never has: not set by the configuration means not set."""
THE_RUN: Final = {
    *("WP_CLI", "STDIN", "PHP_SAPI", "DOING_CRON", "DOING_AJAX", "XMLRPC_REQUEST", "SHORTINIT"),
    *("WP_ADMIN", "WP_NETWORK_ADMIN", "WP_USER_ADMIN", "WP_BLOG_ADMIN", "WP_USE_THEMES"),
    *("WP_INSTALLING", "WP_REPAIRING", "WP_SETUP_CONFIG", "WP_LOAD_IMPORTERS", "WP_IMPORTING"),
}
"""Constants that tell the way PHP runs: WordPress's entry files set some before it looks here."""
SUPER_GLOBALS: Final = {"_SERVER", "_ENV"}
_NOT_PLAIN: Final = {*SUPER_GLOBALS, "GLOBALS", "this", "wp_did_header", "argv", "argc"}
REQUEST_VARIABLES: Final = {"_GET", "_POST", "_REQUEST", "_COOKIE", "_FILES", "_SESSION"}
"""Variables that differ from request to request."""

Function: TypeAlias = "Callable[[Scope, Sequence[Value], int], Value]"
State: TypeAlias = "dict[tuple[str, str], Value | Function]"
"""All that statements change, by kind and name: the ways of a condition each begin with a copy."""

CONSTANT: Final = "constant"
FUNCTION: Final = "function"


def _merged(doubt: Unknown, ends: Sequence[State]) -> State:
    """Return what all ends agree on; all else is unknown for ``doubt``."""
    names = dict.fromkeys(name for end in ends for name in end)
    return {
        name: ends[0][name]
        if all(name in end and _same(ends[0].get(name), end[name]) for end in ends)
        else doubt
        for name in names
    }


def _same(left: object, right: object) -> bool:
    return left is right or (type(left) is type(right) and left == right)


class Scope:
    """The state of one reading.

    Args:
        env: the environment of PHP's process.
        request: what the web server tells of the request (``HTTP_HOST`` …), None for what it does
            not set; what is missing is not known.
        constants: what is defined before the configuration begins.
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
        self.line = 0
        """Of the statement being read."""
        self.depth = 0
        """How many functions are being called."""
        self.calls = 0
        self.frame = 0
        """The number of the call whose variables count; 0 outside of functions."""
        self.places: dict[str, tuple[str, int]] = {}
        """Where each constant and variable was set last."""
        self.include: Callable[[str, str, int], Value] = lambda *_: None
        self.evaluate: Callable[[str, int], Value] = lambda *_: None

    def unknown(self, line: int, why: str) -> Unknown:
        """Return an unknown value of this file."""
        return Unknown(self.file, line, why)

    def not_known(self, line: int, why: str) -> NotKnown:
        """Return the exception that ends the reading at a line of this file."""
        return NotKnown(self.file, line, why)

    def get(self, kind: str, name: str) -> Any:
        """Return what is set: a value, or a function; None for what is not."""
        return self.state.get((kind, name))

    def define(self, name: str, value: Value) -> bool:
        """Set a constant unless it is set: the first one wins."""
        if (CONSTANT, name) in self.state:
            return False
        if name in THE_RUN or not re.fullmatch(r"[^\W\d]\w*", name):
            raise self.not_known(self.line, "it defines a constant in an unusual way")
        if not WORDPRESS.fullmatch(name):
            value = self.unknown(self.line, f"PHP itself may have a constant {name}")
        self.state[CONSTANT, name] = value
        self.places[name] = (self.file, self.line)
        return True

    def constant(self, name: str, line: int) -> Value:
        """Return a constant's value; Unknown when the configuration has not set it."""
        if (CONSTANT, name) in self.state:
            value: Value = self.get(CONSTANT, name)
            return value
        if name in THE_RUN:
            return self.unknown(line, f"{name} depends on the way PHP runs")
        return self.unknown(line, f"the constant {name} is not set before it is used")

    def is_defined(self, name: str, line: int) -> "bool | Unknown":
        """Return what ``defined()`` says."""
        value = self.get(CONSTANT, name)
        if isinstance(value, Unknown) and value.maybe:
            return value
        if (CONSTANT, name) in self.state:
            return True
        if name in THE_RUN or not WORDPRESS.fullmatch(name):
            return self.unknown(line, f"whether {name} is set depends on the way PHP runs")
        return False

    def variable(self, name: str, keys: Sequence[Value], line: int) -> Value:
        """Return a variable's value, or that of a superglobal's key; null when it is not set."""
        if name in SUPER_GLOBALS and len(keys) == 1 and isinstance(keys[0], str):
            return self._super_global(name, keys[0], line)
        if name in REQUEST_VARIABLES:
            return self.unknown(line, f"${name} differs from request to request")
        if name in _NOT_PLAIN:
            return self.unknown(line, f"${name} as a whole is known to PHP alone")
        value: Value = self.get(self._variables, name)
        if keys and value is not None and not isinstance(value, Unknown):
            return self.unknown(line, f"it takes a part of ${name}")
        return value

    @property
    def _variables(self) -> str:
        return f"variable {self.frame}"

    def _super_global(self, name: str, key: str, line: int) -> Value:
        if (name, key) in self.state:
            value: Value = self.get(name, key)
            return value
        if name == "_SERVER" and FROM_WEB.fullmatch(key):
            return self._of_request(key, line, f"$_SERVER['{key}'] is set by the web server")
        return self.environment.get(key)

    def assign(self, name: str, keys: Sequence[Value], value: Value, line: int) -> None:
        """Do ``$name = value``, or ``$_SERVER['key'] = value``. NotKnown for other keys."""
        if name in SUPER_GLOBALS and keys and isinstance(keys[0], str):
            self.state[name, keys[0]] = value
        elif keys or name in _NOT_PLAIN or name in REQUEST_VARIABLES:
            raise self.not_known(line, f"it changes a part of ${name}")
        else:
            self.state[self._variables, name] = value
            if not self.frame:
                self.places[f"${name}"] = (self.file, line)

    def environment_variable(self, name: str, line: int) -> Value:
        """Return what ``getenv()`` says; False when it is not set."""
        if FROM_WEB.fullmatch(name):
            value = self._of_request(name, line, f"{name} is set by the web server")
            return False if value is None else value
        return self.environment.get(name, False)

    def _of_request(self, key: str, line: int, why: str) -> Value:
        return self.request.get(key, self.unknown(line, why))

    def either(self, doubt: Unknown, ways: Sequence[Callable[[], Value]]) -> Value:
        """Go each way from here; what they agree on holds, all else is unknown for ``doubt``.

        A way that ends the program does not count. NotKnown when one leaves the file.
        """
        doubt = replace(doubt, maybe=True)
        start, ends, values = self.state, list[State](), list[Value]()
        for way in ways:
            self.state = dict(start)
            try:
                values.append(way())
            except Exit:
                continue
            except (Leave, Stop):
                self.state = start
                why = f"whether it goes on here cannot be decided ({doubt.why})"
                raise NotKnown(doubt.file, doubt.line, why) from None
            except NotKnown:
                # What this way has set so far may not be set in truth.
                self.state = start
                raise
            ends.append(self.state)
        if not ends:
            raise Exit
        self.state = _merged(doubt, ends)
        return values[0] if all(_same(values[0], value) for value in values) else doubt
