"""Takes wpbridge out of a site again: what is there of it, and what is removed."""

from typing import Final

DOOR: Final = ("uninstalling",)
"""The modules that other rooms may import."""
