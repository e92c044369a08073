"""Answers what an assistant asks about a queue. Nothing is changed."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

from wpbridge.action import ActionId
from wpbridge.clock import SystemClock
from wpbridge.codec import args as args_codec
from wpbridge.doctor import check_up
from wpbridge.doctor.explain import explain_action
from wpbridge.errors import CodecError
from wpbridge.mcp.fencing import fenced
from wpbridge.queue.facade import opened
from wpbridge.queue.status import status_of
from wpbridge.site.config import Settings
from wpbridge.site.moments import iso
from wpbridge.store.records import Query, Record

MOST: Final = 50
"""Rows of an answer."""


class Looking:
    """The tools that look. Each opens the queue anew, so a server that was away does no harm."""

    def __init__(self, settings: Settings, site: str) -> None:
        self._settings = settings
        self._site = site

    def status(self) -> str:
        """Count the actions of the queue by status, and say what is due, paused and at work."""
        with opened(self._settings) as queue:
            found = status_of(queue.store, self._settings, SystemClock().now())
            told = {
                "counts": dict(found.counts),
                "due": found.due,
                "oldest_due": iso(found.oldest_due),
                "held_hooks": found.held_hooks,
                "pauses": [asdict(one) for one in found.pauses],
                "runners": [
                    {"host": one.runner.host, "pid": one.runner.pid, "kind": one.about.kind}
                    for one in found.runners
                ],
            }
        return self._told(told)

    def list_actions(
        self, status: str = "", hook: str = "", group: str = "", before_id: int = 0
    ) -> str:
        """List actions, the newest first, 50 at most; before_id goes on behind the last one."""
        query = Query(
            statuses=(status,) if status else (),
            hooks=(hook,) if hook else (),
            groups=(group,) if group else (),
            before_id=ActionId(before_id) if before_id else None,
            order="id",
            descending=True,
            limit=MOST,
        )
        with opened(self._settings) as queue:
            rows = queue.find(query)
        return self._told([row_of(one) for one in rows])

    def explain(self, action_id: int) -> str:
        """Say why an action does not run, or why it ended as it did."""
        return self._told(asdict(explain_action(self._settings, action_id, ask_wordpress=False)))

    def failures(self, hook: str = "", since: str = "-1d") -> str:
        """List the newest failed actions with the message that says why each has failed."""
        query = Query(hooks=(hook,) if hook else (), limit=MOST)
        with opened(self._settings) as queue:
            found = queue.failures(query, failed_since=since)
        return self._told([asdict(one) for one in found[:MOST]])

    def doctor(self) -> str:
        """Look for what is wrong with the queue, and say what mends it."""
        found = check_up(self._settings).examination.findings
        return self._told([asdict(one) for one in found if one.level != "ok"])

    def logs(self, action_id: int) -> str:
        """Show the newest rows of an action's log."""
        with opened(self._settings) as queue:
            rows = queue.logs(action_id)[-MOST:]
        return self._told([{"at": iso(one.at), "message": one.message} for one in rows])

    def _told(self, value: Any) -> str:
        return fenced(self._site, value, self._settings.web_mask)


def row_of(record: Record) -> Mapping[str, Any]:
    """Return what an assistant sees of an action."""
    try:
        args: object = args_codec.decode(record.args).mapping
    except CodecError:
        args = record.args.decode("utf-8", "backslashreplace")
    return {
        "id": record.id,
        "hook": record.hook,
        "status": record.status,
        "group": record.group,
        "scheduled": iso(record.scheduled_at),
        "attempts": record.attempts,
        "args": args,
    }
