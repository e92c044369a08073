"""``mcp``: an assistant looks at a queue, over standard input and output."""

from typing import Any

import click

from wpbridge.cli.options import handlers_option, one_line_errors, settings_of, site_options
from wpbridge.daemon.log_setup import start_log
from wpbridge.errors import ConfigError


@click.command(
    short_help="Let an assistant that speaks MCP look at the queue.",
    epilog="""
Examples:
  wpbridge mcp --path /var/www/html
  wpbridge mcp --path /var/www/html --allow-changes
""",
)
@site_options
@handlers_option
@click.option(
    "--allow-changes",
    is_flag=True,
    help="Also let the assistant make changes that it has previewed.",
)
@click.pass_context
@one_line_errors
def mcp(ctx: click.Context, *, allow_changes: bool, **flags: Any) -> None:
    """Answer an assistant over standard input and output, by the Model Context Protocol.

    The assistant starts this command. It can ask for the status, lists, logs, failures, reasons and
    the doctor's findings. Values of secret names are masked, and all texts of the queue are marked
    as data. Without --allow-changes the database takes no writes from it.
    """
    settings = settings_of(ctx, flags)
    try:
        from wpbridge.mcp import serving  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("wpbridge"):
            raise
        raise ConfigError(f"{error.name} is not installed: pip install 'wpbridge[mcp]'") from None
    start_log(settings)
    serving.serve(settings, allows_changes=allow_changes)
