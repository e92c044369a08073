"""What a runner does: finding, claiming, owning, ending, limits, suspects."""

from typing import Final

DOOR: Final = ("candidates", "limits", "ownership", "plans", "runner_store")
"""The modules that other rooms may import."""
