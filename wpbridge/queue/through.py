"""Enqueue through the broker: an action is put into a message, and not into the table.

There is then no row that could wait, be paused or be counted. The broker has confirmed each message
before the call returns. What it then loses is lost: docs/explain/celery.md tells the trade.
"""

import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

from wpbridge.action import NewAction
from wpbridge.codec.keys import new_uuid
from wpbridge.dataclass import dataclass
from wpbridge.errors import BrokerUnavailable, ConfigError, InputError
from wpbridge.executors.celery.messages import Message, WholeAction, whole
from wpbridge.executors.celery.opening import open_broker
from wpbridge.queue import wake
from wpbridge.queue.enqueue import Enqueue, new_action
from wpbridge.site.config import Settings
from wpbridge.site.rules import route_of
from wpbridge.store.opened import OpenStore
from wpbridge.telling.log import tell

PATIENCE_SECONDS: Final = 2.0
"""How long the broker may take to connect, and to confirm."""
AWAY_SECONDS: Final = 5.0
"""For so long a broker that was away is not asked again: actions become rows at once."""


def site_mark(store: OpenStore) -> str:
    """Return by what messages name a site: short, and the same on every machine.

    It is made of the site's id in wpbridge's own tables. A database that has none is told by its
    name and prefix.
    """
    facts = store.own.facts
    return wake.wake_name(store) if facts is None else f"{facts.site_id[:12]}.{store.names.prefix}"


def lasting_site_mark(store: OpenStore) -> str:
    """Return the site's mark for messages that outlive their sender.

    The site gets its id first, where it has none yet. A worker would give it one, and would then
    refuse for ever what had another mark.

    Raises:
        StoreError: our own tables are missing, and this account may not make them.
    """
    if store.own.facts is None:
        store.own.ensure(store.names.keys)
    return site_mark(store)


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedAction:
    """An action that is checked, and may become a message or a row."""

    key: str
    action: NewAction
    message: Callable[[str, str], Message]
    """Makes its message of the site's mark and a traceparent."""


class BrokerQueue:
    """Sends actions to the broker of the settings. Any thread may use it; they take turns."""

    def __init__(self, settings: Settings) -> None:
        """Connect later. Raises ConfigError as :func:`open_broker` does."""
        self._routes = settings.routes
        self._may_forget = settings.celery_volatile
        self._broker = open_broker(
            settings, connect_seconds=PATIENCE_SECONDS, confirm_seconds=PATIENCE_SECONDS
        )
        self._lock = threading.Lock()
        self._is_known_to_keep = self._may_forget
        self._away_until = 0.0

    def prepared(self, new: Enqueue, now: datetime) -> PreparedAction:
        """Check an action. Raises InputError for what the broker cannot do, or no worker runs."""
        refused = {
            "unique": new.unique,
            "key": new.key,
            "after": new.after,
            "at": new.at is not None,
            "interval": new.interval is not None,
            "cron": new.cron is not None,
            "tz": new.tz is not None,
        }
        if names := [name for name, is_given in refused.items() if is_given]:
            raise InputError(
                f"{names[0]}: not through Celery, where nothing is compared and nothing waits;"
                " leave out through, and the action becomes a row"
            )
        found = route_of(self._routes, new.hook, new.group)
        if found is None or found[1].to != "celery":
            raise InputError(
                f'hook {new.hook}: no route hands it to Celery: add one with to = "celery"'
            )
        action, route, key = new_action(new, now), found[1], new_uuid()

        def message(site: str, traceparent: str) -> Message:
            told = WholeAction(
                site=site,
                key=key,
                hook=new.hook,
                args=action.args,
                group=new.group,
                priority=new.priority,
                enqueued_at=int(now.timestamp()),
                traceparent=traceparent,
            )
            return whole(told, queue=route.queue, priority=route.priority)

        return PreparedAction(key=key, action=action, message=message)

    def send(self, messages: Sequence[Message]) -> bool:
        """Publish messages; return whether the broker has confirmed them all.

        When it has not, some of them may have arrived all the same.

        Raises:
            ConfigError: the broker may forget what it has confirmed, and nobody has allowed that.
        """
        with self._lock:
            if time.monotonic() < self._away_until:
                return False
            try:
                self._check_memory()
                self._broker.publish(messages)
            except BrokerUnavailable as error:
                self._away_until = time.monotonic() + AWAY_SECONDS
                # What has forgotten its messages may have other settings when it is back.
                self._is_known_to_keep = self._may_forget
                tell("celery.away", broker=self._broker.address, reason=str(error))
                return False
        return True

    def close(self) -> None:
        """Close the connection to the broker."""
        with self._lock:
            self._broker.close()

    def _check_memory(self) -> None:
        if self._is_known_to_keep:
            return
        if reason := self._broker.forgets():
            raise ConfigError(
                f"this Redis may forget what is enqueued through it when it stops ({reason}): turn"
                " on appendonly, or allow that with [celery] volatile = true"
            )
        self._is_known_to_keep = True
