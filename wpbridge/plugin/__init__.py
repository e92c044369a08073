"""The must-use PHP that wpbridge puts into a WordPress, and how it gets there."""

from typing import Final

DOOR: Final = ("companion", "cron_bridge", "entrance", "own_hooks", "unrun")
"""The modules that other rooms may import."""
