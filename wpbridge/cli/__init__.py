"""The command line: it parses, calls one function and prints. It holds no rules of its own."""

import gc
from typing import Final

DOOR: Final = ("main",)
"""The modules that other rooms may import."""


def main() -> None:
    """Entry point of the ``wpbridge`` command."""
    # Modules make a hundred thousand objects, and none of them ends. Until the command's module is
    # loaded (LazyGroup), nothing looks for objects that could be freed.
    gc.disable()
    from wpbridge.cli.main import cli  # noqa: PLC0415 - keeps `import wpbridge.cli` cheap
    from wpbridge.cli.terminal import guard_stderr  # noqa: PLC0415
    from wpbridge.telling import formats  # noqa: PLC0415

    gc.freeze()
    guard_stderr()
    formats.fall_back()
    cli(prog_name="wpbridge")
