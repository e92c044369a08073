"""PHP's own functions, as far as the reader knows what they do.

The reader knows three kinds: functions whose value is computed here, functions that only compute a
value which stays unknown (:data:`PURE`), and functions whose effect no configuration can see
(:data:`HARMLESS`). A call of any other function ends the reading.
"""

import os
import posixpath
import re
import stat
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from wpbridge.site.wpconfig.scope import FUNCTION, Scope
from wpbridge.site.wpconfig.tokens import from_bytes
from wpbridge.site.wpconfig.values import Unknown, Unusual, Value, truthy

_MAX_BYTES: Final = 1_000_000

_COMPUTING: Final = """
array_key_exists array_keys array_merge array_search array_values base64_decode base64_encode
basename constant count date explode extension_loaded getcwd gethostname gmdate hash
htmlspecialchars implode in_array ini_get intval ip2long is_array is_dir is_null is_numeric
is_string is_writable max md5 microtime min parse_url php_sapi_name php_uname phpversion rand
realpath sha1 sprintf str_contains str_ends_with str_repeat str_starts_with strcasecmp strcmp
stripos stristr strlen strncasecmp strncmp strpos strrchr strrev strstr strtolower strtoupper strtr
substr substr_count sys_get_temp_dir time ucfirst uniqid urldecode urlencode version_compare
"""
PURE: Final[Mapping[str, int]] = {
    **dict.fromkeys(_COMPUTING.split(), 9),
    # Further arguments would be set by reference, or would name functions to call.
    **dict.fromkeys(("preg_match", "filter_var"), 2),
    **dict.fromkeys(("preg_replace", "str_replace", "str_ireplace"), 3),
}
"""Functions that only compute, each with the most arguments with which that is true."""
_QUIET: Final = """
date_default_timezone_set error_log error_reporting header header_remove http_response_code
ignore_user_abort set_time_limit umask
"""
HARMLESS: Final = frozenset(_QUIET.split())
_INI: Final = re.compile(
    r"(display(_startup)?|log|html)_errors|error_(log|reporting)|memory_limit|max_input_vars"
    r"|max_(execution|input)_time|post_max_size|upload_max_filesize|default_socket_timeout"
    r"|date\.timezone|(session|opcache|pcre|zlib|mysqli)\.\w+"
)
"""Settings of PHP whose change no configuration can see."""
DOCKER: Final = "getenv_docker"
DOCKER_FUNCTION: Final = r"""<?php
function getenv_docker($env, $default) {
    if ($fileEnv = getenv($env . '_FILE')) {
        return rtrim(file_get_contents($fileEnv), "\r\n");
    } else if (($val = getenv($env)) !== false) {
        return $val;
    } else {
        return $default;
    }
}
"""
"""The one function declared by a configuration that the reader knows: that of the Docker image."""


def call(scope: Scope, name: str, arguments: Sequence[Value], line: int) -> Value:
    """Call a function of PHP, or that of the Docker image. NotKnown if its effect is unknown."""
    short = name.lower()
    known = _COMPUTED.get(short)
    if short == DOCKER and scope.get(FUNCTION, DOCKER) is True:
        known = _getenv_docker
    if known is not None:
        return _computed(scope, name, known, arguments, line)
    quiet = short == "ini_set" and arguments and _INI.fullmatch(str(arguments[0]))
    if quiet or short in HARMLESS or len(arguments) <= PURE.get(short, -1):
        return scope.unknown(line, f"it calls {name}(), which only PHP can")
    raise scope.not_known(line, f"it calls {name}(), whose effect only PHP knows")


def is_known(name: str) -> bool:
    """Tell whether PHP certainly has a function of this name."""
    short = name.lower()
    return short in _COMPUTED or short in PURE or short in HARMLESS


def _computed(
    scope: Scope, name: str, function: Callable[..., Value], given: Sequence[Value], line: int
) -> Value:
    setting = function is _define
    unknown = next((value for value in given if isinstance(value, Unknown)), None)
    try:
        if unknown is None or (setting and not isinstance(given[0], Unknown)):
            return function(scope, line, *given)
    except (TypeError, ValueError, Unusual):
        unknown = scope.unknown(line, f"it calls {name}() in an unusual way")
    if setting:
        raise scope.not_known(line, f"what it defines cannot be told: {unknown.why}")
    return unknown


def _text(value: Value) -> str:
    """Return an argument that is a text. Unusual if PHP would have to convert it."""
    if not isinstance(value, str):
        raise Unusual
    return value


def _define(scope: Scope, line: int, name: Value, value: Value) -> Value:
    return scope.define(_text(name), value, line)


def _defined(scope: Scope, line: int, name: Value) -> Value:
    if not re.fullmatch(r"\w+", _text(name)):
        raise Unusual
    return scope.is_defined(_text(name), line)


def _getenv(scope: Scope, line: int, name: Value, _local: Value = None) -> Value:
    return scope.environment_variable(_text(name), line)


def _getenv_docker(scope: Scope, line: int, name: Value, default: Value) -> Value:
    file = scope.environment_variable(f"{_text(name)}_FILE", line)
    if isinstance(file, Unknown):
        return file
    if truthy(file):
        text = _file_get_contents(scope, line, file)
        return text.rstrip("\r\n") if isinstance(text, str) else text
    value = scope.environment_variable(_text(name), line)
    return default if value is False else value


def _function_exists(scope: Scope, line: int, name: Value) -> Value:
    short = _text(name).lower()
    if short == DOCKER:
        declared = scope.get(FUNCTION, DOCKER)
        return declared if isinstance(declared, Unknown) else declared is True
    return is_known(short) or scope.unknown(line, f"whether there is a {name}() depends on PHP")


def _place(value: Value) -> str:
    """Return an absolute path. Unusual for one that PHP would look up in its working folder."""
    path = _text(value)
    if not path.startswith("/") or "\0" in path:
        raise Unusual
    return path


def status(path: str) -> os.stat_result | None:
    """Return what ``stat`` says, or None if nothing is there. Unusual if we may not look."""
    try:
        return Path(path).stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError:
        raise Unusual from None


def _is_there(_scope: Scope, _line: int, path: Value) -> Value:
    found = status(_place(path))
    if found is not None and not (stat.S_ISREG(found.st_mode) and os.access(str(path), os.R_OK)):
        raise Unusual
    return found is not None


def _file_get_contents(scope: Scope, line: int, path: Value) -> Value:
    try:
        found = Path(_place(path)).stat()
        if not stat.S_ISREG(found.st_mode) or not 0 < found.st_size <= _MAX_BYTES:
            raise Unusual
        return from_bytes(Path(str(path)).read_bytes())
    except OSError:
        return scope.unknown(line, "a file it reads cannot be read from here")


def _dirname(_scope: Scope, _line: int, path: Value, levels: Value = 1) -> Value:
    text = _text(path)
    if type(levels) is not int or levels < 1 or not re.fullmatch("(/[^/]+)+", text):
        raise Unusual
    for _ in range(min(levels, len(text))):
        text = posixpath.dirname(text)
    return text


def _trim(strip: Callable[[str, str], str]) -> Callable[..., Value]:
    def trim(_scope: Scope, _line: int, text: Value, cut: Value = " \n\r\t\v\0") -> Value:
        if ".." in _text(cut) or not _text(cut).isascii():
            raise Unusual
        return strip(_text(text), _text(cut))

    return trim


_COMPUTED: Final[Mapping[str, Callable[..., Value]]] = {
    "define": _define,
    "defined": _defined,
    "dirname": _dirname,
    "file_exists": _is_there,
    "file_get_contents": _file_get_contents,
    "function_exists": _function_exists,
    "getenv": _getenv,
    "is_file": _is_there,
    "is_readable": _is_there,
    "ltrim": _trim(str.lstrip),
    "rtrim": _trim(str.rstrip),
    "trim": _trim(str.strip),
}
