"""Makes changes for an assistant: first a preview, then what it has shown and nothing else."""

import os
import secrets
import socket
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any, Final

from wpbridge.dataclass import dataclass
from wpbridge.errors import InputError
from wpbridge.mcp.fencing import fenced
from wpbridge.mcp.looking import row_of
from wpbridge.queue.commands import COMMANDS, Command, carry_out
from wpbridge.queue.facade import opened
from wpbridge.queue.jobs import JobQueue
from wpbridge.site.config import Settings
from wpbridge.system.trusted_files import owner_name

MOST_IDS: Final = 100
TOKEN_SECONDS: Final = 600.0
_MOST_KEPT: Final = 20
VERBS: Final = tuple(
    verb for verb, one in COMMANDS.items() if one.role == "operator" and verb != "enqueue"
)
"""What may be done. Nothing is deleted, and nothing is added that an assistant has thought of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Previewed:
    verb: str
    ids: Sequence[int]
    fields: Mapping[str, Any]
    until: float


class Changing:
    """The tools that change, with what was previewed and not yet done."""

    def __init__(self, settings: Settings, site: str) -> None:
        self._settings = settings
        self._site = site
        self._previewed: OrderedDict[str, _Previewed] = OrderedDict()
        self._guard = threading.Lock()

    def preview_change(
        self, verb: str, ids: list[int] | None = None, fields: dict[str, Any] | None = None
    ) -> str:
        """Say what a change would do, and return the token with which it can be made once.

        The ids name actions, 100 at most. The fields are those of the verb: reason, at, priority,
        again; of pause and resume hook, group, everything, for and reason; of workers runner.
        """
        command, told = _command(verb), dict(fields or {})
        chosen = list(dict.fromkeys(ids or ()))
        if (command.kind == "queue") == bool(chosen) or len(chosen) > MOST_IDS:
            raise InputError(f"ids: none for pause, resume and workers, else 1 to {MOST_IDS}")
        with opened(self._settings) as queue:
            command.read(told, JobQueue.beside(queue).now())
            rows = [queue.get(one) for one in chosen]
        meant = [one for one in rows if not command.statuses or one.status in command.statuses]
        if chosen and not meant:
            raise InputError(f"ids: none of these actions can be {command.done} as it is now")
        token = self._keep(verb, [one.id for one in meant], told)
        summary = {
            "would": verb,
            "fields": told,
            "actions": [row_of(one) for one in meant],
            "left_alone": sorted(set(chosen) - {one.id for one in meant}),
        }
        words = f"Nothing is changed yet. make_change with the token {token} does exactly this:"
        return f"{words}\n{fenced(self._site, summary, self._settings.web_mask)}"

    def make_change(self, token: str) -> str:
        """Make the change that preview_change has shown, once, within ten minutes."""
        with self._guard:
            meant = self._previewed.pop(token, None)
        if meant is None or meant.until < time.monotonic():
            raise InputError("token: it was used, is too old or was never given: preview it again")
        with opened(self._settings) as queue:
            done = carry_out(
                JobQueue.beside(queue), meant.verb, meant.ids, meant.fields, who=_who()
            )
        told = {"did": meant.verb, "count": done.count, "ids": done.ids, "skipped": done.skipped}
        return fenced(self._site, told, self._settings.web_mask)

    def _keep(self, verb: str, ids: Sequence[int], fields: Mapping[str, Any]) -> str:
        token, until = secrets.token_urlsafe(16), time.monotonic() + TOKEN_SECONDS
        with self._guard:
            self._previewed[token] = _Previewed(verb=verb, ids=ids, fields=fields, until=until)
            if len(self._previewed) > _MOST_KEPT:
                self._previewed.popitem(last=False)
        return token


def _command(verb: str) -> Command:
    if verb not in VERBS:
        raise InputError(f"verb: one of {', '.join(VERBS)}")
    return COMMANDS[verb]


def _who() -> str:
    return f"mcp:{owner_name(os.getuid())}@{socket.gethostname()}"
