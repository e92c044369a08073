"""``migrate``: queues moved, mended and put away; each subcommand has a module of its own."""

import importlib
import importlib.util
from typing import Any, Final

import click

from wpbridge.cli.options import guess, with_examples

_COMMANDS: Final = {
    "wp-cron": ("migrate_wpcron", "Turn WP-Cron's events into actions."),
    "post-store": ("migrate_poststore", "Move the plugin's old post store into its tables."),
    "export": ("migrate_export", "Write actions to a file."),
    "import": ("migrate_import", "Add the actions of such a file."),
    "copy": ("migrate_copy", "Copy actions from one site to another."),
    "index": ("migrate_index", "Add the index that claims are quick with."),
    "schema": ("migrate_schema", "Compare the tables with the plugin's, and mend them."),
    "archive": ("migrate_archive", "Put what ended long ago into files, and delete it."),
}
_FUNCTIONS: Final = {"import": "import_"}


class _Migrations(click.Group):
    """As the command tree above it, it loads what is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Those that are there, in the order above."""
        del ctx
        return [
            name
            for name, (module, _) in _COMMANDS.items()
            if importlib.util.find_spec(f"wpbridge.cli.{module}")
        ]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command's module."""
        if cmd_name not in self.list_commands(ctx):
            return None
        module = importlib.import_module(f"wpbridge.cli.{_COMMANDS[cmd_name][0]}")
        command: Any = getattr(module, _FUNCTIONS.get(cmd_name, cmd_name.replace("-", "_")))
        return with_examples(command) if isinstance(command, click.Command) else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """With a guess at what was meant."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            raise guess(error, args[0], self.list_commands(ctx)) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """One line each, from the table above."""
        if rows := [(name, _COMMANDS[name][1]) for name in self.list_commands(ctx)]:
            with formatter.section("Commands"):
                formatter.write_dl(rows)


@click.group(cls=_Migrations)
def migrate() -> None:
    """Move queues: from WP-Cron, from the old post store, from site to site, into archives.

    Each command can be tried with --dry-run, stopped at any moment and started again.
    """
