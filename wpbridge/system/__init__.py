"""What the machine gives: processes, programs, private files, and whose files are obeyed."""

from typing import Final

DOOR: Final = (
    "private_files",
    "processes",
    "programs",
    "served_folders",
    "trusted_files",
    "trusted_imports",
)
"""The modules that other rooms may import."""
