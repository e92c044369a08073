"""The headers by which an answer says that its route is deprecated (RFC 9745 and RFC 8594)."""

from datetime import UTC, datetime
from email.utils import format_datetime

from wpbridge.deprecated.register import Deprecation, of_kind
from wpbridge.web.route import Route


def deprecation_of(route: Route) -> Deprecation | None:
    """Return what the register says of a route; None for one that stays."""
    return of_kind("route").get(f"{route.method} {route.path}")


def headers_of(route: Route, base_path: str) -> dict[str, str]:
    """Return the headers for each answer of a route; none for one that stays.

    ``Deprecation`` says since when the route is deprecated, ``Sunset`` on which day it may stop,
    and ``Link`` leads to its successor.
    """
    one = deprecation_of(route)
    if one is None:
        return {}
    headers = {
        "Deprecation": f"@{int(_midnight(one.since_day).timestamp())}",
        "Sunset": format_datetime(_midnight(one.sunset), usegmt=True),
    }
    _, path = one.successor.split()
    if "{" not in path:
        headers["Link"] = f'<{base_path}{path}>; rel="successor-version"'
    return headers


def _midnight(day: str) -> datetime:
    return datetime.fromisoformat(day).replace(tzinfo=UTC)
