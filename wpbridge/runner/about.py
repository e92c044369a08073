"""What a run's process is and does, for people who look at it from elsewhere.

The runner writes it as JSON into its row, beside its beat. Nothing decides by it.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import field
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from wpbridge.dataclass import dataclass
from wpbridge.system import processes

if TYPE_CHECKING:
    from wpbridge.runner.shared import Run

Kind: TypeAlias = Literal["work", "claim-and-run", "run", "serve", "relay", "celery"]
"""The command whose process it is; of ``work``, ``serve`` and Celery one of several processes."""
_MEGABYTE: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """What a run's process is; it does not change."""

    kind: Kind = "claim-and-run"
    supervisor: int | None = None
    """The process id of the daemon's first process; None for one that is nobody's worker."""
    has_isolated: bool = False
    """Whether some of its Python handlers run in child processes."""
    php: int = 0
    """How many warm PHP workers it may have."""
    restarts: Callable[[], Mapping[str, int]] = field(default=dict, repr=False)
    """Returns how often something of it ended by itself and was started anew, by what it is."""


def about(run: "Run") -> str:
    """Return as JSON what a run's process is and does.

    ``executors`` has the places of each kind, ``memory`` is in bytes to the megabyte, and ``done``
    counts the actions that it has ended.
    """
    process, totals = run.process, run.totals
    # A relay has no place at which anything runs.
    python = 0 if process.kind == "relay" else max(0, run.limits.concurrency - process.php)
    places = {"python": python, "isolated": python * process.has_isolated, "php": process.php}
    told = {
        "kind": process.kind,
        "supervisor": process.supervisor,
        "state": run.state,
        "executors": {name: count for name, count in places.items() if count},
        "memory": processes.memory_bytes() // _MEGABYTE * _MEGABYTE,
        "restarts": {name: times for name, times in process.restarts().items() if times},
        "done": {
            name: count
            for name in ("complete", "failed", "retried", "canceled")
            if (count := getattr(totals, name))
        },
    }
    return json.dumps(told, separators=(",", ":"))
