"""Reads and writes the PHP files of ours that have one line of JSON as their configuration."""

import json
import re
from importlib import resources
from typing import Any

from wpbridge.dataclass import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonLine:
    """One such file: the PHP that we ship for it, and the line with its configuration."""

    template_name: str
    """The file in this folder. Its configuration is empty."""
    constant: str
    """The constant whose text is the JSON."""
    mark: bytes
    """A text by which a file is known as ours."""
    more: tuple[str, ...] = ()
    """Files in this folder whose PHP stands behind that of the template, in the same file."""

    @property
    def pattern(self) -> re.Pattern[bytes]:
        """Return the line as a pattern of three groups. The middle one is the JSON."""
        begin = rb"^(define\( '%s', ')" % self.constant.encode()
        return re.compile(begin + rb"((?:[^'\\\n]|\\.)*)(' \);)$", re.MULTILINE)

    def template(self) -> bytes:
        """Return the PHP that we ship."""
        folder = resources.files("wpbridge").joinpath("plugin")
        more = [folder.joinpath(name).read_bytes().removeprefix(b"<?php") for name in self.more]
        return b"".join([folder.joinpath(self.template_name).read_bytes(), *more])

    def text(self, source: bytes) -> bytes | None:
        """Return the JSON of a file. None if the file is not ours, or has no such line."""
        line = self.pattern.search(source) if self.mark in source else None
        return None if line is None else re.sub(rb"\\([\\'])", rb"\1", line[2])

    def render(self, source: bytes, value: Any) -> bytes:
        """Return a file's PHP with this value as its configuration.

        Raises:
            ValueError: the PHP has no place for a configuration.
        """
        # Only printable ASCII, and nothing in it that could end the text, the line or the PHP.
        text = json.dumps(value, separators=(",", ":"))
        for character in "'<>":
            text = text.replace(character, f"\\u{ord(character):04x}")
        literal = text.replace("\\", "\\\\").encode("ascii")
        rendered, count = self.pattern.subn(lambda line: line[1] + literal + line[3], source)
        if count != 1:
            raise ValueError("the template has no place for the configuration")
        return rendered
