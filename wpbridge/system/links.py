"""Reads what another process says over a link, which is a socket between the two."""

import json
import socket
from contextlib import suppress
from typing import Any, Final

MOST_BYTES: Final = 1 << 20
"""A message is no longer."""
_PART: Final = 1 << 16


class LinkReader:
    """The reader of one end of a link. Its socket may be one that does not wait."""

    def __init__(self, link: socket.socket) -> None:
        self._link = link
        self._rest = b""

    def lines(self) -> tuple[list[bytes], bool]:
        """Return the lines that are whole now, and whether more may come."""
        try:
            got = self._link.recv(_PART)
        except BlockingIOError:
            return [], True
        except OSError:
            got = b""
        *lines, self._rest = (self._rest + got).split(b"\n")
        return lines, bool(got)

    def messages(self) -> tuple[list[dict[str, Any]], bool]:
        """Return the same from a process that may say anything: each message is a JSON object.

        A line that is something else is left out. After one that is too long no more may come.
        """
        lines, goes_on = self.lines()
        found = []
        for line in lines:
            # It may be a thousand brackets.
            with suppress(ValueError, RecursionError):
                told = json.loads(line)
                found += [told] if isinstance(told, dict) else []
        return found, goes_on and len(self._rest) < MOST_BYTES
