"""One action: what it is, how it went, why it waits, and what can be done with it."""

import shlex
from collections.abc import Mapping
from typing import Final

from starlette.responses import Response

from wpbridge.action import ActionId, Status
from wpbridge.dashboard.detail import Detail, detail_of
from wpbridge.dashboard.ids import id_of
from wpbridge.dashboard.shown_text import shown_result
from wpbridge.doctor.explain import Explanation
from wpbridge.errors import ActionNotFound
from wpbridge.queue.commands import COMMANDS, Command
from wpbridge.queue.jobs import JobQueue
from wpbridge.site.config import Settings
from wpbridge.store.records import Pause, Record
from wpbridge.web.pages import bulk
from wpbridge.web.pages.visit import Visit

_MENDED_AT: Final[Mapping[str, str]] = {
    "limited": "hooks",
    "no-runner": "workers",
    "no-relay": "workers",
    "no-celery-worker": "workers",
    "behind": "workers",
    "claimed-by-dead": "doctor",
    "claim-stale": "doctor",
    "running-dead": "doctor",
    "running-stale": "doctor",
    "no-callback": "hooks",
    "corrupt": "doctor",
}
"""The page on which people mend what keeps an action from running, by the reason's code."""
_MENDED_BY: Final[Mapping[str, str]] = {
    "future": "run",
    "retry-later": "run",
    "no-date": "run",
}
"""The change of this action that mends it."""


_MOST_RAW: Final = 4096
"""So many bytes of a stored schedule are shown."""


async def show(visit: Visit) -> Response:
    """Show one action."""
    number = id_of(visit.path["action"])
    if number is None:
        raise ActionNotFound("there is no such action")

    def ask(queue: JobQueue) -> tuple[Detail, Explanation | None, list[Pause]]:
        detail = detail_of(queue, number, visit.now())
        if detail.record.status not in (Status.PENDING, Status.IN_PROGRESS):
            return detail, None, []
        return detail, visit.pages.explain(queue, number), _pauses(queue, detail.record)

    detail, explanation, pauses = await visit.ask(ask)
    stored = detail.stored
    result = None if stored is None or stored.result is None else stored.result
    return visit.render(
        "action.html",
        seen=detail,
        record=detail.record,
        explanation=explanation,
        mended_at=_MENDED_AT,
        mended_by=_MENDED_BY,
        pauses=pauses,
        held_by=_held_by(detail),
        outcome=bulk.outcome_of(detail),
        result=None if result is None else shown_result(result, visit.settings.web_mask),
        raw=detail.record.schedule[:_MOST_RAW].decode("latin-1"),
        commands_of_action=_fitting(detail),
        commands=_commands(visit.settings, number),
        curl=_curl(visit, number),
    )


def _pauses(queue: JobQueue, record: Record) -> list[Pause]:
    """Return the pauses that keep an action from being claimed."""
    if record.status != Status.PENDING:
        return []
    names = {"hook": record.hook, "group": record.group}
    return [one for one in queue.pauses() if one.kind == "all" or one.name == names.get(one.kind)]


def _held_by(detail: Detail) -> list[ActionId]:
    """Return the actions that must be done again before this one can run."""
    gone = (Status.FAILED, Status.CANCELED)
    waits = detail.lineage.waits_for if detail.record.status == Status.PENDING else ()
    return [one.after_id for one in waits if one.on_failed == "hold" and one.status in gone]


def _fitting(detail: Detail) -> list[Command]:
    """Return the changes that the action's kind and status allow."""
    recurs = detail.kind in {"interval", "cron"}
    return [
        one
        for one in COMMANDS.values()
        if one.kind != "queue"
        and (recurs or one.verb != "edit-schedule")
        and (not one.statuses or detail.record.status in one.statuses)
    ]


def _commands(settings: Settings, number: int) -> list[str]:
    flags = shlex.join(["--path", str(settings.path)]) if settings.path else ""
    return [f"wpbridge {verb} {number} {flags}".rstrip() for verb in ("get", "logs", "explain")]


def _curl(visit: Visit, number: int) -> str:
    """Return the same question to the API. The key is the reader's own, so it is not in it."""
    origin = visit.settings.web_url or f"http://{visit.request.headers.get('host', 'localhost')}"
    address = f"{origin}{visit.settings.web_base_path}/v1/actions/{number}"
    return f'curl -H "Authorization: Bearer $WPBRIDGE_API_KEY" {shlex.quote(address)}'
