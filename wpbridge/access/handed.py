"""What the companion plugin hands on: logins of wp-admin, and whole requests.

Both are JWT (HS256) that it signs with keys derived from the site's signing secret, one for each
use. Each has an id and counts once, for all processes of all hosts: the table of nonces knows which
ones were used. A header of a forwarded request names all of that request, so it fits no other.
"""

import hashlib
import hmac
import ipaddress
import re
from datetime import datetime
from typing import Any, Final

from wpbridge.access.caller import NotKnown
from wpbridge.access.person import Forwarded, Person, known_person
from wpbridge.access.tokens import check_times, claims_of
from wpbridge.codec.signing import Use
from wpbridge.store.opened import OpenStore

LOGIN_SECONDS: Final = 60
"""No login lasts longer."""
FORWARD_SECONDS: Final = 30
"""So far the clock of PHP's host may be from ours, and so long a forwarded request may take."""
READING: Final = frozenset({"GET", "HEAD"})
"""Methods that change nothing."""
NO_ENTRY: Final = "the link is not valid, was used before or has expired: open the page once more"
NO_FORWARD: Final = "the request was not handed on by this site"
_ID: Final = re.compile(r"[A-Za-z0-9_-]{16,128}", re.ASCII)
_BASE: Final = re.compile(r"(?:/(?!\.\.?(?:/|$))(?:[A-Za-z0-9._~-]|%[0-9A-Fa-f]{2})+)*", re.ASCII)
_CSRF: Final = re.compile(r"[A-Za-z0-9_-]{1,128}", re.ASCII)
_BASE_CHARACTERS: Final = 255


def person_of_login(store: OpenStore, token: str, now: datetime) -> Person:
    """Return who comes from wp-admin with a login. It counts no more.

    Raises:
        NotKnown: it is none of this site's, does not count now, or was used before.
    """
    claims = _signed(store, token, "login", NO_ENTRY)
    try:
        check_times(claims, now, most_seconds=LOGIN_SECONDS)
    except NotKnown:
        raise NotKnown(NO_ENTRY) from None
    person = known_person("wordpress", _text(claims, "sub"), claims.get("role"))
    if person is None:
        raise NotKnown(NO_ENTRY)
    _use_once(store, "login", claims, NO_ENTRY)
    return person


def forwarded_of(
    store: OpenStore,
    header: str,
    now: datetime,
    *,
    method: str,
    path: str,
    query: str,
    body: bytes,
) -> Forwarded:
    """Return who has sent a request that the companion plugin hands on. The header counts no more.

    Raises:
        NotKnown: as for a login; or it was made for another request; or the request changes
            something and nobody has checked that the person meant it.
    """
    claims = _signed(store, header, "forward", NO_FORWARD)
    digest = hashlib.sha256(body).hexdigest()
    wanted = {"method": method, "path": path, "query": query, "body_sha256": digest}
    is_same = [_is_same(_text(claims, name), value) for name, value in wanted.items()]
    is_whole = all(isinstance(claims.get(name), str) for name in (*wanted, "base", "csrf"))
    iat, checked, base = claims["iat"], claims.get("checked"), _text(claims, "base")
    is_now = type(iat) is int and abs(now.timestamp() - iat) <= FORWARD_SECONDS
    has_ended = "exp" in claims and not _is_after(claims["exp"], now)
    person = known_person("site", _text(claims, "sub"), claims.get("role"))
    is_allowed = checked is True or (checked is False and method in READING)
    is_base = len(base) <= _BASE_CHARACTERS and _BASE.fullmatch(base) is not None
    csrf = _text(claims, "csrf")
    is_told = is_whole and is_base and _CSRF.fullmatch(csrf) is not None
    if person is None or has_ended or not (all(is_same) and is_now and is_allowed and is_told):
        raise NotKnown(NO_FORWARD)
    _use_once(store, "forward", claims, NO_FORWARD)
    return Forwarded(
        person=person,
        base_path=base,
        csrf=csrf,
        is_checked=checked is True,
        address=_address(_text(claims, "address")),
    )


def _signed(store: OpenStore, text: str, use: Use, refusal: str) -> dict[str, Any]:
    try:
        return claims_of(store, text, use)
    except NotKnown:
        raise NotKnown(refusal) from None


def _use_once(store: OpenStore, use: Use, claims: dict[str, Any], refusal: str) -> None:
    told = _text(claims, "jti")
    if not _ID.fullmatch(told):
        raise NotKnown(refusal)
    if not store.nonces.use(hashlib.sha256(f"{use} {told}".encode()).hexdigest()):
        raise NotKnown(refusal)


def _text(claims: dict[str, Any], name: str) -> str:
    """Return a claim; empty for what is missing or is no text."""
    told = claims.get(name)
    return told if isinstance(told, str) else ""


def _address(told: str) -> str:
    """Return an address as it is written; empty for what is none."""
    try:
        return str(ipaddress.ip_address(told))
    except ValueError:
        return ""


def _is_same(told: str, wanted: str) -> bool:
    return hmac.compare_digest(
        told.encode(errors="surrogatepass"), wanted.encode(errors="surrogatepass")
    )


def _is_after(seconds: object, now: datetime) -> bool:
    return type(seconds) is int and seconds > now.timestamp()
