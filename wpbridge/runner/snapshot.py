"""What a run is doing, for people who ask."""

from dataclasses import asdict
from typing import Any

from wpbridge.runner.shared import Run


def snapshot(run: Run) -> dict[str, Any]:
    """Tell what a run has in hand, as JSON."""
    in_hand, running, now = run.in_hand, run.executor.running(), run.clock.now()
    return {
        "pid": run.me.pid,
        "state": run.state,
        "held": len(in_hand.calls),
        "claims": sorted(in_hand.claims),
        "running": [
            {
                "id": call.action.id,
                "hook": call.action.hook,
                "seconds": round((now - running[call]).total_seconds(), 1),
            }
            for call in sorted(in_hand.calls, key=lambda call: call.action.id)
            if call in running
        ],
        "totals": asdict(run.totals),
    }
