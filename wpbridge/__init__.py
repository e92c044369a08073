"""wpbridge runs WordPress Action Scheduler queues with Python handlers, beside the plugin.

For handler authors: ``from wpbridge import hook, Context, Retry, Cancel``, and ``middleware`` and
``on`` (events) beside them. For whoever enqueues: ``from wpbridge import Queue``.
"""

from typing import TYPE_CHECKING

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
    "Context": "wpbridge.handlers",
    "Enqueue": "wpbridge.enqueue",
    "Query": "wpbridge.store.records",
    "Queue": "wpbridge.queue",
    "Retry": "wpbridge.outcome",
    "Snooze": "wpbridge.outcome",
    "hook": "wpbridge.handlers",
    "middleware": "wpbridge.handlers",
    "on": "wpbridge.handlers",
}

if TYPE_CHECKING:
    from wpbridge.enqueue import Enqueue
    from wpbridge.handlers import Context, hook, middleware, on
    from wpbridge.outcome import Cancel, Retry, Snooze
    from wpbridge.queue import Queue
    from wpbridge.store.records import Query


def __getattr__(name: str) -> object:
    """Load a public name when it is asked for: ``wpbridge --help`` needs none of them."""
    if name not in _HOMES:
        raise AttributeError(f"module 'wpbridge' has no attribute {name!r}")
    import importlib  # noqa: PLC0415

    return getattr(importlib.import_module(_HOMES[name]), name)
