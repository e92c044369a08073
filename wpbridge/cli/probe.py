"""``probe``: whether the daemon lives, and whether it takes work, by its heartbeat file."""

import os
from pathlib import Path

import click

from wpbridge.cli.exit_codes import Exit
from wpbridge.cli.options import one_line_errors, settings_of
from wpbridge.cli.terminal import print_line
from wpbridge.daemon import heartbeat
from wpbridge.errors import ConfigError


@click.command(
    "probe",
    short_help="Ask whether the daemon lives, or takes work.",
    epilog="""
Examples:
  wpbridge probe live --heartbeat-file /run/wpbridge/heartbeat
  wpbridge probe ready --heartbeat-file /run/wpbridge/heartbeat
""",
)
@click.argument("what", metavar="live|ready", type=click.Choice(["live", "ready"]))
@click.option("--heartbeat-file", metavar="FILE", help="The file that `work` writes.")
@click.option("--config", metavar="FILE", help="Settings file (default ./wpbridge.toml).")
@click.pass_context
@one_line_errors
def probe(ctx: click.Context, *, what: str, heartbeat_file: str | None, config: str | None) -> None:
    """Exit with 0 if the daemon is live or ready, else with 1, and print one line that says why.

    The command does not ask the database. `live` means that the daemon has written its file within
    15 seconds, and that every worker's loop has given a sign within a minute. It holds even if the
    database is away. `ready` means that, in addition, all workers are registered and the database
    answers them.
    """
    told = heartbeat_file or os.environ.get("WPBRIDGE_HEARTBEAT_FILE")
    file = Path(told) if told else settings_of(ctx, {"config": config}).heartbeat_file
    if file is None:
        raise ConfigError("no heartbeat file: name it with --heartbeat-file, as for `work`")
    beat = heartbeat.read(file)
    why = heartbeat.not_live(beat) if what == "live" else heartbeat.not_ready(beat)
    if why is None:
        print_line(what)
        return
    print_line(f"not {what}: {why}")
    raise SystemExit(int(Exit.ERROR))
