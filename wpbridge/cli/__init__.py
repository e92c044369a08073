"""The command line: parse, call one function, print. No rules of its own."""


def main() -> None:
    """Entry point of the ``wpbridge`` command."""
    from wpbridge import logs  # noqa: PLC0415
    from wpbridge.cli.main import cli  # noqa: PLC0415 - keeps `import wpbridge.cli` cheap
    from wpbridge.cli.terminal import guard_stderr  # noqa: PLC0415

    guard_stderr()
    logs.fall_back()
    cli(prog_name="wpbridge")
