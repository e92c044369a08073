"""What a worker process answers: lines of JSON, each an object that carries the worker's secret.

Callbacks and their children may come to the same pipe, so anything may arrive in it. A line that
the worker did not write, or that is spoilt, is told as a :class:`Stray`; nothing raises.
"""

import hmac
import json
import secrets
from typing import Any, Final, NoReturn

from wpbridge.dataclass import dataclass

LONGEST_BYTES: Final = 16 << 20
"""No answer is longer. The rest of a longer line is dropped as it comes."""
_SHOWN: Final = 80


def line(frame: dict[str, Any]) -> bytes:
    """An object as it travels; all ASCII, so half a surrogate pair passes too."""
    return json.dumps(frame).encode() + b"\n"


@dataclass(frozen=True, slots=True)
class Stray:
    """A line that is no answer of the worker's."""

    why: str
    """What is wrong with it, and how it begins."""


class Answers:
    """The answers of one worker, put together from what its pipe gives."""

    def __init__(self) -> None:
        """Makes up the worker's secret; the worker must be told it."""
        self.secret = secrets.token_hex(16)
        self._secret = self.secret.encode()
        self._line = bytearray()
        self._is_dropped = False

    def feed(self, data: bytes) -> list[dict[str, Any] | Stray]:
        """Take what was read; returns the answers that are whole now, in their order."""
        found: list[dict[str, Any] | Stray] = []
        *ends, rest = data.split(b"\n")
        for end in ends:
            line = end
            if self._line or self._is_dropped or len(end) > LONGEST_BYTES:
                found += self._add(end)
                line = b"" if self._is_dropped else bytes(self._line)
                self._line, self._is_dropped = bytearray(), False
            # The worker begins each answer on a new line, whatever others left unfinished.
            if line and not line.isspace():
                found.append(self._read(line))
        found += self._add(rest)
        return found

    def _add(self, part: bytes) -> list[Stray]:
        if self._is_dropped:
            return []
        self._line += part
        if len(self._line) <= LONGEST_BYTES:
            return []
        stray = self._stray("longer than any answer", bytes(self._line[: 4 * _SHOWN]))
        self._line, self._is_dropped = bytearray(), True
        return [stray]

    def _read(self, line: bytes) -> dict[str, Any] | Stray:
        try:
            frame = _JSON.decode(line.decode())
        except (ValueError, RecursionError):
            return self._stray("no JSON", line)
        if not isinstance(frame, dict):
            return self._stray("no object", line)
        said = frame.pop("secret", None)
        told = said.encode("utf-8", "replace") if isinstance(said, str) else b""
        if not hmac.compare_digest(told, self._secret):
            return self._stray("without the worker's secret", line)
        return frame

    def stray(self, why: str, frame: dict[str, Any]) -> Stray:
        """For an answer that carries the secret, and makes no sense all the same."""
        return self._stray(why, json.dumps(frame).encode())

    def _stray(self, why: str, line: bytes) -> Stray:
        text = line.decode("utf-8", "replace").replace(self.secret, "…")
        shown = ascii(text[:_SHOWN]) + ("…" if len(text) > _SHOWN else "")
        return Stray(f"{why}: {shown}")


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


_JSON: Final = json.JSONDecoder(parse_constant=_refuse)
