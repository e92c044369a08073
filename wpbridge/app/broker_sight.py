"""Ask the message broker of the settings whether it answers, and how it keeps messages.

What speaks with brokers is loaded here and not before, since most commands need none.
"""

import sys
import threading
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from wpbridge.dataclass import dataclass
from wpbridge.errors import BrokerUnavailable
from wpbridge.executors.celery.opening import open_broker
from wpbridge.site.celery_kinds import broker_kind, safe_broker
from wpbridge.site.config import Settings

if TYPE_CHECKING:
    from wpbridge.executors.celery.broker import Durability

ANSWER_SECONDS: Final = 5.0
"""A broker that has not answered by then is taken not to answer."""
_PACKAGES: Final = {
    "amqp": ("kombu", "amqp"),
    "redis": ("kombu", "redis"),
    "sqs": ("kombu", "boto3", "pycurl"),
}
_EXTRAS: Final = {"sqs": "celery-sqs"}


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerSight:
    """What one question to a broker has shown."""

    address: str
    """Without the password."""
    missing: tuple[str, ...] = ()
    """Packages that this Python lacks; then the broker was not asked."""
    extra: str = "celery"
    """The extra of wpbridge that has them."""
    fault: str = ""
    """Why the broker does not answer; empty when it does."""
    durability: "Durability | None" = None
    """How a Redis keeps messages; None for other brokers."""


def look_at_broker(settings: Settings) -> BrokerSight | None:
    """Return what the broker of the settings answers, within seconds; None where there is none."""
    address = settings.celery_broker
    if address is None:
        return None
    shown = safe_broker(address)
    kind = broker_kind(address) or ""
    if missing := tuple(name for name in _PACKAGES.get(kind, ()) if not _is_there(name)):
        return BrokerSight(address=shown, missing=missing, extra=_EXTRAS.get(kind, "celery"))
    found: list[BrokerSight] = []
    # The libraries do not bound each wait, as that for the name of the host.
    thread = threading.Thread(target=lambda: found.append(_ask(settings, shown)), daemon=True)
    thread.start()
    thread.join(ANSWER_SECONDS)
    late = f"the broker has not answered within {ANSWER_SECONDS:g} s"
    return found[0] if found else BrokerSight(address=shown, fault=late)


def _is_there(package: str) -> bool:
    # A package that makes its names when they are asked for has no spec once it is loaded.
    return package in sys.modules or find_spec(package) is not None


def _ask(settings: Settings, shown: str) -> BrokerSight:
    broker = open_broker(settings, connect_seconds=ANSWER_SECONDS)
    try:
        broker.check()
        return BrokerSight(address=shown, durability=broker.durability())
    except BrokerUnavailable as error:
        return BrokerSight(address=shown, fault=str(error))
    finally:
        broker.close()
