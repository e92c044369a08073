"""``decode``: any PHP-serialized text, to JSON."""

import sys
from pathlib import Path

import click

from wpbridge.cli.options import one_line_errors
from wpbridge.cli.terminal import print_json
from wpbridge.codec import php


@click.command(
    epilog="""
Examples:
  wpbridge decode 'a:1:{i:0;s:3:"abc";}'
  wpbridge decode @schedule.bin
"""
)
@click.argument("text", metavar="TEXT|@FILE|-")
@click.option("--compact", is_flag=True, help="Print on one line.")
@one_line_errors
def decode(text: str, *, compact: bool) -> None:
    r"""Show a PHP-serialized value or schedule as JSON. Nothing is ever built from it.

    TEXT may write NUL bytes as \0. From a file or stdin the bytes are taken as they are, less a
    final newline.
    """
    value = php.decode(_read(text))
    print_json(php.to_plain(value), indent=None if compact else 2)


def _read(text: str) -> bytes:
    if text == "-":
        return sys.stdin.buffer.read().removesuffix(b"\n")
    if text.startswith("@"):
        try:
            return Path(text[1:]).read_bytes().removesuffix(b"\n")
        except OSError as error:
            raise click.BadParameter(f"{text[1:]}: {error.strerror}") from None
    return text.encode("utf-8", "surrogateescape").replace(b"\\0", b"\0")
