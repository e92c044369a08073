"""The HTTP gateway: docs/explain/gateway.md. It needs the extra ``wpbridge[web]``."""

from typing import Final

DOOR: Final = ("listening", "serving", "supervised")
"""The modules that other rooms may import."""
