"""Public names that go away: the register of them, and the import paths that still answer."""

from typing import Final

DOOR: Final = ("moved", "register")
"""The modules that other rooms may import."""
