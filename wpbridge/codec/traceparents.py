"""The ``traceparent`` of W3C Trace Context, which names the span that led to something."""

import re
from typing import Final

_SHAPE: Final = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})"
)


def checked(text: str) -> str:
    """Return the text if it is a valid traceparent, or else an empty one."""
    return text if _SHAPE.fullmatch(text) else ""


def ids_of(text: str) -> tuple[int, int, int] | None:
    """Return the trace id, the span id and the flags. None if the text is no valid traceparent."""
    found = _SHAPE.fullmatch(text)
    return None if found is None else (int(found[1], 16), int(found[2], 16), int(found[3], 16))
