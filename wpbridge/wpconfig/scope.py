"""What a configuration has set so far: constants, variables and the environment.

The reader knows everything here for certain, or holds an :class:`Unknown` in its place. Where it
cannot even tell what a statement touches, it raises :class:`NotKnown` and reads no further.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from typing import Final, TypeAlias

from wpbridge.wpconfig.values import Unknown, Unusual, Value, identical


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
    r"|UNIQUE_ID|arg[vc]",
)
"""Keys of ``$_SERVER`` that hang on the request, or on the way PHP runs."""
_WORDPRESS: Final = re.compile(
    r"(DB|DATABASE|WP|WPMU|AUTH|SECURE_AUTH|LOGGED_IN|NONCE|COOKIE|FS|FTP|CUSTOM_USER|DISALLOW|AUTOSAVE"
    r"|FORCE_SSL|EMPTY_TRASH|MEDIA_TRASH|IMAGE_EDIT|DOMAIN_CURRENT|PATH_CURRENT|SITE_ID_CURRENT"
    r"|BLOG_ID_CURRENT|MYSQL_(CLIENT|SSL))_\w+|ABSPATH|MULTISITE|SUBDOMAIN_INSTALL|VHOST"
    r"|SUNRISE|FQDB|FQDBDIR|UPLOADS|SCRIPT_DEBUG|SAVEQUERIES|CONCATENATE_SCRIPTS|COMPRESS_\w+"
    r"|ALTERNATE_WP_CRON|DISABLE_WP_CRON|USE_MYSQL|TABLE_PREFIX|(ADMIN|SITE)?COOKIEPATH|PLUGINDIR"
    r"|AUTOMATIC_UPDATER_DISABLED|NOBLOGREDIRECT|DO_NOT_UPGRADE_GLOBAL_TABLES|COOKIEHASH",
)
"""Constants that PHP itself never has: not set by the configuration means not set."""
_PHPS_OWN: Final = re.compile(
    r"(PHP|E|M|MYSQLI?|FILE|LOCK|SEEK|SORT|STR|ENT|LC|LOG|LOGS|INI|CURL\w*|OPENSSL|JSON|PREG|FILTER"
    r"|INPUT|UPLOAD|PASSWORD|CREDITS|INFO|ASSERT|CONNECTION|COUNT|CASE|CRYPT|DATE|DEBUG|DNS|ARRAY"
    r"|EXTR|GLOB|HTML|IMAGE\w*|LIBXML|XML|MB|MT|MHASH|NAN|INF|PATHINFO|PSFS|PATH_SEPARATOR|PCNTL"
    r"|POSIX|SCANDIR|SO|AF|SOCK|SOL|STREAM|SUNFUNCS|SODIUM|T|TOKEN|TRAP|ZEND|ZLIB|U|UNKNOWN|FTP|FTPS"
    r"|GMP|IMG|ICONV|IDNA|INTL|LDAP|MSG|PGSQL|SQLITE3|TCP|WNOHANG|XSL|SIG\w*|DIRECTORY)_?\w*"
    r"|TRUE|FALSE|NULL|STD(IN|OUT|ERR)|DIRECTORY_SEPARATOR",
    re.IGNORECASE,
)
THE_RUN: Final = {"WP_CLI", "STDIN", "PHP_SAPI", "DOING_CRON", "DOING_AJAX", "WP_ADMIN"}
"""Constants that tell the way PHP runs."""
SUPER_GLOBALS: Final = {"_SERVER", "_ENV"}
_NOT_PLAIN: Final = {*SUPER_GLOBALS, "GLOBALS", "this", "wp_did_header", "argv", "argc"}
REQUEST_VARIABLES: Final = {"_GET", "_POST", "_REQUEST", "_COOKIE", "_FILES", "_SESSION"}
"""Variables that differ from request to request."""

Function: TypeAlias = "Callable[[Scope, Sequence[Value], int], Value]"


@dataclass
class Sets:
    """All that statements change; the ways of a condition each begin with a copy."""

    constants: dict[str, Value]
    variables: dict[str, Value]
    server: dict[str, Value]
    """What was assigned to ``$_SERVER['key']``."""
    env: dict[str, Value]
    """What was assigned to ``$_ENV['key']``."""
    _: KW_ONLY
    functions: "dict[str, Function | None]"
    """By lower-case name; None where it may be declared, or may not."""

    def copy(self) -> "Sets":
        """Return the same, to be changed apart."""
        return Sets(*(dict(part) for part in self.values()), functions=dict(self.functions))

    def values(self) -> tuple[dict[str, Value], ...]:
        """Return all but the functions."""
        return self.constants, self.variables, self.server, self.env

    @staticmethod
    def merged(doubt: Unknown, ends: Sequence["Sets"]) -> "Sets":
        """Return what all ends agree on; all else is unknown for ``doubt``."""
        parts = zip(*(end.values() for end in ends), strict=True)
        names = {name for end in ends for name in end.functions}
        functions = [{end.functions.get(name) for end in ends} for name in names]
        return Sets(
            *(_merge(doubt, part) for part in parts),
            functions={
                name: declared.pop() if len(declared) == 1 else None
                for name, declared in zip(names, functions, strict=True)
            },
        )


def _merge(doubt: Unknown, ends: tuple[dict[str, Value], ...]) -> dict[str, Value]:
    names = dict.fromkeys(name for end in ends for name in end)
    return {
        name: ends[0][name]
        if all(name in end and _same(ends[0].get(name), end[name]) for end in ends)
        else doubt
        for name in names
    }


def _same(left: Value, right: Value) -> bool:
    try:
        return left is right or (left == right and identical(left, right))
    except Unusual:
        return False


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
        self.sets = Sets(dict(constants), {}, {}, {}, functions={})
        self.environment = env
        self.request = request
        self.file = ""
        self.line = 0
        """Of the statement being read."""
        self.depth = 0
        """How many functions are being called."""
        self.calls = 0
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

    def define(self, name: str, value: Value) -> bool:
        """Set a constant unless it is set: the first one wins."""
        if name in self.sets.constants:
            return False
        if name in THE_RUN or not re.fullmatch(r"[^\W\d]\w*", name):
            raise self.not_known(self.line, "it defines a constant in an unusual way")
        if _PHPS_OWN.fullmatch(name) and not _WORDPRESS.fullmatch(name):
            raise self.not_known(self.line, f"PHP itself may have the constant {name}")
        self.sets.constants[name] = value
        self.places[name] = (self.file, self.line)
        return True

    def constant(self, name: str, line: int) -> Value:
        """Return a constant's value; Unknown when the configuration has not set it."""
        if name in self.sets.constants:
            return self.sets.constants[name]
        if name in THE_RUN:
            return self.unknown(line, f"{name} depends on the way PHP runs")
        return self.unknown(line, f"the constant {name} is not set before it is used")

    def is_defined(self, name: str, line: int) -> "bool | Unknown":
        """Return what ``defined()`` says."""
        value = self.sets.constants.get(name)
        if isinstance(value, Unknown) and value.maybe:
            return value
        if name in self.sets.constants:
            return True
        if name in THE_RUN or not _WORDPRESS.fullmatch(name):
            return self.unknown(line, f"whether {name} is set depends on the way PHP runs")
        return False

    def variable(self, name: str, keys: Sequence[Value], line: int) -> Value:
        """Return a variable's value, or that of a superglobal's key; null when it is not set."""
        if name in SUPER_GLOBALS and keys:
            key = keys[0]
            return self._super_global(name, key, line) if isinstance(key, str) else keys[0]
        if name in REQUEST_VARIABLES:
            return self.unknown(line, f"${name} differs from request to request")
        if name in _NOT_PLAIN:
            return self.unknown(line, f"${name} as a whole is known to PHP alone")
        return self.sets.variables.get(name)

    def _super_global(self, name: str, key: str, line: int) -> Value:
        changed = self.sets.server if name == "_SERVER" else self.sets.env
        if key in changed:
            return changed[key]
        if name == "_SERVER" and FROM_WEB.fullmatch(key):
            return self._of_request(key, line, f"$_SERVER['{key}'] is set by the web server")
        return self.environment.get(key)

    def assign(self, name: str, keys: Sequence[Value], value: Value, line: int) -> None:
        """Do ``$name = value``, or ``$_SERVER['key'] = value``. NotKnown for other keys."""
        if name in SUPER_GLOBALS and keys and isinstance(keys[0], str):
            (self.sets.server if name == "_SERVER" else self.sets.env)[keys[0]] = value
        elif keys or name in _NOT_PLAIN or name in REQUEST_VARIABLES:
            raise self.not_known(line, f"it changes a part of ${name}")
        else:
            self.sets.variables[name] = value
            if not self.depth:
                self.places[f"${name}"] = (self.file, line)

    def environment_variable(self, name: str, line: int) -> Value:
        """Return what ``getenv()`` says; False when it is not set."""
        if FROM_WEB.fullmatch(name):
            value = self._of_request(name, line, f"{name} is set by the web server")
            return False if value is None else value
        return self.environment.get(name, False)

    def _of_request(self, key: str, line: int, why: str) -> Value:
        return self.request.get(key, self.unknown(line, why))

    def either(self, doubt: Unknown, ways: Sequence[Callable[["Scope"], Value]]) -> Value:
        """Go each way from here; what they agree on holds, all else is unknown for ``doubt``.

        A way that ends the program does not count. NotKnown when one leaves the file.
        """
        doubt = replace(doubt, maybe=True)
        start, ends, values = self.sets, list[Sets](), list[Value]()
        for way in ways:
            self.sets = start.copy()
            try:
                values.append(way(self))
            except Exit:
                continue
            except (Leave, Stop):
                self.sets = start
                why = f"whether it goes on here cannot be decided ({doubt.why})"
                raise NotKnown(doubt.file, doubt.line, why) from None
            except NotKnown:
                # What this way has set so far may not be set in truth.
                self.sets = start
                raise
            ends.append(self.sets)
        if not ends:
            raise Exit
        self.sets = Sets.merged(doubt, ends)
        return values[0] if all(_same(values[0], value) for value in values) else doubt
