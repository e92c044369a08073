"""Changes by forms: of one action, of a selection, and of the queue as a whole.

The table of :mod:`wpbridge.queue.commands` says what there is, who may, and what is asked for.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from starlette.responses import Response

from wpbridge.dashboard.ids import id_of
from wpbridge.errors import InputError
from wpbridge.queue import fields
from wpbridge.queue.commands import COMMANDS, Command, carry_out
from wpbridge.store.records import Change
from wpbridge.web.pages.visit import Answer, Visit

MOST_SELECTED: Final = 500
"""So many actions can be changed at once by their ids."""
_BACK: Final = re.compile(
    r"(?:[A-Za-z0-9][A-Za-z0-9_.-]*(?:/[A-Za-z0-9][A-Za-z0-9_.-]*)*"
    r"(?:\?[A-Za-z0-9_.~%=&+*\[\]:-]*)?)?"
)
"""A path of the dashboard, without the slash before it; empty for the overview."""


def answer_for(verb: str) -> Answer:
    """Return what answers a form of a change."""
    command = COMMANDS[verb]

    async def change(visit: Visit) -> Response:
        return await _change(visit, command)

    return change


async def _change(visit: Visit, command: Command) -> Response:
    which = [] if command.kind == "queue" else selected(visit.form.get("id", ()))
    told = fields.filled_in(command.fields, _last_values(visit))
    if _asks_first(visit, command, told):
        return visit.render(
            "change.html", command=command, ids=which, back=back_of(visit), values=told
        )
    done = await visit.change(
        lambda queue: carry_out(
            queue,
            command.verb,
            which,
            told,
            who=visit.person.name,
            address=visit.address,
            zone=visit.zone,
        )
    )
    count = len(done.ids) or len(done.things)
    if not count or done.skipped:
        return _partly(visit, command, done, count)
    if command.verb == "enqueue":
        return visit.done("enqueue", visit.url(f"actions/{done.ids[0]}"), done.ids[0])
    return visit.done(command.verb, visit.url(back_of(visit)), count)


def _asks_first(visit: Visit, command: Command, told: Mapping[str, str]) -> bool:
    """Tell whether a form must be filled in before, or a person must be sure."""
    is_sure = command.role != "admin" or bool(visit.sent("sure"))
    return not is_sure or any(one.is_required and one.name not in told for one in command.fields)


def _partly(visit: Visit, command: Command, done: Change, count: int) -> Response:
    """Say which actions were left as they are, and why."""
    return visit.render(
        "changed.html",
        200 if count else 409,
        command=command,
        count=count,
        skipped=dict(list(done.skipped.items())[:MOST_SELECTED]),
        back=back_of(visit),
    )


def selected(values: Sequence[str]) -> list[int]:
    """Return the ids that a form has sent, each once.

    Raises:
        InputError: there is none, one of them is no id, or there are too many.
    """
    ids = [id_of(value) for value in dict.fromkeys(values)]
    found = [one for one in ids if one is not None]
    if not found:
        raise InputError("select an action first")
    if len(found) < len(ids):
        raise InputError("id: the number of an action")
    if len(found) > MOST_SELECTED:
        raise InputError(f"select {MOST_SELECTED} actions at most, or everything that matches")
    return list(found)


def _last_values(visit: Visit) -> dict[str, str]:
    return {name: values[-1] for name, values in visit.form.items() if values}


def back_of(visit: Visit) -> str:
    """Return the page to go back to; the overview for what is none of ours."""
    told = visit.sent("back")
    return told if _BACK.fullmatch(told) else ""


async def enqueue_form(visit: Visit) -> Response:
    """Show the form for a new action."""
    return visit.render(
        "change.html", command=COMMANDS["enqueue"], ids=(), back="actions", values={}
    )
