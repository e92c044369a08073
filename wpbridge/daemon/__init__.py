"""The processes around a runner: `wpbridge work` starts, watches and ends its workers here."""

from typing import Final

DOOR: Final = (
    "worker_process",
    "handover",
    "heartbeat",
    "log_setup",
    "measured",
    "notify",
    "service",
    "signals",
    "sites",
    "supervisor",
    "worker_link",
)
"""The modules that other rooms may import."""
