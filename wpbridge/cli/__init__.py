"""The command line: parse, call one function, print. No rules of its own."""


def main() -> None:
    """Entry point of the ``wpbridge`` command."""
    from wpbridge.cli.main import cli  # noqa: PLC0415 - keeps `import wpbridge.cli` cheap

    cli(prog_name="wpbridge")
