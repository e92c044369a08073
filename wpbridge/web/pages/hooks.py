"""Hooks and groups: how each stands, the page of each, and the buttons that pause and resume."""

from collections.abc import Callable, Sequence
from typing import Any, Final

from starlette.responses import Response

from wpbridge.app import routes_of
from wpbridge.dashboard.hooks import (
    LATELY,
    HooksSeen,
    Kind,
    Rules,
    Seen,
    hook_of,
    hooks_of,
    unseen,
)
from wpbridge.dashboard.past import PERIODS
from wpbridge.errors import InputError
from wpbridge.queue.commands import carry_out
from wpbridge.site.config import Settings
from wpbridge.web.pages.changing import back_of
from wpbridge.web.pages.past_charts import PERIOD_WORDS, past_charts, period_of
from wpbridge.web.pages.rule_words import RUNNERS, limit_words, retry_words
from wpbridge.web.pages.texts import N_
from wpbridge.web.pages.visit import Visit

PAGE: Final = 50
"""So many hooks or groups are on a page."""
NO_GROUP: Final = "-"
"""What addresses have for actions without a group."""
COLUMNS: Final = (
    ("name", N_("Name")),
    ("due", N_("Due")),
    ("pending", N_("Pending")),
    ("running", N_("Running")),
    ("rate", N_("Ended/min")),
    ("wait", N_("Wait, 50/95 %")),
    ("duration", N_("Duration, 95 %")),
    ("failures", N_("Failed, 24 h")),
)
"""The columns by which rows are sorted, the highest first; names from the first one on."""
_NUMBERS: Final[dict[str, Callable[[Seen], float | None]]] = {
    "due": lambda seen: seen.due,
    "pending": lambda seen: seen.pending,
    "running": lambda seen: seen.running,
    "rate": lambda seen: seen.per_minute,
    "wait": lambda seen: seen.took.wait_p95,
    "duration": lambda seen: seen.took.duration_p95,
    "failures": lambda seen: seen.failure_share,
}
PAUSES: Final = (
    ("1h", N_("for an hour")),
    ("2h", N_("for two hours")),
    ("1d", N_("for a day")),
    ("", N_("until somebody resumes it")),
)


async def show(visit: Visit) -> Response:
    """Show all hooks or groups; or the one that the address names."""
    rules = _rules(visit.settings)
    seen = await visit.shared("hooks", lambda queue: hooks_of(queue.store, visit.now(), rules))
    meant = _meant(visit)
    if meant is not None:
        return await _one(visit, seen.value, rules, *meant)
    kind: Kind = "group" if visit.query("kind") == "group" else "hook"
    search, sort = visit.query("search").strip(), visit.query("sort")
    sort = sort if sort in dict(COLUMNS) else "due"
    rows = sorted_rows(seen.value.hooks if kind == "hook" else seen.value.groups, search, sort)
    page = min(visit.page_number(), max(1, -(-len(rows) // PAGE)))
    return visit.render(
        "hooks.html",
        seen=seen.value,
        age=seen.age_seconds,
        kind=kind,
        search=search,
        sort=sort,
        columns=COLUMNS,
        rows=rows[(page - 1) * PAGE : page * PAGE],
        found=len(rows),
        page=page,
        has_more=page * PAGE < len(rows),
        of_all=next((pause for pause in seen.value.pauses if pause.kind == "all"), None),
        pauses=PAUSES,
        runners=RUNNERS,
        limit_words=limit_words,
        no_group=NO_GROUP,
        lately=LATELY.total_seconds(),
    )


def sorted_rows(rows: Sequence[Seen], search: str, sort: str) -> list[Seen]:
    """Return the rows whose name has a text in it, in an order."""
    wanted = search.casefold()
    found = [row for row in rows if wanted in row.name.casefold()]
    number = _NUMBERS.get(sort)
    if number is None:
        return sorted(found, key=lambda row: row.name.casefold())
    return sorted(found, key=lambda row: (-(number(row) or 0), -row.pending, row.name))


async def _one(visit: Visit, all_of: HooksSeen, rules: Rules, kind: Kind, name: str) -> Response:
    period = period_of(visit.query("period"))
    one = all_of.find(kind, name) or unseen(kind, name, all_of, rules)
    told = await visit.shared(
        f"hook {kind} {period} {name}",
        lambda queue: hook_of(queue.store, visit.now(), one, period=period, zone=visit.zone),
    )
    return visit.render(
        "hook.html",
        seen=one,
        past=told.value.past,
        failures=told.value.failures,
        age=told.age_seconds,
        charts=past_charts(told.value.past, visit.zone),
        periods=[(name, PERIOD_WORDS[name]) for name in PERIODS],
        pauses=PAUSES,
        runners=RUNNERS,
        limit_words=limit_words,
        retry_words=retry_words,
        address={kind: name or NO_GROUP},
        lately=LATELY.total_seconds(),
    )


async def pause(visit: Visit) -> Response:
    """Pause a hook, a group, or everything."""
    told = _scope(visit)
    told |= {n: visit.sent(n).strip() for n in ("for", "reason") if visit.sent(n).strip()}
    return await _changed(visit, "pause", told)


async def resume(visit: Visit) -> Response:
    """End the pause of a hook or a group, or all pauses."""
    return await _changed(visit, "resume", _scope(visit))


async def _changed(visit: Visit, verb: str, told: dict[str, Any]) -> Response:
    await visit.change(
        lambda queue: carry_out(
            queue, verb, (), told, who=visit.person.name, address=visit.address, zone=visit.zone
        )
    )
    kind, name = visit.sent("kind"), visit.sent("name")
    if visit.sent("back") == "one" and kind in ("hook", "group"):
        return visit.done(verb, visit.url("hooks", **{kind: name or NO_GROUP}))
    if back := back_of(visit):
        return visit.done(verb, visit.url(back))
    return visit.done(verb, visit.url("hooks", kind="group" if kind == "group" else ""))


def _scope(visit: Visit) -> dict[str, Any]:
    """Return what a form means, as the table of changes has it."""
    kind, name = visit.sent("kind"), visit.sent("name")
    if kind == "all":
        return {"everything": True}
    if kind not in ("hook", "group"):
        raise InputError("kind: hook, group or all")
    return {kind: name}


def _meant(visit: Visit) -> tuple[Kind, str] | None:
    """Return the hook or group that the address names."""
    if hook := visit.query("hook"):
        return "hook", hook
    if group := visit.query("group"):
        return "group", "" if group == NO_GROUP else group
    return None


def _rules(settings: Settings) -> Rules:
    """Return what the settings say. Handlers are not loaded here: no page runs code."""
    routes = routes_of(settings, {}, left_out=settings.handlers)
    return Rules(routes=routes, limits=settings.limits, retry=settings.retry)
