"""What is wrong with the queue, as `wpbridge doctor` says it, and buttons that mend it."""

import asyncio
from typing import Final

from starlette.responses import Response

from wpbridge.doctor import CHECKS, FIXABLE, LEVELS, CheckUp, check_up, look_at, mend
from wpbridge.errors import InputError
from wpbridge.queue.jobs import JobQueue
from wpbridge.site.config import Settings
from wpbridge.web.pages.visit import Visit

STATEMENT_SECONDS: Final = 5.0
"""No statement of a check takes longer. The check then says that it could not be made."""
PATIENCE_SECONDS: Final = 8.0
"""So long a person waits for the checks, which go on meanwhile."""


async def show(visit: Visit) -> Response:
    """Show the findings, the worst first."""
    settings = visit.settings
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            seen = await visit.pages.checks.shared(
                "doctor", lambda _queue: check_up(settings, statement_seconds=STATEMENT_SECONDS)
            )
    except TimeoutError:
        return visit.render("checking.html")
    found: CheckUp = seen.value
    findings = sorted(found.examination.findings, key=lambda one: -LEVELS.index(one.level))
    return visit.render(
        "doctor.html",
        bad=[one for one in findings if one.level != "ok"],
        good=[one for one in findings if one.level == "ok"],
        skipped=found.examination.skipped,
        checks=len(CHECKS),
        age=seen.age_seconds,
    )


async def fix(visit: Visit) -> Response:
    """Mend what one check has found, if that is safe."""
    check = visit.sent("check")
    if check not in FIXABLE:
        raise InputError("check: there is no safe fix of this name")
    count, texts = await visit.change(
        lambda _queue: _mended(visit.settings, check, visit.person.name, visit.address)
    )
    if not count:
        return visit.render("trouble.html", 409, reason="; ".join(texts) or _NOTHING)
    return visit.done("doctor-fix", visit.url("doctor"), count)


_NOTHING = "there is nothing left to mend: somebody was faster"


def _mended(settings: Settings, check: str, who: str, address: str) -> tuple[int, list[str]]:
    """Mend on a connection of its own; return how many things, and what was done in words."""
    with look_at(settings) as site:
        queue = JobQueue(site.store, close_store=False)
        with queue.noted(who=who, verb="doctor-fix", thing=check, address=address):
            repairs = mend(site, {check})
    return sum(0 if one.failed else one.count for one in repairs), [one.done for one in repairs]
