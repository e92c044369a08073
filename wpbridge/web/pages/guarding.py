"""From where a page may be asked for, and from where it may be changed."""

import ipaddress
import re
from collections.abc import Collection
from typing import Final
from urllib.parse import urlsplit

from starlette.requests import Request

from wpbridge.site.config import Settings
from wpbridge.site.web_kinds import Listen

_HOST: Final = re.compile(r"(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?")
"""A name or an address, perhaps with a port: nothing that two programs may read in two ways."""


def hosts_of(settings: Settings) -> frozenset[str]:
    """Return the names by which browsers may ask for the dashboard, in lower case."""
    found = {"localhost", *settings.web_hosts}
    listen = Listen.of(settings.web_listen)
    if listen.socket is None:
        found.add(listen.host.lower())
    if settings.web_url:
        found.add((urlsplit(settings.web_url).hostname or "").lower())
    return frozenset(found - {""})


def is_own_host(request: Request, hosts: Collection[str]) -> bool:
    """Tell whether a browser has asked for this host by a name that was allowed.

    Somebody else's name may be made to lead here (DNS rebinding), and a page of that name could
    then read ours. An address is nobody's name.
    """
    given = request.headers.getlist("host")
    if len(given) != 1:
        return False
    whole = given[0].lower()
    if not _HOST.fullmatch(whole):
        return False
    try:
        name = urlsplit(f"//{whole}").hostname or ""
    except ValueError:
        return False
    return whole in hosts or name in hosts or _is_address(name)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def is_own_page(request: Request, settings: Settings, *, lets_programs_in: bool = False) -> bool:
    """Tell whether a change was sent by a page of ours.

    ``Sec-Fetch-Site`` says so, which no page can forge. A browser that does not send it says in
    ``Origin`` which page it was. Who sends neither is no browser of these years; only with
    ``lets_programs_in`` it is let in, where nobody is signed in yet.
    """
    fetched = request.headers.getlist("sec-fetch-site")
    origins = request.headers.getlist("origin")
    if len(fetched) > 1 or len(origins) > 1:
        return False
    if origins and not _is_own_origin(origins[0], request, settings):
        return False
    if fetched:
        return fetched[0] == "same-origin"
    return bool(origins) or lets_programs_in


def _is_own_origin(origin: str, request: Request, settings: Settings) -> bool:
    host = request.headers.get("host", "").lower()
    own = {f"http://{host}", f"https://{host}"}
    if settings.web_url:
        parts = urlsplit(settings.web_url)
        own.add(f"{parts.scheme}://{parts.netloc}".lower())
    return origin.lower() in own
