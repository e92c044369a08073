"""Says in one line why something has failed, for a log and for what people are shown."""

from typing import Final

from wpbridge.errors import WpbridgeError
from wpbridge.outcome import class_name

LONGEST_REASON: Final = 500
"""Characters of a reason that is kept, or that another process tells."""


def one_line(error: BaseException) -> str:
    """Return what an error says; before it stands the file of an OSError, or a foreign class."""
    if isinstance(error, WpbridgeError):
        told = str(error)
    elif isinstance(error, OSError) and error.filename and error.strerror:
        told = f"{error.filename}: {error.strerror}"
    else:
        told = f"{class_name(error)}: {error}"
    return "; ".join(" ".join(line.split()) for line in told.splitlines())
