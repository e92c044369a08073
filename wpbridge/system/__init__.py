"""Access to the machine: processes, programs, private files, and files that may be obeyed."""

from typing import Final

DOOR: Final = (
    "append_only",
    "datagrams",
    "forked",
    "links",
    "listening",
    "own_program",
    "private_files",
    "processes",
    "programs",
    "served_folders",
    "trusted_files",
    "trusted_imports",
    "whole_files",
)
"""The modules that other rooms may import."""
