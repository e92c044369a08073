"""API keys: how they are made, written, hashed and compared; pure.

A key is ``wpb_NAME_SECRET``. Its secret has 256 random bits, so its plain SHA-256 cannot be turned
round, and is what the table holds. The name has no underscore, so the text splits at its last one.
"""

import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from wpbridge.access.caller import Caller
from wpbridge.access.hosts import plain_host
from wpbridge.dataclass import dataclass
from wpbridge.errors import InputError
from wpbridge.site.rules import RIGHTS, Rate, Right, rate_of, rate_text
from wpbridge.store.rows.api_keys import ApiKeyRecord

NAME_RULE: Final = "1 to 64 of the characters a-z, 0-9 and -"
_NAME: Final = re.compile(r"[a-z0-9-]{1,64}", re.ASCII)
_KEY: Final = re.compile(r"wpb_([a-z0-9-]{1,64})_([0-9a-f]{64})", re.ASCII)
_SECRET_BYTES: Final = 32
_NO_HASH: Final = "0" * 64
"""Compared where there is no key of the name. No secret has it."""


class Key(NamedTuple):
    """An API key in its two parts."""

    name: str
    secret: str

    @property
    def text(self) -> str:
        """Return the whole key, as its holder has it."""
        return f"wpb_{self.name}_{self.secret}"

    @property
    def hash(self) -> str:
        """Return the SHA-256 of its secret."""
        return hashlib.sha256(self.secret.encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """What a key allows. Nothing is allowed that is not named."""

    rights: tuple[Right, ...] = ()
    hooks: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    rate: Rate | None = None
    callback_hosts: tuple[str, ...] = ()

    def as_json(self) -> str:
        """Return it as the table holds it."""
        told = {
            "allow": list(self.rights),
            "hooks": list(self.hooks),
            "groups": list(self.groups),
            "rate": rate_text(self.rate),
            "callback_hosts": list(self.callback_hosts),
        }
        return json.dumps(told, ensure_ascii=True)


def new_key(name: str) -> Key:
    """Return a new key of a name."""
    return Key(name, secrets.token_hex(_SECRET_BYTES))


def parsed(text: str) -> Key | None:
    """Return the parts of a key; None for a text that is none."""
    match = _KEY.fullmatch(text)
    return None if match is None else Key(match[1], match[2])


def is_valid(key: Key, record: ApiKeyRecord | None) -> bool:
    """Tell whether a key is that of a row, and may be used now.

    The comparison takes the same time for each secret, and for names that are not there.
    """
    hashes = record.hashes if record is not None and record.name == key.name else ()
    found = [hmac.compare_digest(key.hash, one) for one in (hashes or (_NO_HASH,))]
    return any(found)


def caller_of(record: ApiKeyRecord) -> Caller:
    """Return the caller that a row describes. What cannot be read in it allows nothing."""
    allowed = read_allowed(record.rights)
    return Caller(
        name=f"key:{record.name}",
        key_name=record.name,
        rights=frozenset(allowed.rights),
        hooks=allowed.hooks,
        groups=allowed.groups,
        rate=allowed.rate,
        callback_hosts=allowed.callback_hosts,
    )


def read_allowed(text: str) -> Allowed:
    """Read what a row allows. A row that somebody has damaged allows nothing at all."""
    try:
        told: Any = json.loads(text)
        rate = told["rate"]
        return Allowed(
            rights=tuple(right for right in RIGHTS if right in told["allow"]),
            hooks=_texts(told["hooks"]),
            groups=_texts(told["groups"]),
            rate=None if rate is None else rate_of(rate),
            callback_hosts=_texts(told["callback_hosts"]),
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        return Allowed()


def check_name(name: str) -> None:
    """Raise InputError for a name that no key may have."""
    if not _NAME.fullmatch(name):
        raise InputError(f"the name of an API key is {NAME_RULE}, not {name!r}")


def check_allowed(
    *,
    rights: Sequence[str],
    hooks: Sequence[str],
    groups: Sequence[str],
    rate: str | None,
    callback_hosts: Sequence[str],
) -> Allowed:
    """Return what a new key is to allow. InputError says what is wrong with it."""
    unknown = [right for right in rights if right not in RIGHTS]
    if unknown or not rights:
        told = f", not {unknown[0]!r}" if unknown else ""
        raise InputError(f"--allow: {', '.join(RIGHTS)}, one or more of them{told}")
    adds = "enqueue" in rights
    if adds and not hooks:
        raise InputError("--hooks: name the hooks that it may enqueue, or '*' for all of them")
    for name, given in (("hooks", hooks), ("groups", groups), ("callback-hosts", callback_hosts)):
        if given and not adds:
            raise InputError(f"--{name} is for keys that may enqueue: add enqueue to --allow")
    if any(not hook for hook in hooks) or any(not group for group in groups):
        raise InputError("--hooks and --groups: a pattern is not empty")
    hosts = [plain_host(host) for host in callback_hosts]
    for host, plain in zip(callback_hosts, hosts, strict=True):
        if plain is None:
            raise InputError(
                f"--callback-hosts: names or addresses without scheme, port and path, not {host!r}"
            )
    return Allowed(
        rights=tuple(right for right in RIGHTS if right in rights),
        hooks=tuple(hooks),
        groups=tuple(groups),
        rate=None if rate is None else _rate(rate),
        callback_hosts=tuple(host for host in hosts if host),
    )


def _rate(told: str) -> Rate:
    try:
        return rate_of(told)
    except ValueError:
        raise InputError(
            f"--rate: so many in a time, such as 100/s or 6000/m, not {told!r}"
        ) from None


def _texts(told: Any) -> tuple[str, ...]:
    if not isinstance(told, list) or not all(isinstance(one, str) for one in told):
        raise TypeError
    return tuple(told)
