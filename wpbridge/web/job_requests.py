"""Read what a request asks for: its headers, and the job that its body means."""

import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from wpbridge.action import is_own_hook
from wpbridge.clock import SystemClock
from wpbridge.codec import traceparents
from wpbridge.codec.keys import new_uuid
from wpbridge.errors import InputError
from wpbridge.queue.callbacks import callback_of
from wpbridge.queue.enqueue import Enqueue, moment_of
from wpbridge.queue.jobs import JobRequest, fingerprint_of, scoped_key
from wpbridge.site.moments import parse_duration
from wpbridge.web.calls import Call
from wpbridge.web.jobs import is_own
from wpbridge.web.problems import Problem

LONGEST_WAIT_SECONDS: Final = 30.0
KEY_HEADER: Final = "Idempotency-Key"
_KEY: Final = re.compile(r"[\x21\x23-\x7e]{1,255}")
_QUOTED: Final = re.compile(r'"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\]){1,255})"')
_WAIT: Final = re.compile(r"\s*wait\s*=\s*([0-9]{1,6})\s*(?:;.*)?", re.IGNORECASE)


async def requested(call: Call, told: dict[str, Any], key: str, *, whole: str = "") -> JobRequest:
    """Return what a body asks for, once it is known that its caller may ask for it.

    ``whole`` stands for the batch to which the body belongs.
    """
    hook, group = told["hook"], told.get("group", "")
    if is_own_hook(hook) or not call.caller.may_enqueue(hook, group):
        raise Problem("not-allowed", "this key does not add actions of this hook and group")
    if whole and "through" in told:
        raise Problem("invalid", "through: only for a job by itself", field="through")
    key = _ticket_key(call, told, key)
    after = await _behind(call, told.get("after", ()))
    name, uuid = call.caller.key_name, new_uuid()
    scope = scoped_key(name, call.request.method, call.request.scope["path"], key) if key else ""
    return JobRequest(
        uuid=uuid,
        callback=await _callback(call, told, uuid),
        new=enqueue_of(told, after=after, key=scope),
        key_name=name,
        fingerprint=fingerprint_of([told, whole] if whole else told),
        traceparent=traceparents.checked(call.header("traceparent")),
    )


def _ticket_key(call: Call, told: dict[str, Any], key: str) -> str:
    """Return the idempotency key: for a ticket its own id. It allows nothing but its action."""
    ticket = call.caller.ticket
    if ticket is None:
        return key
    if key:
        raise Problem(
            "invalid", "a ticket is the idempotency key itself: leave this out", field=KEY_HEADER
        )
    if more := sorted(told.keys() - {"hook", "args", "group"}):
        raise Problem("not-allowed", f"a ticket does not allow {', '.join(more)}", field=more[0])
    if not ticket.fits(told["hook"], told.get("group", ""), told.get("args", [])):
        raise Problem("not-allowed", "the ticket was made for other args", field="args")
    return ticket.id


async def _callback(call: Call, told: dict[str, Any], uuid: str) -> Enqueue | None:
    """Return what is to run when the job has ended; None where nothing is asked for."""
    if "callback" not in told:
        return None
    caller, parts = call.caller, call.parts
    made = callback_of(
        told["callback"],
        uuid=uuid,
        hosts=caller.callback_hosts,
        allow_private=parts.allow_private,
        may_enqueue=caller.may_enqueue,
    )
    if refusal := await parts.readers.ask(parts.refusal):
        raise Problem("conflict", refusal, field="callback")
    return made


def enqueue_of(told: dict[str, Any], *, after: Sequence[int] = (), key: str = "") -> Enqueue:
    """Return the action that a body means; raise a Problem for what does not go together."""
    at: Any = told.get("at")
    if "in" in told:
        if "at" in told:
            raise Problem("invalid", "give at or in, not both", field="in")
        at = _span(told["in"])
    elif at is not None:
        try:
            at = moment_of(at, SystemClock().now())
        except InputError as error:
            raise Problem("invalid", f"at: {error}", field="at") from None
    return Enqueue(
        hook=told["hook"],
        args=told.get("args", ()),
        at=at,
        interval=told.get("interval"),
        cron=told.get("cron"),
        tz=told.get("tz"),
        group=told.get("group", ""),
        priority=told.get("priority", 10),
        unique=told.get("unique", False),
        key=key,
        after=tuple(after),
    )


def _span(told: float | str) -> timedelta:
    try:
        if isinstance(told, str):
            return parse_duration(told, "in")
        span = timedelta(seconds=told)
    except (InputError, OverflowError, ValueError) as error:
        raise Problem("invalid", f"in: {error}".replace("in: in: ", "in: "), field="in") from None
    if span < timedelta(0):
        raise Problem("invalid", "in: not in the past", field="in")
    return span


async def _behind(call: Call, uuids: Sequence[str]) -> list[int]:
    """Return the actions of jobs that another is to wait for."""
    if not uuids:
        return []
    wanted = list(dict.fromkeys(uuids))
    seen = {j.record.uuid: j for j in await call.parts.readers.ask(lambda q: q.jobs(wanted))}
    for uuid in wanted:
        if uuid not in seen or not is_own(call, seen[uuid].record.key_name):
            raise Problem("invalid", f"after: there is no job {uuid}", field="after")
    return [seen[uuid].action.id for uuid in wanted]


def idempotency_key(call: Call) -> str:
    """Return the header's key; quoted, as the draft has it, and bare are the same."""
    told = call.header("idempotency-key")
    if not told and "idempotency-key" not in call.request.headers:
        return ""
    quoted = _QUOTED.fullmatch(told)
    key = re.sub(r"\\(.)", r"\1", quoted[1]) if quoted else told
    if not (quoted or _KEY.fullmatch(told)):
        raise Problem(
            "bad-request",
            "Idempotency-Key: 1 to 255 visible ASCII characters, quoted or bare",
            field=KEY_HEADER,
        )
    return key


def preferred_wait(call: Call) -> float | None:
    """Return how long the client prefers to wait for the end; None when it does not say."""
    told = ", ".join(call.request.headers.getlist("prefer"))
    waits = [found for part in told.split(",") if (found := _WAIT.fullmatch(part))]
    return min(LONGEST_WAIT_SECONDS, float(waits[0][1])) if waits else None
