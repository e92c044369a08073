"""Make pages of templates. Everything that is filled in is escaped, whatever it is."""

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from email.utils import format_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.responses import Response

from wpbridge import __version__
from wpbridge.dashboard.shown_text import short_args, short_text, shown_args, shown_text
from wpbridge.site.rules import allows
from wpbridge.telling.visible import visible
from wpbridge.web.pages import texts
from wpbridge.web.pages.notices import NOTICES
from wpbridge.web.pages.statics import HAS_HTMX, MARK
from wpbridge.web.pages.texts import tr, trn

if TYPE_CHECKING:
    from wpbridge.web.pages.visit import Visit

TEMPLATES: Final = Path(__file__).parent / "templates"
NOT_KEPT: Final = {"Cache-Control": "private, no-store", "Vary": "Cookie, Accept-Language"}
_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_FEW: Final = 10
"""Of so many units and more, the smaller unit is not told."""


SHARED_SECONDS: Final = 1.0
"""The tabs of a person share a page for so long: its relative times are that old at the most."""
_MOST_MADE: Final = 64


class Renderer:
    """Fills the templates of one gateway."""

    def __init__(self, *, zone: tzinfo, mask: tuple[str, ...], site: str, base: str) -> None:
        """Take the zone in which times are shown, what is masked, the site's name, and its base."""
        self._zone = zone
        self._made: OrderedDict[Hashable, _Made] = OrderedDict()
        self._environment = Environment(
            loader=FileSystemLoader(TEMPLATES),
            autoescape=True,
            undefined=StrictUndefined,
            extensions=["jinja2.ext.i18n"],
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.install_gettext_callables(tr, trn, newstyle=True)  # type: ignore[attr-defined]
        self._environment.filters |= {
            "when": self._when,
            "moment": self._moment,
            "count": count_text,
            "seconds": seconds_text,
            "bytes": bytes_text,
            "percent": percent_text,
            "plain": visible,
            "args": lambda value: shown_args(value, mask),
            "short_args": lambda value: short_args(value, mask),
            "short": lambda value: short_text(value, mask),
            "log": lambda value: shown_text(value, mask),
            "tr": tr,
        }
        self._environment.globals |= {
            "site": site,
            "base": base,
            "version": __version__,
            "assets": MARK,
            "has_htmx": HAS_HTMX,
            "notice_texts": NOTICES,
        }

    def page(
        self, visit: "Visit", template: str, status: int, context: Mapping[str, Any]
    ) -> Response:
        """Return a page for a person."""
        known = visit.request.headers.get("if-none-match", "")
        return self.answer(template, status, _of_visit(visit, context), known)

    def shared_page(
        self, visit: "Visit", template: str, value: object, context: Callable[[], Mapping[str, Any]]
    ) -> Response:
        """Return the page of a value, which all tabs of a person share for a second.

        Args:
            visit: one request for it.
            template: of the page.
            value: what the page shows. Another value is another page.
            context: makes what the template is filled with.
        """
        known = visit.request.headers.get("if-none-match", "")
        query, language = visit.request.url.query, texts.language()
        key = (template, visit.base, visit.csrf, visit.person, query, language)
        now = time.monotonic()
        made = self._made.pop(key, None)
        if made is None or made.value is not value or now - made.at >= SHARED_SECONDS:
            made = _Made(value, now, self._body(template, _of_visit(visit, context())))
        self._made[key] = made
        while len(self._made) > _MOST_MADE:
            self._made.popitem(last=False)
        return _response(made.body, _OK, known)

    def answer(
        self,
        template: str,
        status: int,
        context: Mapping[str, Any],
        known: str = "",
    ) -> Response:
        """Return a page. ``known`` is the mark of the one that the browser has already."""
        return _response(self._body(template, context), status, known)

    def _body(self, template: str, context: Mapping[str, Any]) -> bytes:
        found = self._environment.get_template(template)
        text = found.render(language=texts.language(), **context)
        # Half a surrogate pair in a row is no trouble: it is shown as its code.
        return text.encode("utf-8", "backslashreplace")

    def _moment(self, at: datetime | None) -> str:
        """Return a date in the site's zone, for people."""
        return "-" if at is None else f"{in_zone(at, self._zone):%Y-%m-%d %H:%M:%S %Z}"

    def _when(self, at: datetime | None) -> Markup:
        """Return how long ago or ahead a date is, with the date itself behind it."""
        if at is None:
            return Markup("<span>-</span>")
        exact = self._moment(at)
        return Markup('<time datetime="{}" title="{}" data-when>{}</time>').format(
            at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            exact,
            ago_text(at - datetime.now(UTC)),
        )


class _Made(NamedTuple):
    """A page that was made for all tabs of a person."""

    value: object
    at: float
    body: bytes


def _of_visit(visit: "Visit", context: Mapping[str, Any]) -> dict[str, Any]:
    """Return what every template of a page is filled with, and what this one is."""
    from wpbridge.web.pages.table import NAVIGATION  # noqa: PLC0415 - its pages render, too

    # The index of many sites is no page of a site.
    pages = NAVIGATION if visit.pages.index is None else ()
    return {
        "visit": visit,
        "base": visit.base,
        "url": visit.url,
        "may": visit.may,
        "person": visit.person,
        "csrf": visit.csrf,
        "navigation": [one for one in pages if allows(visit.person.role, one.role)],
        "now": visit.now(),
        **context,
    }


def _response(body: bytes, status: int, known: str) -> Response:
    mark = f'"{hashlib.sha256(body).hexdigest()[:24]}"'
    headers = {**NOT_KEPT, "ETag": mark, "Content-Language": texts.language()}
    # The script tells by it how far the browser's clock is away from ours.
    headers["Date"] = format_datetime(datetime.now(UTC), usegmt=True)
    if status == _OK and known == mark:
        return Response(status_code=304, headers=headers)
    return Response(body, status, headers, "text/html")


_OK: Final = 200


def in_zone(at: datetime, zone: tzinfo) -> datetime:
    """Return a date in a zone; as it is where the zone's calendar has no such day.

    Rows may hold the first and the last day that there is.
    """
    try:
        return at.astimezone(zone)
    except OverflowError:
        return at


def ago_text(span: timedelta) -> str:
    """Return how far a moment is away, such as ``3 min ago`` or ``in 2 h``."""
    seconds = round(span.total_seconds())
    told = seconds_text(abs(seconds))
    return tr("in %s") % told if seconds > 0 else tr("%s ago") % told


def seconds_text(seconds: float | None) -> str:
    """Return a time in one or two units, such as ``1 h 5 min``."""
    if seconds is None:
        return "-"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms" if seconds else "0 s"
    if seconds < _FEW and seconds != round(seconds):
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for unit, name, part, part_name in (
        (_DAY, "d", _HOUR, "h"),
        (_HOUR, "h", _MINUTE, "min"),
        (_MINUTE, "min", 1, "s"),
    ):
        if whole >= unit:
            rest = whole % unit // part
            shows_rest = rest and whole < _FEW * unit
            return f"{whole // unit} {name}" + (f" {rest} {part_name}" if shows_rest else "")
    return f"{whole} s"


def count_text(count: int | None, cap: int | None = None) -> str:
    """Return a number with its thousands; one that has reached the cap has a plus behind it."""
    if count is None:
        return "-"
    if cap is not None and count >= cap:
        return f"{cap:,}+"
    return f"{count:,}"


def bytes_text(size: float | None) -> str:
    """Return a number of bytes in the unit that fits."""
    if size is None:
        return "-"
    for unit in ("B", "KB", "MB", "GB"):
        if abs(size) < 1024:  # noqa: PLR2004 - a kilobyte
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TB"


def percent_text(share: float | None) -> str:
    """Return a share, from 0 to 1, in percent."""
    if share is None:
        return "-"
    return f"{share:.1%}" if 0 < share < 0.1 else f"{share:.0%}"  # noqa: PLR2004 - 10 %
