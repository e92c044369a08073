"""Add, change and remove users of the dashboard. Each change is audited with who made it."""

import re
from typing import Final

from wpbridge.access import user_hashes
from wpbridge.errors import InputError
from wpbridge.site.rules import ROLES, Role
from wpbridge.store.opened import OpenStore
from wpbridge.store.rows.users import UserRecord

NAME_RULE: Final = "1 to 100 of the characters a-z, 0-9 and . _ @ + -"
PASSWORD_CHARACTERS: Final = user_hashes.MOST_CHARACTERS
"""No password is longer."""
_NAME: Final = re.compile(r"[a-z0-9._@+-]{1,100}", re.ASCII)


def add(
    store: OpenStore, name: str, password: str, *, role: str, who: str, dry_run: bool = False
) -> None:
    """Add a user. With ``dry_run``, everything is checked and nothing is changed.

    Raises:
        InputError: the name, the password or the role is none, or there is a user of the name.
        ConfigError: argon2-cffi is not installed.
    """
    check_new(store, name, role)
    user_hashes.check_new(password)
    password_hash = user_hashes.hashed(password)
    if not dry_run:
        store.users.add(name, password_hash, role=role, who=who)


def check_new(store: OpenStore, name: str, role: str) -> None:
    """Raise InputError where no user of this name and role can be added."""
    if not _NAME.fullmatch(name):
        raise InputError(f"the name of a user is {NAME_RULE}, not {name!r}")
    role_of(role)
    if store.users.find(name) is not None:
        raise InputError(f"there is a user {name} already: choose another name")


def check_password(password: str) -> None:
    """Raise InputError for a text that no password may be. The message does not show it."""
    user_hashes.check_new(password)


def set_password(
    store: OpenStore, name: str, password: str, *, who: str, dry_run: bool = False
) -> None:
    """Give a user another password. The user's sessions end.

    Raises:
        InputError: the password is none, or there is no such user.
        ConfigError: argon2-cffi is not installed.
    """
    known(store, name)
    user_hashes.check_new(password)
    password_hash = user_hashes.hashed(password)
    if not dry_run and not store.users.set_password(name, password_hash, who=who):
        known(store, name)


def set_role(store: OpenStore, name: str, role: str, *, who: str, dry_run: bool = False) -> None:
    """Give a user another role. The user's sessions go on with it.

    Raises:
        InputError: there is no such role or user.
    """
    known(store, name)
    new = role_of(role)
    if not dry_run and not store.users.set_role(name, new, who=who):
        known(store, name)


def remove(store: OpenStore, name: str, *, who: str) -> None:
    """Remove a user. The user's sessions end.

    Raises:
        InputError: there is no such user.
    """
    if not store.users.remove(name, who=who):
        known(store, name)


def known(store: OpenStore, name: str) -> UserRecord:
    """Return the user of a name. InputError where there is none."""
    there = store.users.find(name)
    if there is None:
        raise InputError(f"there is no user {name!r}: look with `wpbridge users list`")
    return there


def role_of(told: str) -> Role:
    """Return a role. InputError for what is none."""
    found = next((role for role in ROLES if role == told), None)
    if found is None:
        raise InputError(f"a role is one of {', '.join(ROLES)}, not {told!r}")
    return found
