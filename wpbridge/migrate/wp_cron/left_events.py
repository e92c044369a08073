"""The events that a move left in WP-Cron, in a file beside its journal."""

import json
from collections.abc import Sequence
from pathlib import Path

from wpbridge.errors import ConfigError
from wpbridge.migrate.wp_cron.journal_steps import left_as_row
from wpbridge.migrate.wp_cron.plan import Left
from wpbridge.system import private_files


def file_of(journal: Path) -> Path:
    """Return where they are written: beside the journal."""
    return journal.with_name(f"{journal.name}.left")


def write(left: Sequence[Left], journal: Path) -> None:
    """Write them; an earlier run's file goes where nothing is left any more."""
    side = file_of(journal)
    try:
        if not left:
            side.unlink(missing_ok=True)
            return
        with private_files.replaced(side) as stream:
            stream.writelines(json.dumps(left_as_row(one)).encode() + b"\n" for one in left)
    except OSError as error:
        raise ConfigError(f"{side} cannot be written: {error.strerror}") from None
