"""Tokens for browsers: JWT of at most 15 minutes, for one job (to read) or one action (a ticket).

They are signed with HS256 by keys that are derived from the site's signing secret, one for each
use. So a token of one use is worth nothing for the other, and none is worth anything on another
site. The companion plugin mints the same tickets in PHP (``wpbridge_ticket()``).

PyJWT belongs to the extra ``web``. It is loaded when the first token is made or read.
"""

import functools
import re
import secrets
from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType, ModuleType
from typing import Any, Final

from wpbridge.access.caller import Caller, NotKnown
from wpbridge.access.tickets import Ticket, args_hash
from wpbridge.clock import Clock, SystemClock
from wpbridge.codec.signing import Use
from wpbridge.errors import ConfigError, InputError, SiteError
from wpbridge.site.moments import seconds_of
from wpbridge.store.opened import OpenStore

MOST_SECONDS: Final = 900
"""No token lives longer."""
TICKET_KEY_NAME: Final = "ticket:"
"""Jobs that are added with a ticket belong to this name."""
ISSUER: Final = "wpbridge"
_ALGORITHM: Final = "HS256"
_SKEW_SECONDS: Final = 10
"""The clock of the host that minted a token may be ahead of ours by so much."""
_AGES: Final = (5.0, 1.0)
"""A rotation of the signing secret counts after so many seconds. A secret that was made just now is
looked for once more."""
_MOST_CHARACTERS: Final = 8192
_UUID: Final = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.ASCII)
_ID: Final = re.compile(r"[A-Za-z0-9_-]{8,128}", re.ASCII)
_TIMES: Final = ("exp", "iat")
_REFUSAL: Final = "the token is not valid, or has expired"


def job_token(store: OpenStore, uuid: str, *, seconds: object = 600, now: datetime) -> str:
    """Return a token with which one job can be read, and nothing else.

    Args:
        store: the site's.
        uuid: of the job.
        seconds: how long it counts: a number, a timedelta or a text such as ``10m``.
        now: the present time, aware.

    Raises:
        InputError: the uuid is none, or the time is too long.
        ConfigError: PyJWT is not installed.
        SiteError: the site has no signing secret, and this account cannot make one.
    """
    if not _UUID.fullmatch(uuid):
        raise InputError(f"job: the id of a job, such as 01893d3e-…, not {uuid!r}")
    return _minted(store, "job-token", {"job": uuid}, seconds, now)


def ticket(
    store: OpenStore,
    hook: str,
    args: Any = (),
    *,
    group: str = "",
    seconds: object = 600,
    now: datetime,
) -> str:
    """Return a ticket: a token with which one action can be enqueued, once.

    Args:
        store: the site's.
        hook: of the action, already checked.
        args: its args. The ticket has a hash of them.
        group: its group, already checked; empty for none.
        seconds: how long it counts.
        now: the present time, aware.

    Raises:
        InputError, ConfigError, SiteError: as :func:`job_token`.
    """
    claims = {
        "hook": hook,
        "group": group,
        "args_sha256": args_hash(args),
        "jti": secrets.token_hex(16),
    }
    return _minted(store, "ticket", claims, seconds, now)


class Tokens:
    """Reads the tokens of one site. One thread at a time may use it, as its store."""

    def __init__(self, store: OpenStore, clock: Clock | None = None) -> None:
        self._store = store
        self._clock = clock or SystemClock()

    def caller(self, text: str) -> Caller:
        """Return the caller that a token stands for.

        Raises:
            NotKnown: it is not one of this site's, or it does not count now.
            ConfigError: PyJWT is not installed.
        """
        if len(text) > _MOST_CHARACTERS or not text.isascii():
            raise NotKnown(_REFUSAL)
        for age in _AGES:
            for use, read in _READ.items():
                found = signed_claims(self._store, text, use, max_age_seconds=age)
                if found is not None:
                    check_times(found, self._clock.now(), most_seconds=MOST_SECONDS)
                    return read(found)
        raise NotKnown(_REFUSAL)


def claims_of(store: OpenStore, text: str, use: Use) -> dict[str, Any]:
    """Return what a text says that one of the site's keys of a use has signed, for this site.

    Its times are not compared: :func:`check_times`.

    Raises:
        NotKnown: there is no such signature on it.
        ConfigError: PyJWT is not installed.
    """
    if len(text) > _MOST_CHARACTERS or not text.isascii():
        raise NotKnown(_REFUSAL)
    for age in _AGES:
        found = signed_claims(store, text, use, max_age_seconds=age)
        if found is not None:
            return found
    raise NotKnown(_REFUSAL)


def signed_claims(
    store: OpenStore, text: str, use: Use, *, max_age_seconds: float
) -> dict[str, Any] | None:
    """Return what a text says; None where none of the keys of this use has signed it.

    Raises:
        NotKnown: it is signed, and does not count all the same.
    """
    jwt, site_id = _jwt(), _site_id(store)
    # The times are compared with one clock and with one rule.
    options = {
        "require": ["aud", "iat", "iss"],
        **{f"verify_{name}": False for name in ("exp", "iat", "nbf", "sub", "jti")},
    }
    for key in store.signing.keys(use, max_age_seconds=max_age_seconds):
        try:
            claims: dict[str, Any] = jwt.decode(
                text,
                key,
                algorithms=[_ALGORITHM],
                audience=site_id,
                issuer=ISSUER,
                options=options,
            )
        except jwt.InvalidSignatureError:
            continue
        except jwt.PyJWTError:
            raise NotKnown(_REFUSAL) from None
        return claims
    return None


def check_times(claims: dict[str, Any], now: datetime, *, most_seconds: int) -> None:
    """Compare the times of a token: it counts now, and for no longer than this in all.

    Raises:
        NotKnown: it does not, or a time is missing.
    """
    names = (*_TIMES, "nbf") if "nbf" in claims else _TIMES
    if any(type(claims.get(name)) is not int for name in names):
        raise NotKnown(_REFUSAL)
    at = now.timestamp()
    is_early = max(claims["iat"], claims.get("nbf", 0)) > at + _SKEW_SECONDS
    is_long = not 0 < claims["exp"] - claims["iat"] <= most_seconds
    if is_early or is_long or claims["exp"] <= at:
        raise NotKnown(_REFUSAL)


def _reader(claims: dict[str, Any]) -> Caller:
    uuid = claims.get("job")
    if not isinstance(uuid, str) or not _UUID.fullmatch(uuid):
        raise NotKnown(_REFUSAL)
    return Caller(name=f"job:{uuid}", key_name="", rights=frozenset({"read"}), only_job=uuid)


def _enqueuer(claims: dict[str, Any]) -> Caller:
    told = {name: claims.get(name) for name in ("hook", "group", "args_sha256", "jti")}
    texts = {name: value for name, value in told.items() if isinstance(value, str)}
    if len(texts) != len(told) or not texts["hook"] or not _ID.fullmatch(texts["jti"]):
        raise NotKnown(_REFUSAL)
    made = Ticket(
        hook=texts["hook"],
        group=texts["group"],
        args_hash=texts["args_sha256"],
        id=texts["jti"],
    )
    return Caller(
        name=f"ticket:{made.id}",
        key_name=TICKET_KEY_NAME,
        rights=frozenset({"enqueue"}),
        ticket=made,
    )


_READ: Final[Mapping[Use, Callable[[dict[str, Any]], Caller]]] = MappingProxyType(
    {"job-token": _reader, "ticket": _enqueuer}
)
"""The uses of what callers send, and how each is read."""


def _minted(
    store: OpenStore, use: Use, claims: dict[str, Any], seconds: object, now: datetime
) -> str:
    span = seconds_of(seconds)
    if span is None or not 1 <= span <= MOST_SECONDS:
        raise InputError(f"a token counts from 1 second to 15 minutes, not {seconds!r}")
    return signed(store, use, claims, int(span), now)


def signed(store: OpenStore, use: Use, claims: dict[str, Any], seconds: int, now: datetime) -> str:
    """Return claims that are signed for a use and that count for so many seconds.

    Raises:
        ConfigError: PyJWT is not installed.
        SiteError: the site has no signing secret, and this account cannot make one.
    """
    keys = store.signing.keys(use)
    if not keys:
        raise SiteError(
            "the site has no signing secret, and this account cannot make one: run `wpbridge init`"
            " with an account that may"
        )
    at = int(now.timestamp())
    whole = {"iss": ISSUER, "aud": _site_id(store), "iat": at, "exp": at + seconds, **claims}
    return str(_jwt().encode(whole, keys[0], algorithm=_ALGORITHM))


def _site_id(store: OpenStore) -> str:
    facts = store.own.facts
    if facts is None:
        raise SiteError(
            f"the site has no id yet, since there is no table {store.names.site}: run `wpbridge"
            " init` with an account that may create tables"
        )
    return facts.site_id


@functools.cache
def _jwt() -> ModuleType:
    try:
        import jwt  # noqa: PLC0415 - only the gateway and whoever mints tokens need it
    except ImportError:
        raise ConfigError("tokens need PyJWT: run pip install 'wpbridge[web]'") from None
    return jwt
