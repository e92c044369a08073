"""What keeps the tables small and in order: retention, the plugin's cleaner, duties."""

from typing import Final

DOOR: Final = ("cleaning", "duties", "retention")
"""The modules that other rooms may import."""
