"""The list of actions: all filters stand in the address, and pages go on from the last row."""

import json
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from starlette.responses import Response

from wpbridge.action import Status
from wpbridge.dashboard import listing
from wpbridge.dashboard.ids import id_of
from wpbridge.dataclass import dataclass
from wpbridge.errors import InputError
from wpbridge.queue.bulk_filters import alike
from wpbridge.queue.commands import COMMANDS, Command
from wpbridge.queue.enqueue import encoded
from wpbridge.queue.jobs import JobQueue
from wpbridge.site.moments import parse_moment
from wpbridge.store.records import Query
from wpbridge.web.pages.texts import N_
from wpbridge.web.pages.visit import Visit

TABS: Final = ("", "past-due", *map(str, Status))
"""The statuses that a list can be narrowed to; ``past-due`` is pending with a date that passed."""
FIELDS: Final = (
    "status",
    "hook",
    "group",
    "search",
    "args",
    "since",
    "until",
    "ended_since",
    "ended_until",
    "priority",
    "claim",
    "fingerprint",
)
"""The parameters of the address that narrow a list."""
_MORE: Final = ("args", "since", "until", "ended_since", "ended_until", "priority", "claim")
"""Those that a page shows only when they are asked for."""
ORDERS: Final[Mapping[str, str]] = {
    "newest": N_("newest first"),
    "latest": N_("latest attempt first"),
    "date": N_("by date, latest first"),
    "soonest": N_("by date, soonest first"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """What a list shows, as the address says it."""

    told: Mapping[str, str]
    """The parameters that are given, without empty ones."""
    query: Query

    @property
    def is_narrowed(self) -> bool:
        """Tell whether anything but the status is given."""
        return bool(set(self.told) - {"status"})


def allowed_filter(visit: Visit, told: Mapping[str, str], now: datetime) -> Filter:
    """Return the filter that parameters mean, for a person.

    Who may only look does not see the values of masked names, and could find them letter by letter
    by a search in args. So that is for those who may also change actions.

    Raises:
        InputError: as :func:`filter_of`, or the person may not filter by args.
    """
    chosen = filter_of(told, now)
    if visit.may("operator"):
        return chosen
    if "args" in chosen.told:
        raise InputError("args: to filter by args needs the role operator")
    return replace(chosen, query=replace(chosen.query, searches_args=False))


def filter_of(told: Mapping[str, str], now: datetime) -> Filter:
    """Return the filter that parameters mean.

    Raises:
        InputError: one of them cannot be read; the message names it.
    """
    given = {name: told[name].strip() for name in FIELDS if told.get(name, "").strip()}
    dates: dict[str, Any] = {
        field: parse_moment(given[name], now, name=name)
        for name, field in (
            ("since", "since"),
            ("until", "until"),
            ("ended_since", "modified_since"),
            ("ended_until", "modified_until"),
        )
        if name in given
    }
    status = given.get("status", "")
    query = Query(
        hooks=(given["hook"],) if "hook" in given else (),
        groups=("" if given["group"] == "-" else given["group"],) if "group" in given else (),
        statuses=(str(Status.PENDING),) if status == "past-due" else ((status,) if status else ()),
        search=given.get("search", ""),
        claim=_number(given, "claim"),
        priority=_number(given, "priority", least=0),
        args=_args(given),
        **dates,
    )
    if "fingerprint" in given:
        # Only failures have a message that says what they are.
        query = replace(query, statuses=(str(Status.FAILED),))
    if status == "past-due":
        query = replace(query, until=now if query.until is None else min(query.until, now))
    return Filter(told=given, query=query)


def _number(given: Mapping[str, str], name: str, *, least: int = 1) -> Any:
    if name not in given:
        return None
    number = 0 if given[name] == "0" else id_of(given[name])
    if number is None or number < least:
        raise InputError(f"{name}: a number, not {given[name]!r}")
    return number


def _args(given: Mapping[str, str]) -> str | None:
    """Return the args that must be equal, as the tables have them."""
    if "args" not in given:
        return None
    try:
        return encoded(json.loads(given["args"]))
    except (ValueError, RecursionError):
        raise InputError("args: a JSON list or object") from None


async def show(visit: Visit) -> Response:
    """Show a page of actions."""
    told = {name: visit.query(name) for name in FIELDS}
    number = id_of(told["search"].strip())
    if number is not None:
        return visit.go_to(visit.url(f"actions/{number}"))
    now = visit.now()
    chosen = allowed_filter(visit, told, now)
    order = visit.query("order") if visit.query("order") in ORDERS else ""
    after = visit.query("after")

    def ask(queue: JobQueue) -> listing.ListPage:
        fingerprint = chosen.told.get("fingerprint")
        return listing.page_of(
            queue.store,
            chosen.query,
            now,
            order=order,
            after=after,
            alike=(lambda rows: alike(queue, rows, fingerprint)) if fingerprint else None,
        )

    page = await visit.ask(ask)
    same = {name: value for name, value in chosen.told.items() if name != "status"}
    key = "counts " + repr(sorted(same.items()))
    counts = await visit.soon(
        key, lambda queue: listing.counts_of(queue.store, filter_of(same, now).query, now)
    )
    return visit.render(
        "actions.html",
        rows=page.rows,
        following=page.following,
        looked_back_to=page.looked_back_to,
        chosen=chosen,
        same=same,
        order=order or page.order,
        orders=ORDERS,
        tabs=TABS,
        counts=counts,
        cap=listing.COUNT_CAP,
        more_is_given=bool(set(chosen.told) & set(_MORE)),
        is_first_page=not after,
        commands=_commands(chosen.query.statuses),
        back=visit.url("actions", order=order, **chosen.told).removeprefix(f"{visit.base}/"),
    )


def _commands(statuses: Collection[str]) -> list[Command]:
    """Return the changes that can be made to actions of any of these statuses; of all for none."""
    return [
        one
        for one in COMMANDS.values()
        if one.kind == "actions"
        and (not statuses or not one.statuses or set(one.statuses) & set(statuses))
    ]
