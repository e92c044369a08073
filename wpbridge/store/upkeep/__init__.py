"""What keeps the tables small and in order: retention, the plugin's cleaner, duties."""

from typing import Final

DOOR: Final = ("cleaning", "duties", "retention", "stale_claims")
"""The modules that other rooms may import."""
