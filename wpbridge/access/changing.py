"""Add, rotate and revoke API keys. Each change is noted in the audit table with who made it."""

from typing import Final

from wpbridge.access.keys import Allowed, Key, check_name, new_key
from wpbridge.errors import InputError
from wpbridge.site.moments import parse_duration
from wpbridge.store.opened import OpenStore
from wpbridge.store.rows.api_keys import ApiKeyRecord

_LONGEST_SECONDS: Final = 3650 * 86_400


def add(
    store: OpenStore,
    name: str,
    allowed: Allowed,
    *,
    expires: str | None,
    who: str,
    dry_run: bool = False,
) -> Key:
    """Add a key and return it. Nothing else can ever return its secret.

    Args:
        store: the site's.
        name: of the key.
        allowed: what it may do.
        expires: after which time it ends, such as ``90d``; None for never.
        who: for the audit table.
        dry_run: check everything, and change nothing.

    Raises:
        InputError: the name is none, or there is a key of it; or the time is none.
    """
    check_name(name)
    seconds = None if expires is None else span_seconds(expires, "--expires", least=1)
    key = new_key(name)
    if dry_run:
        if (there := store.api_keys.find(name)) is not None:
            store.api_keys.refuse_taken(there)
        return key
    rights = allowed.as_json()
    store.api_keys.add(name, key.hash, rights=rights, expires_seconds=seconds, who=who)
    return key


def rotate(
    store: OpenStore,
    name: str,
    *,
    keep_old: str,
    expires: str | None,
    who: str,
    dry_run: bool = False,
) -> tuple[Key, int]:
    """Give a key a new secret; return the key, and for how many seconds the old one still counts.

    With ``dry_run``, everything is checked and nothing is changed.

    Raises:
        InputError: there is no such key, it has ended, or a time is none.
        Contention: another process has changed it meanwhile.
    """
    keep_seconds = span_seconds(keep_old, "--keep-old", least=0)
    seconds = None if expires is None else span_seconds(expires, "--expires", least=1)
    there = known(store, name)
    if there.revoked_at is not None:
        raise InputError(f"the API key {name} was revoked: add one with another name")
    if there.is_expired and seconds is None:
        raise InputError(f"the API key {name} has expired: give it a new end with --expires")
    key = new_key(name)
    if not dry_run:
        store.api_keys.rotate(
            name,
            key.hash,
            expected=there.secret_hash,
            keep_seconds=keep_seconds,
            expires_seconds=seconds,
            who=who,
        )
    return key, keep_seconds


def known(store: OpenStore, name: str) -> ApiKeyRecord:
    """Return the key of a name. InputError where there is none."""
    there = store.api_keys.find(name)
    if there is None:
        raise InputError(f"there is no API key {name!r}: look with `wpbridge keys list`")
    return there


def span_seconds(told: str, option: str, *, least: int) -> int:
    """Return a span of time in whole seconds. InputError for what is none, or is too long."""
    seconds = parse_duration(told, option).total_seconds()
    if not least <= seconds <= _LONGEST_SECONDS:
        raise InputError(f"{option}: from {least} seconds to 3650 days, not {told!r}")
    return int(seconds)
