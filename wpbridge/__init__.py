"""wpbridge runs WordPress Action Scheduler queues with Python handlers, beside the plugin.

For handler authors: ``from wpbridge import hook, Context, Retry, Cancel``, and ``middleware`` and
``on`` (events) beside them. For whoever enqueues: ``from wpbridge import Queue``.
"""

import sys
from typing import TYPE_CHECKING

from wpbridge.deprecated.moved import Finder
from wpbridge.deprecated.register import of_kind, warn

__version__ = "0.1.0"

__all__ = [
    "Cancel",
    "Context",
    "Enqueue",
    "Query",
    "Queue",
    "Retry",
    "Snooze",
    "__version__",
    "hook",
    "middleware",
    "on",
]

_HOMES = {
    "Cancel": "wpbridge.outcome",
    "Context": "wpbridge.executors.handlers",
    "Enqueue": "wpbridge.queue.enqueue",
    "Query": "wpbridge.store.records",
    "Queue": "wpbridge.queue.facade",
    "Retry": "wpbridge.outcome",
    "Snooze": "wpbridge.outcome",
    "hook": "wpbridge.executors.handlers",
    "middleware": "wpbridge.executors.handlers",
    "on": "wpbridge.executors.handlers",
}

if TYPE_CHECKING:
    from wpbridge.executors.handlers import Context, hook, middleware, on
    from wpbridge.outcome import Cancel, Retry, Snooze
    from wpbridge.queue.enqueue import Enqueue
    from wpbridge.queue.facade import Queue
    from wpbridge.store.records import Query


if Finder not in sys.meta_path:
    sys.meta_path.append(Finder)


def __getattr__(name: str) -> object:
    """Load a public name when it is asked for: ``wpbridge --help`` needs none of them."""
    if (going := of_kind("api").get(name)) is not None:
        warn("api", name, above=3)
        return getattr(sys.modules[__name__], going.successor)
    if name not in _HOMES:
        raise AttributeError(f"module 'wpbridge' has no attribute {name!r}")
    import importlib  # noqa: PLC0415

    return getattr(importlib.import_module(_HOMES[name]), name)
