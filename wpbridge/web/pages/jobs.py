"""Jobs of the HTTP gateway, the deliveries of their callbacks with a replay, and the API keys."""

from collections.abc import Mapping
from typing import Final

from starlette.responses import Response

from wpbridge.action import CALLBACK_HOOK, Status
from wpbridge.dashboard.ids import id_of
from wpbridge.dashboard.jobs import DELIVERIES, SHOWN, Shown, jobs_of
from wpbridge.errors import ActionNotFound, InputError
from wpbridge.queue.commands import carry_out
from wpbridge.queue.jobs import JobQueue
from wpbridge.web.pages.texts import N_
from wpbridge.web.pages.visit import Visit

TABS: Final[Mapping[Shown, str]] = {
    "failed": N_("Failed"),
    "waiting": N_("Waiting"),
    "complete": N_("Delivered"),
    "canceled": N_("Canceled"),
}
"""The deliveries that are shown, by what the address says."""
_ENDED: Final = (Status.COMPLETE, Status.FAILED, Status.CANCELED)
_MOST: Final = 64
"""No id of a job, and no name of a key, is longer."""


async def show(visit: Visit) -> Response:
    """Show jobs, deliveries and keys."""
    before, key_name = visit.query("before")[:_MOST], visit.query("key")[:_MOST]
    shown: Shown = next((one for one in SHOWN if one == visit.query("callbacks")), "failed")
    seen = await visit.shared(
        repr(("jobs", shown, before, key_name)),
        lambda queue: jobs_of(queue, before=before, key_name=key_name or None, shown=shown),
    )
    return visit.render(
        "jobs.html",
        seen=seen.value,
        age=seen.age_seconds,
        before=before,
        key_name=key_name,
        tabs=TABS,
        most=DELIVERIES,
    )


async def replay(visit: Visit) -> Response:
    """Send a callback again: its action is requeued.

    Raises:
        ActionNotFound: there is no such action.
        InputError: it is no callback, or it has not ended.
    """
    number = id_of(visit.sent("id"))
    if number is None:
        raise ActionNotFound("there is no such action")

    def ask(queue: JobQueue) -> None:
        action = queue.get(number)
        if action.hook != CALLBACK_HOOK:
            raise InputError(f"action {number} is no callback")
        if action.status not in _ENDED:
            raise InputError(f"action {number} is {action.status}: it is sent without a replay")
        carry_out(
            queue,
            "requeue",
            [number],
            {"again": True},
            who=visit.person.name,
            address=visit.address,
            zone=visit.zone,
        )

    await visit.change(ask)
    return visit.done("replay", visit.url("jobs", callbacks="waiting"))
