"""The entrance: how the people of a site come from WordPress into the dashboard; pure.

It is a part of the configuration of the companion plugin, whose file
:mod:`wpbridge.plugin.companion_file` reads and writes.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from wpbridge.dataclass import dataclass
from wpbridge.site.config import Settings
from wpbridge.site.rules import ROLES, WORDPRESS_PEOPLE, Role
from wpbridge.site.web_kinds import Listen

_EVERYWHERE: Final = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - only compared
"""Hosts that stand for all addresses, and the loopback address that is one of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrance:
    """How the people of one site come from WordPress into the dashboard."""

    url: str | None = None
    """The dashboard's own address, without a slash at its end. None if it has none."""
    on_site: bool = False
    """Whether the dashboard is shown at ``/wpbridge/`` of the site's own address."""
    server: str = ""
    """Where PHP reaches `wpbridge serve`: ``tcp://`` and a loopback address, or ``unix://`` and a
    path. Empty where it need not, or cannot."""
    base_path: str = ""
    """What stands before the dashboard's paths there."""
    people: tuple[tuple[str, Role], ...] = tuple(WORDPRESS_PEOPLE.items())
    """Capabilities of WordPress and the role that each gives. The first that fits decides."""


NOBODY: Final = Entrance(people=())
"""The entrance of a file that an earlier release has written."""


def entrance_of(settings: Settings) -> Entrance:
    """Return the entrance by the settings."""
    return Entrance(
        url=settings.web_url.rstrip("/") if settings.web_url else None,
        on_site=settings.web_on_site,
        server=_server(Listen.of(settings.web_listen)) if settings.web_on_site else "",
        base_path=settings.web_base_path if settings.web_on_site else "",
        people=tuple(settings.web_people.items()),
    )


def blocked(settings: Settings) -> str | None:
    """Say why the dashboard cannot be shown on the site's own address. None if it can, or need not.

    PHP hands people's requests on, and does so on this host alone.
    """
    if not settings.web_on_site:
        return None
    if not settings.web_ui:
        return "[web] on_site is set, but [web] ui is false: `wpbridge serve` shows no dashboard"
    if not entrance_of(settings).server:
        return (
            "[web] on_site needs a `wpbridge serve` that PHP reaches on this host, and [web] listen"
            f" is {settings.web_listen}: use an address such as 127.0.0.1:8787, or unix:PATH"
        )
    return None


def _server(listen: Listen) -> str:
    if listen.socket is not None:
        return f"unix://{listen.socket}"
    host = _EVERYWHERE.get(listen.host, listen.host)
    is_loopback = Listen(host=host).is_loopback
    if not (is_loopback and listen.port):
        return ""
    if host == "localhost":
        host = "127.0.0.1"
    return f"tcp://[{host}]:{listen.port}" if ":" in host else f"tcp://{host}:{listen.port}"


def as_json(entrance: Entrance) -> dict[str, Any]:
    """Return the entrance as the companion plugin reads it."""
    return {
        "url": entrance.url,
        "on_site": entrance.on_site,
        "server": entrance.server,
        "base_path": entrance.base_path,
        "people": [list(pair) for pair in entrance.people],
    }


def parsed(values: Mapping[str, Any]) -> Entrance:
    """Return the entrance that a file has.

    Raises:
        ValueError, KeyError, TypeError: it was not written by us.
    """
    people = tuple((str(name), role) for name, role in values["people"])
    if not all(role in ROLES for _, role in people):
        raise ValueError("no role")
    return Entrance(
        url=None if values["url"] is None else str(values["url"]),
        on_site=values["on_site"] is True,
        server=str(values["server"]),
        base_path=str(values["base_path"]),
        people=people,
    )


def differences(there: Entrance, wanted: Entrance) -> Iterator[str]:
    """Say, in parts of a sentence, how an entrance differs from the one that the settings mean."""
    if there.on_site != wanted.on_site:
        shows = "shows" if there.on_site else "does not show"
        yield f"it {shows} the dashboard at /wpbridge/ of the site"
    elif (there.server, there.base_path) != (wanted.server, wanted.base_path):
        yield f"it asks {_place(there)}, and `wpbridge serve` listens at {_place(wanted)}"
    if there.url != wanted.url:
        yield f"it leads to {there.url or 'no address'}, and [web] url is {wanted.url or 'not set'}"
    if there.people != wanted.people:
        named = [f"{name} as {role}" for name, role in there.people]
        yield f"it lets in {', '.join(named) or 'nobody'}, and [web.people] says otherwise"


def _place(entrance: Entrance) -> str:
    return f"{entrance.server}{entrance.base_path}" or "no server"
