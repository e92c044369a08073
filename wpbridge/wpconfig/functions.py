"""PHP's own functions, as far as the reader knows what they do.

Three kinds: those whose value is computed here, those that only compute (:data:`PURE`: the value is
unknown, and nothing else happens), and those whose effect no configuration can see
(:data:`HARMLESS`). A call of any other function ends the reading.
"""

import os
import posixpath
import re
import stat
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from wpbridge.wpconfig.scope import FUNCTION, Scope
from wpbridge.wpconfig.tokens import from_bytes
from wpbridge.wpconfig.values import Unknown, Unusual, Value

_MAX_BYTES: Final = 1_000_000

_COMPUTING: Final = """
abs addslashes array_key_exists array_keys array_merge array_search array_values base64_decode
base64_encode basename bin2hex boolval ceil constant count crc32 date disk_free_space explode
extension_loaded floor getcwd gethostname gmdate hash htmlspecialchars implode in_array ini_get
intval ip2long is_array is_bool is_dir is_int is_null is_numeric is_string is_writable join lcfirst
max mb_strtolower mb_substr md5 microtime min mt_rand nl2br number_format parse_url php_sapi_name
php_uname phpversion rand random_int rawurlencode realpath round sha1 sprintf str_contains
str_ends_with str_repeat str_starts_with strcasecmp strcmp stripos stripslashes stristr strlen
strncasecmp strncmp strpos strrchr strrev strrpos strstr strtolower strtoupper strtr strval substr
substr_count sys_get_temp_dir time ucfirst ucwords uniqid urldecode urlencode version_compare
"""
PURE: Final[Mapping[str, int]] = {
    **dict.fromkeys(_COMPUTING.split(), 9),
    # Further arguments are set by reference, or name functions to call.
    **dict.fromkeys(("preg_match", "preg_quote", "filter_var"), 2),
    **dict.fromkeys(("preg_replace", "str_replace", "str_ireplace", "preg_split"), 3),
}
"""Functions that only compute, with the most arguments they may be given."""
HARMLESS: Final = {
    *("date_default_timezone_set", "error_log", "error_reporting", "header", "header_remove"),
    *("http_response_code", "ignore_user_abort", "set_time_limit", "umask"),
}
_INI: Final = re.compile(
    r"(display(_startup)?|log|html)_errors|error_(log|reporting)|memory_limit|max_(execution|input)"
    r"_time|post_max_size|upload_max_filesize|session\.\w+|pcre\.\w+|date\.timezone|max_input_vars"
    r"|default_socket_timeout|zlib\.\w+|opcache\.\w+|mysqli?\.\w+|pdo_mysql\.\w+|soap\.\w+"
)
"""Settings of PHP that change nothing a configuration sees."""


def call(scope: Scope, name: str, arguments: Sequence[Value], line: int) -> Value:
    """Call a function of PHP or of the configuration. NotKnown where its effect is not known."""
    short = name.lower()
    if function := scope.get(FUNCTION, short):
        if isinstance(function, Unknown):
            raise scope.not_known(line, f"whether it declares {name}() is not known")
        value: Value = function(scope, arguments, line)
        return value
    if (known := _COMPUTED.get(short)) is not None:
        return _computed(scope, name, known, arguments, line)
    if len(arguments) <= PURE.get(short, -1):
        return scope.unknown(line, f"it calls {name}(), which only PHP can")
    quiet = short in {"ini_set", "ini_alter"} and arguments and isinstance(arguments[0], str)
    if short in HARMLESS or (quiet and _INI.fullmatch(str(arguments[0]))):
        return scope.unknown(line, f"it calls {name}(), which only PHP can")
    raise scope.not_known(line, f"it calls {name}(), whose effect only PHP knows")


def is_known(name: str) -> bool:
    """Whether PHP certainly has a function of this name."""
    short = name.lower()
    return short in _COMPUTED or short in PURE or short in HARMLESS


def _computed(
    scope: Scope, name: str, function: Callable[..., Value], given: Sequence[Value], line: int
) -> Value:
    unknown = next((value for value in given if isinstance(value, Unknown)), None)
    setting = name.lower() == "define"
    if unknown is not None and (not setting or isinstance(given[0], Unknown)):
        if setting:
            raise scope.not_known(line, f"what it sets cannot be told ({unknown.why})")
        return unknown
    try:
        return function(scope, line, *given)
    except (TypeError, ValueError, Unusual):
        if setting:
            raise scope.not_known(line, f"it calls {name}() in an unusual way") from None
        return scope.unknown(line, f"it calls {name}() in an unusual way")


def _text(value: Value) -> str:
    """The text a function of PHP is given; what would be converted is Unusual."""
    if not isinstance(value, str):
        raise Unusual
    return value


def _define(scope: Scope, line: int, name: Value, value: Value) -> Value:
    scope.line = line
    return scope.define(_text(name), value)


def _plain_name(name: Value) -> str:
    if not re.fullmatch(r"\w+", _text(name)):
        raise Unusual
    return str(name)


def _getenv(scope: Scope, line: int, name: Value, _local: Value = None) -> Value:
    return scope.environment_variable(_text(name), line)


def _function_exists(scope: Scope, line: int, name: Value) -> Value:
    short = _text(name).lower()
    declared = scope.get(FUNCTION, short)
    if isinstance(declared, Unknown):
        return declared
    if declared or is_known(short):
        return True
    if short == "getenv_docker":
        return False
    return scope.unknown(line, f"whether there is a function {name} depends on PHP")


# Files.


def _place(value: Value) -> str:
    """An absolute path; what PHP would look up in its working folder is Unusual."""
    path = _text(value)
    if not path.startswith("/") or "\0" in path:
        raise Unusual
    return path


def status(path: str) -> os.stat_result | None:
    """None where nothing is there; Unusual where we may not look."""
    try:
        return Path(path).stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError:
        raise Unusual from None


def _test(holds: Callable[[int], bool]) -> Callable[[Scope, int, Value], Value]:
    def test(_scope: Scope, _line: int, path: Value) -> Value:
        found = status(_place(path))
        return found is not None and holds(found.st_mode)

    return test


def _is_readable(_scope: Scope, _line: int, value: Value) -> Value:
    path = _place(value)
    if status(path) is None:
        return False
    if not os.access(path, os.R_OK):
        raise Unusual
    return True


def _file_get_contents(scope: Scope, line: int, value: Value) -> Value:
    path = _place(value)
    found = status(path)
    if found is None:
        return scope.unknown(line, "a file it reads is not there")
    if not stat.S_ISREG(found.st_mode) or not 0 < found.st_size <= _MAX_BYTES:
        raise Unusual
    try:
        return from_bytes(Path(path).read_bytes())
    except OSError:
        return scope.unknown(line, "a file it reads is not readable from here")


def _dirname(_scope: Scope, _line: int, path: Value, levels: Value = 1) -> Value:
    text = _text(path)
    if not isinstance(levels, int) or isinstance(levels, bool) or levels < 1 or not text:
        raise Unusual
    for _ in range(min(levels, len(text))):
        head = text.rstrip("/") or "/"
        text = posixpath.dirname(head).rstrip("/") or ("/" if head.startswith("/") else ".")
    return text


# Texts.


def _trim(strip: Callable[[str, str], str]) -> Callable[..., Value]:
    def trim(_scope: Scope, _line: int, text: Value, cut: Value = " \n\r\t\v\0") -> Value:
        characters = _text(cut)
        if ".." in characters or not characters.isascii():
            raise Unusual
        return strip(_text(text), characters)

    return trim


_COMPUTED: Final[Mapping[str, Callable[..., Value]]] = {
    "define": _define,
    "defined": lambda scope, line, name: scope.is_defined(_plain_name(name), line),
    "dirname": _dirname,
    "file_exists": _test(lambda _mode: True),
    "file_get_contents": _file_get_contents,
    "function_exists": _function_exists,
    "getenv": _getenv,
    "is_file": _test(stat.S_ISREG),
    "is_readable": _is_readable,
    "ltrim": _trim(str.lstrip),
    "rtrim": _trim(str.rstrip),
    "trim": _trim(str.strip),
}
