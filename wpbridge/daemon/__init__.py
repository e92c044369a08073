"""The processes around a runner: `wpbridge work` starts, watches and ends its workers here."""

from typing import Final

DOOR: Final = ("child", "heartbeat", "notify", "signals", "supervisor", "worker_link")
"""The modules that other rooms may import."""
