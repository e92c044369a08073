"""Answer operators: list, show, explain and change actions, pauses and counts."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any, Final

from starlette.responses import Response

from wpbridge.action import ActionId
from wpbridge.clock import SystemClock
from wpbridge.monitor.ended import ended_by, hour_of
from wpbridge.queue.commands import carry_out
from wpbridge.queue.enqueue import encoded
from wpbridge.queue.jobs import JobQueue
from wpbridge.site.moments import parse_moment
from wpbridge.store.records import Query
from wpbridge.web.calls import Answer, Call
from wpbridge.web.documents import action_document, json_answer, moment
from wpbridge.web.problems import Problem

MOST_DUE: Final = 100_000
"""How far due actions are counted for a scaler."""
CAP: Final = 100_000


async def listed(call: Call) -> Response:
    """List actions, by id, page by page."""
    query = query_of(call.query)
    limit = query.limit
    seen = await call.parts.readers.ask(lambda q: q.find(replace(query, limit=limit + 1)))
    page = seen[:limit]
    following = page[-1].id if len(seen) > limit and query.order == "id" else None
    return json_answer({"actions": [action_document(one) for one in page], "next": following})


def query_of(told: Any) -> Query:
    """Return the query of filters; raise a Problem for what is none."""
    now = SystemClock().now()
    dates: dict[str, Any] = {
        name: parse_moment(told[name], now, name=name)
        for name in ("since", "until", "modified_since", "modified_until")
        if name in told
    }
    args = None
    if "args" in told:
        try:
            args = encoded(json.loads(told["args"]))
        except (ValueError, RecursionError):
            raise Problem("invalid", "args: a JSON array or object", field="args") from None
    after = ActionId(told["after_id"]) if "after_id" in told else None
    order = told.get("order", "id")
    if after is not None and order != "id":
        raise Problem("invalid", 'after_id: only with order "id"', field="after_id")
    return Query(
        hooks=tuple(told.get("hook", ())),
        groups=tuple(told.get("group", ())),
        statuses=tuple(told.get("status", ())),
        args=args,
        claim=told.get("claim"),
        claimed=told.get("claimed"),
        search=told.get("search", ""),
        after_id=after,
        order=order,
        limit=told.get("limit", 50),
        **dates,
    )


async def get(call: Call) -> Response:
    """Show one action with its result."""
    one = _id(call)

    def ask(queue: JobQueue) -> dict[str, Any]:
        stored = queue.result(one)
        told = action_document(queue.get(one), queue.zones_of([one]).get(one))
        told["waits_for"] = [wait.after_id for wait in queue.waits_of([one])]
        told["result"] = json.loads(stored.result) if stored and stored.result else None
        return told

    return json_answer(await call.parts.readers.ask(ask))


async def logs(call: Call) -> Response:
    """Show an action's log."""
    one = _id(call)
    entries = await call.parts.readers.ask(lambda q: q.logs(one))
    told = [{"id": e.id, "date": moment(e.at), "message": e.message} for e in entries]
    return json_answer({"logs": told})


async def explain(call: Call) -> Response:
    """Explain an action, as `wpbridge explain` does."""
    one = _id(call)
    return json_answer(await call.parts.readers.ask(lambda _: call.parts.explain(one)))


def changing(verb: str) -> Answer:
    """Return what answers with a change of one action."""

    async def change(call: Call) -> Response:
        one, told = _id(call), call.body or {}
        done = await call.parts.readers.ask(
            lambda queue: carry_out(
                queue, verb, [one], told, who=call.caller.name, address=call.address
            )
        )
        if not done.ids:
            raise Problem("conflict", done.skipped.get(one, "the action is not in such a state"))
        return json_answer(
            {"ids": list(done.ids), "made": {str(i): n for i, n in done.made.items()}}
        )

    return change


async def stats(call: Call) -> Response:
    """Count actions; a number that ends with the cap means so many or more."""
    if "since" in call.query:
        return await _stats_since(call)
    by = call.query.get("by", "status")
    tallies = await call.parts.readers.ask(lambda q: q.stats(by, cap=CAP))
    told = [
        {
            "name": tally.name,
            "statuses": dict(tally.statuses),
            "due": tally.due,
            "cap": tally.cap,
            "oldest_due": moment(tally.oldest_due),
        }
        for tally in tallies
    ]
    return json_answer({"by": by, "stats": told})


async def _stats_since(call: Call) -> Response:
    """Tell what ended within a time, by hour, hook or group."""
    by, now = call.query.get("by", "hour"), SystemClock().now()
    since = parse_moment(call.query["since"], now, name="since")
    if by == "status":
        raise Problem("invalid", "by: hour, hook or group, with since", field="by")
    if since > now:
        raise Problem("invalid", "since: this lies ahead", field="since")
    rows = await call.parts.readers.ask(lambda q: ended_by(q.store, by, since, now))
    told = {"since": moment(hour_of(since)), "until": moment(now)}
    return json_answer({"by": by, **told, "stats": [asdict(row) for row in rows]})


async def pauses(call: Call) -> Response:
    """List the pauses in force."""
    found = await call.parts.readers.ask(lambda q: q.pauses())
    told = [
        {
            "kind": pause.kind,
            "name": pause.name,
            "until": moment(pause.until),
            "reason": pause.reason,
        }
        for pause in found
    ]
    return json_answer({"pauses": told})


async def pause(call: Call) -> Response:
    """Pause one hook, one group, or everything."""
    return await _scoped(call, "pause", call.body)


async def resume(call: Call) -> Response:
    """End the pause of one hook, one group, or of everything."""
    return await _scoped(call, "resume", call.query)


async def _scoped(call: Call, verb: str, told: Mapping[str, Any]) -> Response:
    await call.parts.readers.ask(
        lambda queue: carry_out(queue, verb, (), told, who=call.caller.name, address=call.address)
    )
    return await pauses(call)


async def scale(call: Call) -> Response:
    """Say how many actions are due, or how many workers are advised, as a scaler asks.

    The connection ends with the answer: KEDA opens one for each of its triggers, and lets them lie.
    """
    if call.query.get("of") == "workers":
        advice = await asyncio.to_thread(call.parts.metrics.advice)
        if advice is None:
            why = "the tables could not be read lately: nobody knows how many workers are needed"
            raise Problem("unavailable", why, retry_after_seconds=15.0)
        value = advice.workers_advised
    else:
        value = await call.parts.readers.ask(lambda q: q.due(MOST_DUE))
    return json_answer({"value": value}, 200, {"Connection": "close"})


def _id(call: Call) -> ActionId:
    told = call.path["action"]
    if not (told.isascii() and told.isdigit() and 0 < int(told[:20]) < 1 << 63):
        raise Problem("not-found", "there is no such action")
    return ActionId(int(told))
