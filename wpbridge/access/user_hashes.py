"""Hashes of the passwords of users of the dashboard: argon2id.

People choose these passwords, so a hash must be slow and take much memory. That would also let
strangers fill this host's memory, so a process compares few at once. ``argon2-cffi`` belongs to the
extra ``web``, and is loaded when the first password is hashed.
"""

import contextlib
import functools
import secrets
import threading
import unicodedata
from collections.abc import Iterator
from types import ModuleType
from typing import Any, Final

from wpbridge.access.caller import TooMany
from wpbridge.errors import ConfigError, InputError

LEAST_CHARACTERS: Final = 10
MOST_CHARACTERS: Final = 1000
_AT_ONCE: Final = 2
"""So many passwords are compared at once in this process."""
_PLACES: Final = 4
"""So many may compare or wait for it. Others are refused at once, since each holds a thread."""
_RETRY_SECONDS: Final = 2.0
_MEMORY_KIB: Final = 32 * 1024
_TIMES: Final = 3
_LANES: Final = 1
_MOST_MEMORY_KIB: Final = 256 * 1024
_MOST_TIMES: Final = 16
_MOST_LANES: Final = 16
_turns: Final = threading.BoundedSemaphore(_AT_ONCE)
_places: Final = threading.BoundedSemaphore(_PLACES)


def check_new(password: str) -> None:
    """Raise InputError for a text that no password may be. The message does not show it."""
    if not LEAST_CHARACTERS <= len(password) <= MOST_CHARACTERS:
        raise InputError(
            f"a password has {LEAST_CHARACTERS} to {MOST_CHARACTERS:,} characters, not"
            f" {len(password):,}"
        )
    told = _plain(password)
    if told is None or not told.isprintable():
        raise InputError("a password is one line of UTF-8 without control characters")


def hashed(password: str) -> str:
    """Return a new hash of a password that was checked.

    Raises:
        ConfigError: argon2-cffi is not installed.
    """
    return str(_hasher().hash(_plain(password) or ""))


@contextlib.contextmanager
def turn() -> Iterator[None]:
    """Wait until this process compares few enough passwords.

    Raises:
        TooMany: too many others wait.
    """
    if not _places.acquire(blocking=False):
        raise TooMany("too many people sign in at once", retry_after_seconds=_RETRY_SECONDS)
    try:
        with _turns:
            yield
    finally:
        _places.release()


def fits(password: str, stored: str | None) -> bool:
    """Tell whether a password fits a stored hash; None for nobody's.

    It takes about as long where there is no hash, or none that can be read. Call it in a
    :func:`turn`.

    Raises:
        ConfigError: argon2-cffi is not installed.
    """
    nobody = _nobodys_hash()
    told = _plain(password)
    is_real = bool(told) and stored is not None and _is_readable(stored)
    errors = _argon2().exceptions
    try:
        _hasher().verify(stored if is_real else nobody, told or "")
    except (errors.VerificationError, errors.InvalidHashError):
        return False
    return is_real


def is_outdated(stored: str) -> bool:
    """Tell whether a hash was made with other parameters than a new one would be."""
    return bool(_hasher().check_needs_rehash(stored))


def _plain(password: str) -> str | None:
    """Return a password in one spelling; None for what is no text, or is too long.

    Keyboards and systems write the same letter in several ways.
    """
    try:
        password.encode()
    except UnicodeEncodeError:
        return None
    return unicodedata.normalize("NFKC", password) if len(password) <= MOST_CHARACTERS else None


def _is_readable(stored: str) -> bool:
    """Tell whether a hash is one of ours, whose comparison does not keep this host busy."""
    if not stored.isascii():
        return False
    try:
        told = _argon2().extract_parameters(stored)
    except _argon2().exceptions.InvalidHashError:
        return False
    return bool(
        told.type is _argon2().Type.ID
        and told.memory_cost <= _MOST_MEMORY_KIB
        and told.time_cost <= _MOST_TIMES
        and told.parallelism <= _MOST_LANES
    )


@functools.cache
def _nobodys_hash() -> str:
    """Return a hash that is compared where there is no user. No password has it."""
    return str(_hasher().hash(secrets.token_hex(32)))


@functools.cache
def _hasher() -> Any:
    return _argon2().PasswordHasher(time_cost=_TIMES, memory_cost=_MEMORY_KIB, parallelism=_LANES)


@functools.cache
def _argon2() -> ModuleType:
    try:
        import argon2  # noqa: PLC0415 - only the gateway and `wpbridge users` need it
    except ImportError:
        raise ConfigError(
            "passwords of users need argon2-cffi: run pip install 'wpbridge[web]'"
        ) from None
    return argon2
