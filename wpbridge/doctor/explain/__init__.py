"""Explain why an action does not run: everything that is in its way, the most decisive first.

``facts`` reads the queue once. ``pending`` and ``not_pending`` judge these facts and read nothing.
``verdict`` has the words. Nothing is changed.
"""

import os
from collections.abc import Mapping
from datetime import UTC, tzinfo

from wpbridge import app
from wpbridge.action import Status
from wpbridge.clock import Clock, SystemClock
from wpbridge.doctor.explain.facts import Facts, Holder, gather
from wpbridge.doctor.explain.not_pending import ended, running
from wpbridge.doctor.explain.pending import JUDGES, RETRIED
from wpbridge.doctor.explain.verdict import WORDS, Explanation, Reason, verdict
from wpbridge.errors import SiteError
from wpbridge.plugin import companion
from wpbridge.queue.facade import Queue
from wpbridge.site.config import Settings
from wpbridge.site.resolve import Site, resolve
from wpbridge.site.zone import shown_zone
from wpbridge.store.connect import open_site
from wpbridge.store.records import ENDED
from wpbridge.store.running.seen_runners import RELAY

__all__ = (
    "CODES",
    "RETRIED",
    "Explainer",
    "Explanation",
    "Facts",
    "Holder",
    "Reason",
    "explain",
    "explain_action",
    "gather",
)

CODES = tuple(WORDS)
"""Every code that a reason may have."""


def explain_action(
    settings: Settings,
    action_id: int,
    *,
    ask_wordpress: bool = False,
    env: Mapping[str, str] = os.environ,
    clock: Clock | None = None,
) -> Explanation:
    """Explain an action of the site that these settings mean.

    Handlers are loaded only where the command line names them. With ``ask_wordpress`` PHP loads
    WordPress once, to say whether there is a callback.

    Raises:
        ActionNotFound: there is no such action.
        ConfigError, SiteError, StoreError, WpCliError: the site cannot be asked.
    """
    site = resolve(settings, env)
    explainer = Explainer(settings, site=site, clock=clock)
    with Queue(open_site(site), unique_by=settings.unique_by) as queue:
        callback = None
        if ask_wordpress:
            hook = queue.get(action_id).hook
            callback = app.callbacks(settings, site, queue.store, {hook}, env).get(hook)
        return explainer(queue, action_id, callback=callback)


class Explainer:
    """Explains actions of one site, one after the other, on queues that are open already."""

    def __init__(
        self,
        settings: Settings,
        *,
        site: Site | None = None,
        clock: Clock | None = None,
        zone: tzinfo | None = None,
    ) -> None:
        """Look at the handlers once.

        Args:
            settings: the rules that are in force.
            site: the site; its WordPress, where it has one, may be asked and may lack the companion
                plugin.
            clock: what tells the time.
            zone: the time zone in which times are shown; None for the one that the settings name.
        """
        handlers, left_out = app.handlers_to_look(settings)
        self._settings = settings
        self._routes = app.routes_of(settings, handlers, left_out=left_out)
        self._site = site
        self._clock = clock or SystemClock()
        self._zone = zone

    def __call__(
        self, queue: Queue, action_id: int, *, callback: bool | None = None
    ) -> Explanation:
        """Explain one action; ``callback`` says whether PHP has one, None that nobody asked.

        Raises:
            ActionNotFound: there is no such action.
            StoreError: the queue cannot be asked.
        """
        facts = gather(
            queue,
            action_id,
            self._settings,
            self._routes,
            now=self._clock.now(),
            callback=callback,
            may_ask=self._site is not None and self._site.folder is not None,
            companion=self._companion(queue),
            zone=self._zone or self._told_zone(queue),
        )
        return explain(facts)

    def _companion(self, queue: Queue) -> str:
        """Return the command that installs the companion plugin where it is missing."""
        site = self._site
        if site is None or site.mu_plugins is None:
            return ""
        try:
            found = companion.read(site.mu_plugins)
        except SiteError:
            return ""
        if companion.is_of(found, queue.store.names.prefix):
            return ""
        return companion.command_for(self._settings, site.folder)

    def _told_zone(self, queue: Queue) -> tzinfo:
        if self._settings.format == "json":
            return UTC
        return shown_zone(self._settings.tz, queue.store.tables.zone)


def explain(facts: Facts) -> Explanation:
    """Judge the facts. Pure."""
    record = facts.record
    if record.status in ENDED:
        reasons = [ended(facts)]
    elif record.status == Status.IN_PROGRESS:
        reasons = [running(facts)]
    elif record.status != Status.PENDING:
        text = f"its status is {record.status!r}, which no runner knows"
        reasons = [Reason(code="unknown-status", text=text)]
    else:
        reasons = [reason for judge in JUDGES for reason in judge(facts)] or [_due(facts)]
    return Explanation(
        id=record.id,
        hook=record.hook,
        status=record.status,
        verdict=verdict(record, reasons),
        reasons=tuple(reasons),
    )


def _due(facts: Facts) -> Reason:
    relays = facts.living(RELAY) if facts.decision.to == "celery" else ()
    what = f"{relays[0]} hands it to Celery next" if relays else "the next run takes it"
    return Reason(code="due", text=f"it is due and free: {what}")
