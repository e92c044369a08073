"""Reads a site's time zone, and makes the local dates that the plugin derives from it.

The columns with ``_local`` in their names decide nothing. They are written so that rows look the
same as PHP's.
"""

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import cache
from types import MappingProxyType
from typing import Final

from wpbridge.dataclass import dataclass

_PHP_ZONE: Final = re.compile(r"[ \t(]*(?:(?:GMT(?=[+-]))?([+-])([0-9:]+)|([A-Za-z0-9/_+-]+))\)*")
_NUMBER: Final = re.compile(
    r"[ \t\n\r\v\f]*([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
)
_TOO_FAR: Final = timedelta(hours=100)

_ABBREVIATIONS: Final = """
-43200 y
-39600 sst x
-36000 ahst bdt hst w
-34200 hdt hpt hwt
-32400 ahdt akst yst v
-28800 akdt pst ydt ypt ywt u
-25200 mst pdt ppt pwt yddt t
-21600 cst mdt mpt mwt pddt s
-18000 cdt cpt cwt est mddt r
-14400 ast cddt edt ept ewt q
-12600 nst
-10800 adt apt awt eddt p
-9000 npt nwt
-7200 addt o
-5400 nddt
-3600 n
0 gmt uct utc wet z
3600 bst cet met wat west a
7200 bdst cat cest eet ist mest sast wast wemt b
10800 cemt eat eest idt msk c
14400 iddt msd d
18000 pkt e
21600 pkst f
25200 wib g
28800 awst hkt wita h
30600 kst
32400 awdt hkst jst wit i
34200 acst cast
36000 aest chst gst jdt kdt k
37800 acdt
39600 aedt gdt l
43200 nzst m
46800 nzdt
"""
"""The abbreviations of PHP 8.2, with their seconds from UTC. PHP looks here before it looks for a
zone of the name, so ``CET`` has no summer time. Local mean times of the past are left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Zone:
    """A site's time zone, as the options ``timezone_string`` and ``gmt_offset`` set it.

    The methods take aware UTC and return naive dates, to the second, as the tables hold them.
    """

    named: tzinfo | timedelta | None = None
    """What ``timezone_string`` names: a zone, or a distance from UTC such as ``+02:00``, ``GMT+2``
    or ``CET``. None if it is empty or unknown."""
    offset: timedelta = timedelta(0)
    """The distance of ``gmt_offset``, which counts only if ``named`` is None."""

    @classmethod
    def from_options(cls, timezone_string: str | None, gmt_offset: str | None) -> "Zone":
        """Make a zone of the options' texts, None for a missing one. No text raises an error."""
        return cls(named=_named((timezone_string or "").strip()), offset=_offset(gmt_offset or ""))

    def attempt_local(self, utc: datetime) -> datetime:
        """Return ``last_attempt_local``: the site's time, as ``current_time('mysql')``."""
        return _local(utc, self.offset if self.named is None else self.named)

    def scheduled_local(self, utc: datetime, is_async: bool) -> datetime:  # noqa: FBT001 - a fact
        """Return ``scheduled_date_local``: UTC for async rows, and by a fault for bare offsets."""
        return _local(utc, None if is_async else self.named)

    def log_local(self, utc: datetime) -> datetime:
        """Return ``log_date_local``: UTC if there is only an offset, by the same fault of PHP's."""
        return _local(utc, self.named)

    @property
    def as_tzinfo(self) -> tzinfo:
        """Return the zone to show moments in. UTC if the distance is a day or more."""
        place = self.offset if self.named is None else self.named
        if isinstance(place, tzinfo):
            return place
        return timezone(place) if place and abs(place) < timedelta(days=1) else UTC

    def __str__(self) -> str:
        place = self.offset if self.named is None else self.named
        if isinstance(place, tzinfo):
            return str(place)
        if not place:
            return "UTC"
        hours, seconds = divmod(abs(place).total_seconds(), 3600)
        return f"UTC{'-' if place < timedelta(0) else '+'}{hours:02.0f}:{seconds // 60:02.0f}"


SITE: Final = "site"
"""The name that means the site's own zone."""


def shown_name(name: str) -> str | None:
    """Return a zone's name in its proper spelling, or None if no zone has the name.

    ``site`` means the site's own zone. Letter case does not matter.
    """
    if name.lower() in {SITE, "utc"}:
        return SITE if name.lower() == SITE else "UTC"
    return _spellings().get(name.lower())


def shown_zone(name: str, site: Zone) -> tzinfo:
    """Return the zone that a name from :func:`shown_name` means for a site."""
    if name == SITE:
        return site.as_tzinfo
    return UTC if name == "UTC" else _info(name)


def _local(utc: datetime, place: tzinfo | timedelta | None) -> datetime:
    moment = utc
    try:
        if isinstance(place, timedelta):
            moment = utc + place
        elif place is not None:
            moment = utc.astimezone(place)
    except OverflowError:
        pass  # In the last hours of the calendar, zones east of UTC have no date.
    return moment.replace(tzinfo=None, microsecond=0)


def _named(name: str) -> tzinfo | timedelta | None:
    """Read a text as PHP's ``DateTimeZone`` does: a distance, an abbreviation or a zone."""
    match = _PHP_ZONE.fullmatch(name)
    if match is None or name == "0":  # for WordPress, "0" is an empty option
        return None
    if match[1]:
        return _distance(match[1], match[2])
    word = match[3].lower()
    if word == "utc":
        return UTC
    fixed = _abbreviations().get(word)
    return _zone(match[3]) if fixed is None else fixed


def _distance(sign: str, digits: str) -> timedelta | None:
    """Read hours, minutes and seconds, with or without colons, as PHP does. None over 99 hours."""
    hours = minutes = seconds = 0
    match len(digits):
        case 1 | 2:
            hours = _leading(digits)
        case 3 | 4 if ":" in digits[1:3]:
            hours, minutes = _leading(digits), _leading(digits[digits.index(":", 1) + 1 :])
        case 3 | 4:
            hours, minutes = divmod(_leading(digits), 100)
        case 5 if digits[2] == ":":
            hours, minutes = _leading(digits), _leading(digits[3:])
        case 6:  # HHMMSS, also for "+100:00", which PHP so reads as one minute
            minutes, seconds = divmod(_leading(digits), 100)
            hours, minutes = divmod(minutes, 100)
        case 8 if digits[2] == digits[5] == ":":
            hours, minutes, seconds = (_leading(digits[at:]) for at in (0, 3, 6))
        case _:
            return None
    size = timedelta(hours=hours, minutes=minutes, seconds=seconds)
    if size >= _TOO_FAR:
        return None
    return size if sign == "+" else -size


def _leading(text: str) -> int:
    """Return the number that a text begins with, or 0."""
    digits = text[: len(text) - len(text.lstrip("0123456789"))]
    return int(digits or 0)


@cache
def _abbreviations() -> Mapping[str, timedelta]:
    lines = (line.split() for line in _ABBREVIATIONS.split("\n") if line)
    return MappingProxyType(
        {name: timedelta(seconds=int(seconds)) for seconds, *names in lines for name in names}
    )


def _zone(name: str) -> tzinfo | None:
    try:
        return _info(name)
    except (KeyError, ValueError, OSError):
        # PHP accepts a name in any letter case, but its file has one spelling.
        exact = _spellings().get(name.lower())
        return _info(exact) if exact else None


def _info(name: str) -> tzinfo:
    from zoneinfo import ZoneInfo  # noqa: PLC0415 - not every site has a zone with a name

    return ZoneInfo(name)


@cache
def _spellings() -> Mapping[str, str]:
    from zoneinfo import available_timezones  # noqa: PLC0415 - as above

    return MappingProxyType({known.lower(): known for known in available_timezones()})


def _offset(text: str) -> timedelta:
    """Read hours as WordPress does, which first turns them into a text such as ``+05:30``."""
    match = _NUMBER.match(text)
    hours = float(match[1]) if match else 0.0
    if not math.isfinite(hours):
        return timedelta(0)
    whole = math.trunc(hours)
    minutes = math.trunc(abs(hours - whole) * 60)
    sign = "-" if hours < 0 else "+"
    return _distance(sign, f"{abs(whole):02}:{minutes:02}") or timedelta(0)
