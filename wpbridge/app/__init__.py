"""Puts together what runs actions: a runner, its store, its executors.

``routing`` says who runs what, ``php`` starts WordPress, ``executors`` and ``runners`` make a
runner, and ``reporting`` has other services told. ``parts`` is what a run works with, ``named_run``
judges actions that somebody named, ``queued_hooks`` says who runs what is in the queue, ``worker``
is a process of the daemon, and ``cron_bridge`` shows moved events to PHP. ``relay`` hands over to
Celery, and ``handed_worker`` is the runner in a process of a Celery worker.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from wpbridge.app.executors import make_executor
    from wpbridge.app.own_hooks import OWN, own_handlers, unrun
    from wpbridge.app.php import ask_php, callbacks, judge_php, php_launch
    from wpbridge.app.routing import (
        claim_filter,
        handlers_of,
        handlers_to_look,
        not_loaded,
        routes_of,
    )
    from wpbridge.app.runners import make_caretaker, make_runner, tell_brackets, tell_outages

__all__ = (
    "OWN",
    "ask_php",
    "callbacks",
    "claim_filter",
    "handlers_of",
    "handlers_to_look",
    "judge_php",
    "make_caretaker",
    "make_executor",
    "make_runner",
    "not_loaded",
    "own_handlers",
    "php_launch",
    "routes_of",
    "tell_brackets",
    "tell_outages",
    "unrun",
)

DOOR: Final = (
    "broker_sight",
    "cron_bridge",
    "draining",
    "handed_worker",
    "named_run",
    "parts",
    "php",
    "queued_hooks",
    "relay",
    "reporting",
    "site_worker",
    "worker",
)
"""The modules that other rooms may import, beside the names of this one."""

_HOMES: Final = {
    "OWN": "wpbridge.app.own_hooks",
    "own_handlers": "wpbridge.app.own_hooks",
    "unrun": "wpbridge.app.own_hooks",
    "ask_php": "wpbridge.app.php",
    "callbacks": "wpbridge.app.php",
    "claim_filter": "wpbridge.app.routing",
    "handlers_of": "wpbridge.app.routing",
    "handlers_to_look": "wpbridge.app.routing",
    "judge_php": "wpbridge.app.php",
    "make_caretaker": "wpbridge.app.runners",
    "make_executor": "wpbridge.app.executors",
    "make_runner": "wpbridge.app.runners",
    "not_loaded": "wpbridge.app.routing",
    "php_launch": "wpbridge.app.php",
    "routes_of": "wpbridge.app.routing",
    "tell_brackets": "wpbridge.app.runners",
    "tell_outages": "wpbridge.app.runners",
}


def __getattr__(name: str) -> object:
    """Load a name when it is asked for: who explains an action makes no runner."""
    if name not in _HOMES:
        raise AttributeError(f"module 'wpbridge.app' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
