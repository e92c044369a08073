"""The command line: it parses, calls one function and prints. It holds no rules of its own."""

from typing import Final

DOOR: Final = ("main",)
"""The modules that other rooms may import."""


def main() -> None:
    """Entry point of the ``wpbridge`` command."""
    from wpbridge.cli.main import cli  # noqa: PLC0415 - keeps `import wpbridge.cli` cheap
    from wpbridge.cli.terminal import guard_stderr  # noqa: PLC0415
    from wpbridge.telling import formats  # noqa: PLC0415

    guard_stderr()
    formats.fall_back()
    cli(prog_name="wpbridge")
