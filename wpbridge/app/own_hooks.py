"""The handlers of wpbridge's own hooks, which each runner has, and whether anybody runs them."""

import threading
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Any, Final

from wpbridge.action import BULK_HOOK, CALLBACK_HOOK, OWN_GROUP
from wpbridge.executors.handlers import Context, Handler, describe
from wpbridge.runner.identity import Identity
from wpbridge.runner.liveness import is_dead
from wpbridge.site.config import Settings
from wpbridge.store.opened import OpenStore
from wpbridge.store.records import Pause
from wpbridge.store.running.seen_runners import seen_runners

OWN: Final = frozenset({BULK_HOOK, CALLBACK_HOOK})
"""wpbridge's own hooks."""
BULKS_AT_ONCE: Final = 2
"""So many bulks a runner makes at once: callbacks go out meanwhile."""
_UNRUN_SECONDS: Final = 120
"""After this time a due action should have been run, where cron starts a run each minute."""
_LATE_SECONDS: Final = 600
"""The same where a runner lives, which may be busy."""


def own_handlers(settings: Settings) -> dict[str, Handler]:
    """Return the handlers of wpbridge's own hooks. What they need is loaded when one runs."""

    def callback(*, context: Context) -> None:
        from wpbridge.app import job_callbacks  # noqa: PLC0415 - loads `requests`

        job_callbacks.run(context, settings)

    places = threading.BoundedSemaphore(BULKS_AT_ONCE)

    def bulk(*, context: Context) -> dict[str, Any]:
        from wpbridge.app import bulk_changes  # noqa: PLC0415 - few runs make one

        return bulk_changes.run_with_room(context, places)

    return {
        BULK_HOOK: describe(BULK_HOOK, bulk, timeout=0),
        CALLBACK_HOOK: describe(CALLBACK_HOOK, callback, timeout=0),
    }


def unrun(store: OpenStore, now: datetime, me: Identity) -> str | None:
    """Say that nobody runs wpbridge's own hooks; None where somebody does, or nothing is due.

    A few short statements, for `wpbridge doctor` and for ``/readyz``. What is paused counts as run.
    A relay and the workers of Celery run none of these hooks.
    """
    lives = any(
        one.runs_what_is_due and not is_dead(one.runner, me) for one in seen_runners(store.tables)
    )
    dues = [store.due.oldest_of(now, hook) for hook in OWN]
    since = [one.at for one in dues if one is not None]
    count = store.due.held(now, OWN)
    if not lives:
        # Only a runner gives a date to what has waited for an action that PHP ended.
        for hook in OWN:
            more, first = store.session.run(partial(store.waits.over, hook=hook))
            count += more
            since += [first] if first is not None else []
    seconds = max(((now - at).total_seconds() for at in since), default=0.0)
    if seconds < (_LATE_SECONDS if lives else _UNRUN_SECONDS):
        return None
    if _is_paused(store.pauses.in_force(now)):
        return None
    why = (
        "the runners that live are busy, or leave them out (see --hooks, --groups and their likes)"
        if lives
        else "no wpbridge runner lives: start `wpbridge work`"
    )
    return (
        f"{count} action(s) of wpbridge's own (callbacks and bulks) are due, the first for"
        f" {seconds:.0f} s, and {why}"
    )


def _is_paused(pauses: Sequence[Pause]) -> bool:
    paused = {(pause.kind, pause.name) for pause in pauses}
    ours = {("group", OWN_GROUP), *(("hook", hook) for hook in OWN)}
    return bool(paused & ours) or any(kind == "all" for kind, _ in paused)
