"""PHP hooks: warm WP-CLI processes that load WordPress once and run one action after the other."""

from typing import Final

DOOR: Final = ("frames", "launch", "limits", "executor", "probe")
"""The modules that other rooms may import."""
