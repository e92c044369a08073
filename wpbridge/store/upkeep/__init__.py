"""What the upkeep needs of the store: the plugin's cleaner, retention, stale claims, duties."""

from typing import Final

DOOR: Final = ("cleaning", "duties", "php_endings", "retention", "stale_claims")
"""The modules that other rooms may import."""
