"""The settings that count, the rules of alerts, the people, and who changed what."""

import json
from datetime import datetime, timedelta
from typing import Any, Final

from starlette.responses import Response

from wpbridge.dashboard.ids import id_of
from wpbridge.dataclass import dataclass
from wpbridge.errors import InputError
from wpbridge.monitor.rules import RULES
from wpbridge.queue.jobs import JobQueue
from wpbridge.site.moments import parse_moment
from wpbridge.site.shown_settings import shown_settings
from wpbridge.store.rows.audit import AuditRecord
from wpbridge.web.pages.failures import Span, by_the_clock
from wpbridge.web.pages.texts import N_
from wpbridge.web.pages.visit import Visit

_ROWS: Final = 50


async def show(visit: Visit) -> Response:
    """Show settings, alerting rules and people."""
    told = shown_settings(visit.settings, visit.pages.location)
    chosen = {name: one for name, one in told.items() if one["source"] != "default"}
    given = visit.settings.alerts_rules
    thresholds = {
        name: str(given.get(name, f"{rule.threshold:g} ({rule.unit})"))
        for name, rule in RULES.items()
    }
    users = await visit.ask(lambda queue: queue.store.users.all()) if visit.may("admin") else []
    return visit.render(
        "settings.html",
        settings=told,
        chosen=chosen,
        rules=RULES,
        thresholds=thresholds,
        users=users,
    )


async def audit(visit: Visit) -> Response:
    """Show who changed what, the newest first."""
    now = visit.now()
    chosen: dict[str, Any] = {
        name: visit.query(name) for name in ("who", "verb", "thing") if visit.query(name)
    }
    dates = {name: _moment(visit, name, now) for name in ("since", "until") if visit.query(name)}
    before = id_of(visit.query("before")) if visit.query("before") else None
    if visit.query("before") and before is None:
        raise InputError("before: the end of a page, as its link has it")

    def ask(queue: JobQueue) -> list[AuditRecord]:
        return queue.store.audit.page(before_id=before, most=_ROWS + 1, **{**chosen, **dates})

    rows = await visit.ask(ask)
    page = rows[:_ROWS]
    return visit.render(
        "audit.html",
        rows=[_read(one) for one in page],
        chosen={**chosen, **{name: visit.query(name) for name in dates}},
        following=page[-1].id if len(rows) > _ROWS else None,
        spans=_spans(now, visit),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _AuditRow:
    """A row of the audit table, taken apart."""

    record: AuditRecord
    changed: int | None
    address: str
    rest: str


def _read(record: AuditRecord) -> _AuditRow:
    try:
        told = json.loads(record.detail)
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict):
        return _AuditRow(record=record, changed=None, address="", rest=record.detail)
    changed, address = told.pop("changed", None), told.pop("address", "")
    return _AuditRow(
        record=record,
        changed=changed if type(changed) is int else None,
        address=str(address),
        rest=json.dumps(told, ensure_ascii=False) if told else "",
    )


def _moment(visit: Visit, name: str, now: datetime) -> datetime:
    return parse_moment(visit.query(name), now, visit.zone, name)


def _spans(now: datetime, visit: Visit) -> list[Span]:
    """Return the spans of time that links offer; days by the clock of the site."""
    today = now.astimezone(visit.zone).replace(hour=0, minute=0, second=0, microsecond=0)
    yesterday = today - timedelta(days=1)
    last = today - timedelta(seconds=1)
    return [
        Span(N_("Today"), by_the_clock(today)),
        Span(N_("Yesterday"), by_the_clock(yesterday), f"{last:%Y-%m-%d %H:%M:%S}"),
        Span(N_("7 days"), "-7d"),
        Span(N_("All"), ""),
    ]
