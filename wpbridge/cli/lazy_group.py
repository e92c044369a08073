"""Groups of commands that are listed without being imported, so that --help is quick."""

import gc
import importlib
import inspect
from collections.abc import Mapping
from typing import Any

import click


class LazyGroup(click.Group):
    """Loads the module of a command when it is called; a subclass names them."""

    sections: Mapping[str, Mapping[str, tuple[str, str]]]
    """By heading: each command's module in this package, and its line in the list."""
    functions: Mapping[str, str]
    """Where a command's name is a word that Python or its module uses otherwise."""

    @property
    def _told(self) -> dict[str, tuple[str, str]]:
        return {name: told for section in self.sections.values() for name, told in section.items()}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """List the commands in the order of the table."""
        del ctx
        return list(self._told)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command's module."""
        del ctx
        if cmd_name not in self._told:
            return None
        module = importlib.import_module(f"wpbridge.cli.{self._told[cmd_name][0]}")
        if not gc.isenabled():
            # As main() began it: what is loaded stays, so that nobody need ever look at it again.
            gc.freeze()
            gc.enable()
        command: Any = getattr(module, self.functions.get(cmd_name, cmd_name.replace("-", "_")))
        return _with_examples(command) if isinstance(command, click.Command) else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; the error for a name that nobody knows guesses at what was meant."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            import difflib  # noqa: PLC0415 - loads only for a misspelled command

            close = difflib.get_close_matches(args[0], self._told, 1)
            if not close:
                raise
            message = f"{error.message.rstrip('.')}: did you mean {close[0]}?"
            raise click.UsageError(message, error.ctx) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write a line for each command, from the table."""
        del ctx
        for title, commands in self.sections.items():
            with formatter.section(title):
                formatter.write_dl([(name, text) for name, (_, text) in commands.items()])


def _with_examples(command: click.Command) -> click.Command:
    """Let a command's help end in examples, a line each; click would make a paragraph of them."""
    if command.epilog and not command.epilog.startswith("\b"):
        command.epilog = f"\b\n{inspect.cleandoc(command.epilog)}"
    for one in command.commands.values() if isinstance(command, click.Group) else ():
        _with_examples(one)
    return command
