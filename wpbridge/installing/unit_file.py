"""Writes a unit's file, and never over one that wpbridge did not write."""

import os
from pathlib import Path
from typing import Final, Literal

from wpbridge.errors import ConfigError, InputError
from wpbridge.installing.unit import Unit
from wpbridge.installing.written import unit_of
from wpbridge.system.whole_files import replacing

_MODE: Final = 0o644
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC

Change = Literal["created", "renewed", "unchanged"]


def change_of(file: Path, unit: Unit, *, force: bool = False) -> Change:
    """Say what writing would do.

    Args:
        file: the place of the unit.
        unit: what would be written.
        force: replace a unit of wpbridge's that somebody has changed.

    Raises:
        InputError: the file there is not ours, is another site's, or was changed by hand.
        ConfigError: it cannot be read.
    """
    try:
        before = file.read_text("utf-8", "replace") if file.exists() else None
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}") from error
    if before is None and not file.is_symlink():
        return "created"
    if before == unit.text:
        return "unchanged"
    told, new = unit_of(before or ""), unit_of(unit.text)
    if told is None or new is None or file.is_symlink():
        raise InputError(f"{file} was not written by wpbridge: move it away, or choose a --name")
    if told.label != new.label:
        raise InputError(f"{file} starts another site, {told.label}: choose another --name")
    if told.is_changed and not force:
        raise InputError(
            f"{file} was changed by hand since wpbridge wrote it: keep what is yours in a drop-in"
            f" (systemctl edit {file.stem}), then add --force"
        )
    return "renewed"


def write(file: Path, unit: Unit) -> None:
    """Write the unit as a whole. systemd finds the old one or the new one, even after a crash.

    Raises:
        ConfigError: it cannot be written.
    """
    try:
        folder = os.open(file.parent, _FOLDER)
        try:
            with replacing(folder, file.name) as stream:
                stream.write(unit.text.encode())
                os.fchmod(stream.fileno(), _MODE)
        finally:
            os.close(folder)
    except OSError as error:
        cure = ": run this as root, or look at it with --dry-run" if os.geteuid() else ""
        raise ConfigError(f"{file} cannot be written: {error.strerror}{cure}") from error
