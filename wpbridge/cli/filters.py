"""Which actions are meant: ids and filters, the same for every command."""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any, Final

import click

from wpbridge.action import ActionId, ClaimId
from wpbridge.clock import SystemClock
from wpbridge.errors import InputError
from wpbridge.queue.enqueue import encoded
from wpbridge.site.moments import parse_duration, parse_moment, seconds_of
from wpbridge.store.records import Query

STATUSES: Final = ("pending", "in-progress", "complete", "failed", "canceled")
ENDED_NAMES: Final = ("complete", "failed", "canceled")
MANY: Final = 20
"""More actions than this are not changed without a question."""
BIGGEST: Final = (1 << 63) - 1
"""The biggest number that every database takes."""
_DIGITS: Final = 40

_FILTERS: Final = (
    click.option("--hook", "hook", multiple=True, metavar="HOOK", help="Only these hooks."),
    click.option("--group", "group", multiple=True, metavar="SLUG", help="Only these groups."),
    click.option(
        "--status",
        multiple=True,
        metavar="STATUS",
        help=f"Only these statuses: {', '.join(STATUSES)}.",
    ),
    click.option(
        "--args",
        "args",
        metavar="JSON|@FILE|-",
        help="Only actions with exactly these args; [] for none.",
    ),
    click.option(
        "--since",
        metavar="DATE",
        help="Only actions scheduled at or after this: 2026-12-01, -7d, +2h.",
    ),
    click.option("--until", metavar="DATE", help="Only actions scheduled at or before this."),
    click.option(
        "--modified-since",
        metavar="DATE",
        help="Only actions whose last attempt was at or after this.",
    ),
    click.option(
        "--modified-until",
        metavar="DATE",
        help="Only actions whose last attempt was at or before this.",
    ),
    click.option(
        "--claim", type=click.IntRange(1, BIGGEST), metavar="ID", help="Only actions in this claim."
    ),
    click.option(
        "--claimed/--unclaimed", default=None, help="Only actions in some claim, or in none."
    ),
    click.option("--search", metavar="TEXT", help="Only actions with this text in hook or args."),
)
NAMES: Final = (
    "hook",
    "group",
    "status",
    "args",
    "since",
    "until",
    "modified_since",
    "modified_until",
    "claim",
    "claimed",
    "search",
)


def filter_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the filters to a command."""
    for option in reversed(_FILTERS):
        command = option(command)
    return command


def change_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add what every change of several actions takes."""
    for option in (
        click.option("--porcelain", is_flag=True, help="Print ids only."),
        click.option("--format", "format", type=click.Choice(["text", "json"]), help="How (text)."),
        click.option("--yes", "-y", is_flag=True, help=f"Do not ask about more than {MANY}."),
        click.option("--dry-run", is_flag=True, help="Print ids and counts; change nothing."),
    ):
        command = option(command)
    return command


def split(flags: dict[str, Any], names: Sequence[str] = NAMES) -> dict[str, Any]:
    """Take the filters out of a command's flags."""
    return {name: flags.pop(name) for name in names if name in flags}


def query_of(filters: Mapping[str, Any], *, now: datetime | None = None) -> Query:
    """Return the query that filters mean; InputError for what cannot be read.

    Also for what is given and empty, as by a shell variable that is not set: it must not come to
    mean every action.
    """
    now = now or SystemClock().now()
    if "" in (filters.get("hook") or ()):
        raise InputError("--hook: it is empty")
    if filters.get("search") == "":
        raise InputError("--search: it is empty")

    def moment(name: str) -> datetime | None:
        told = filters.get(name)
        return None if told is None else parse_moment(told, now, name=f"--{name.replace('_', '-')}")

    claim = filters.get("claim")
    return Query(
        hooks=tuple(filters.get("hook") or ()),
        groups=tuple(filters.get("group") or ()),
        statuses=statuses_of(filters.get("status") or ()),
        args=None if filters.get("args") is None else encoded(read_args(filters["args"])),
        since=moment("since"),
        until=moment("until"),
        modified_since=moment("modified_since"),
        modified_until=moment("modified_until"),
        claim=None if claim is None else ClaimId(claim),
        claimed=filters.get("claimed"),
        search=filters.get("search") or "",
    )


def statuses_of(told: Sequence[str], known: Sequence[str] = STATUSES) -> tuple[str, ...]:
    """Read names of statuses, several in one text or not; InputError for one that is not known."""
    names = [name.strip() for one in told for name in one.split(",")]
    for name in names:
        if name not in known:
            raise InputError(f"--status: {name!r} is none of {', '.join(known)}")
    return tuple(names)


def ids_of(told: Sequence[str], what: str = "action id") -> list[ActionId]:
    """Read action ids, or others; InputError for what is no whole number above 0.

    One text may hold several, as ``--format ids`` prints them.
    """
    ids: list[ActionId] = []
    for text in told:
        for part in text.split() or [text]:
            # Its length first: int() refuses very long ones.
            is_number = part.isascii() and part.isdigit() and len(part) < _DIGITS
            if not is_number or not 0 < int(part) <= BIGGEST:
                raise InputError(f"{part[:_DIGITS]!r} is no {what}")
            ids.append(ActionId(int(part)))
    return ids


def moment_of_flags(
    at: str | None, in_: str | None, now: datetime, zone: tzinfo = UTC
) -> datetime | None:
    """Return the date that --at or --in means; None for neither, InputError for both."""
    if at is not None and in_ is not None:
        raise InputError("--at and --in: give one of them")
    if in_ is not None:
        return span_from(now, in_, "--in")
    return None if at is None else parse_moment(at, now, zone, "--at")


def moment_or_age(told: str, now: datetime, name: str) -> datetime:
    """Return the moment of a date, or of an age such as 1d, which lies so far back."""
    if told.strip()[-1:].isalpha() and seconds_of(told) is not None:
        return span_from(now, told, name, -1)
    try:
        return parse_moment(told, now, name=name)
    except InputError as error:
        raise InputError(f"{error}, and no age such as 2h or 1d") from None


def span_from(now: datetime, told: object, name: str, sign: int = 1) -> datetime:
    """Return the moment so long after now, or before it; InputError outside of 1970 to 9999."""
    span = parse_duration(told, name)
    try:
        found = now + sign * span
    except OverflowError:
        found = None
    if found is None or found.year < 1970:  # noqa: PLR2004
        raise InputError(f"{name}: {told!r} leads out of the years 1970 to 9999")
    return found


def read_args(told: str) -> Any:
    """Read JSON from the flag, ``@file`` or ``-``; InputError unless it is a list or an object."""
    text = read_text(told, "args")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"args are no JSON: {error}") from None
    if not isinstance(value, list | dict):
        raise InputError(f"args: a JSON list or object, not {text.strip()[:40]}")
    return value


def read_text(told: str, name: str) -> str:
    """Read a flag's text: itself, a file's with ``@``, or standard input's with ``-``."""
    try:
        if told == "-":
            # A process may have none at all.
            return "" if sys.stdin is None else sys.stdin.read().removeprefix("\ufeff")
        if told.startswith("@"):
            return Path(told[1:]).read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not UTF-8"
        raise InputError(f"{name}: {told}: {reason}") from None
    return told
