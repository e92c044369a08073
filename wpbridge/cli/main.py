"""The command tree; commands load what they need when they are called."""

import importlib
from typing import Any

import click

from wpbridge import __version__
from wpbridge.cli.options import SiteGroup, site_options

_COMMANDS = {
    "claim-and-run": ("run", "Claim due actions and run them."),
    "init": ("store", "Prepare a queue: wpbridge's own table, on SQLite all tables."),
    "uninstall": ("store", "Remove wpbridge's own table."),
    "hooks": ("hooks", "Show what happens to each hook in the queue, and why."),
    "status": ("store", "Show how many actions there are, by status."),
    "check": ("store", "Check settings and store; changes nothing."),
    "wp": ("wp", "Put the companion plugin into WordPress, or take it away."),
    "decode": ("decode", "Show any PHP-serialized text as JSON."),
}


class LazyGroup(SiteGroup):
    """Lists commands without importing them, so that --help is quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order above."""
        del ctx
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command's module."""
        del ctx
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(f"wpbridge.cli.{_COMMANDS[cmd_name][0]}")
        command: Any = getattr(module, cmd_name.replace("-", "_"))
        return command if isinstance(command, click.Command) else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """One line each, from the table above."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _COMMANDS.items()])


@click.command(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Site options may stand before or after the command. Exit codes: 0 done, 1 error,"
    " 2 usage, 3 actions failed (--fail-on-error), 69 no database, 75 busy, 78 configuration.",
)
@site_options
@click.version_option(__version__, prog_name="wpbridge")
def cli(**_site: Any) -> None:
    """Run WordPress Action Scheduler queues with Python handlers, beside the plugin."""
