"""The command tree; commands load what they need when they are called."""

import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import click

from wpbridge import __version__
from wpbridge.cli.exit_codes import Exit
from wpbridge.cli.lazy_group import LazyGroup
from wpbridge.cli.old_words import with_new_options, with_new_words
from wpbridge.cli.options import SiteGroup, bare_ask_php, say, site_options
from wpbridge.cli.terminal import print_line

_SECTIONS = {
    "Run": {
        "work": ("work", "Run due actions for ever: the daemon."),
        "relay": ("relay", "Hand actions over to Celery's workers."),
        "serve": ("serve", "Take actions over HTTP: the gateway."),
        "mcp": ("mcp", "Let an assistant that speaks MCP look at the queue."),
        "exporter": ("exporter", "Serve metrics of the tables to Prometheus, without a daemon."),
        "claim-and-run": ("run", "Claim due actions and run them."),
        "run": ("run", "Run these actions now, whatever their date."),
    },
    "Look": {
        "status": ("status", "Show how many actions have each status, and who runs them."),
        "list": ("actions", "List actions."),
        "get": ("actions", "Show one action."),
        "logs": ("actions", "Show an action's log."),
        "next": ("actions", "Show when a hook runs next."),
        "stats": ("reports", "Count actions by hook, group, hour or status."),
        "failures": ("reports", "Show why actions fail, in groups of similar failures."),
        "claims": ("reports", "Show which runner has which claims."),
        "top": ("top", "Show the overview of the queue, and keep it up to date."),
        "sites": ("sites", "Look at many sites at once, by their list."),
        "workers": ("workers", "Show who runs the queue; make runners quiet, or stop them."),
        "advise": ("advise", "Say how many workers the queue needs, or what holds it up."),
        "hooks": ("hooks", "Show what happens to each hook in the queue, and why."),
        "explain": ("explain", "Say why an action does not run."),
    },
    "Change": {
        "enqueue": ("enqueue", "Add an action, or many from JSON lines."),
        "cancel": ("changes", "Cancel pending actions."),
        "delete": ("changes", "Delete actions and their logs."),
        "requeue": ("changes", "Run failed actions once more."),
        "reschedule": ("changes", "Move pending actions to another date."),
        "priority": ("changes", "Set the priority of pending actions."),
        "pause": ("pauses", "Keep every runner from claiming actions, or list the pauses."),
        "resume": ("pauses", "Lift pauses."),
        "generate": ("enqueue", "Add test actions."),
    },
    "Care": {
        "probe": ("probe", "Ask whether the daemon lives, or takes work."),
        "watch": ("watch", "Send alerts by mail, Slack and the like."),
        "doctor": ("doctor", "Find what is wrong, and mend what is safe to mend."),
        "clean": ("clean", "Delete actions that ended long ago, by the plugin's rule or yours."),
        "dedupe": ("dedupe", "End recurring chains that exist more than once."),
        "release-claims": ("release_claims", "Free actions whose PHP runner is dead."),
    },
    "Set up": {
        "init": ("init", "Prepare a queue: wpbridge's own tables, on SQLite all tables."),
        "uninstall": ("uninstall", "Take wpbridge out of a site again."),
        "grants": ("grants", "Print the rights that a database account needs."),
        "keys": ("keys", "Say who may call the gateway; show and rotate secrets."),
        "users": ("users", "Say who may sign in to the dashboard; end sessions."),
        "migrate": ("migrate", "Move queues: WP-Cron, the old post store, site to site."),
        "check": ("check", "Check settings and store; changes nothing."),
        "config": ("config", "Show every setting and where it comes from."),
        "wp": ("wp", "Put the companion plugin into WordPress, or take it away."),
        "install": ("install", "Have systemd or cron start wpbridge for a site."),
        "deploy": ("deploy", "Show or write the files for systemd, Docker and Kubernetes."),
        "decode": ("decode", "Show any PHP-serialized text as JSON."),
        "completion": ("completion", "Print a shell's completion script."),
    },
}
_FUNCTIONS = {"run": "run_ids", "list": "list_", "next": "next_"}
"""Where a command's name is a word that Python or its module uses otherwise."""


class _Tree(LazyGroup, SiteGroup):
    """The tree of all commands."""

    sections = _SECTIONS
    functions = _FUNCTIONS

    def main(
        self,
        args: Sequence[str] | None = None,
        *rest: Any,
        standalone_mode: bool = True,
        **more: Any,
    ) -> Any:
        """Run a command as click does; an error is one line, an interrupt has its own code."""
        run: Any = super().main
        args = with_new_options(sys.argv[1:] if args is None else args, say)
        args = bare_ask_php(args)
        if not standalone_mode:
            return run(args, *rest, standalone_mode=False, **more)
        try:
            code = run(args, *rest, standalone_mode=False, **more)
            if sys.stdout is not None:
                sys.stdout.flush()
        except click.ClickException as error:
            if "--nagios" in args:
                _refuse_as_plugin(error)
            _refuse(error)
        except click.Abort as error:
            if isinstance(error.__cause__ or error.__context__, KeyboardInterrupt):
                sys.exit(Exit.INTERRUPTED)
            say("aborted")
            sys.exit(Exit.ERROR)
        except OSError as error:
            # A full disk below a redirection, say; a closed pipe click has dealt with.
            place = f"{error.filename}: " if isinstance(error.filename, str) else ""
            say(f"{place}{error.strerror or error}")
            _drop_output()
            sys.exit(Exit.ERROR)
        sys.exit(code if isinstance(code, int) else Exit.OK)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, also by a name that is deprecated."""
        return super().resolve_command(ctx, with_new_words(args, say))


def _drop_output() -> None:
    """Let go of what cannot be written: at its end Python would try again, and exit with 120."""
    if sys.stdout is None:
        return
    try:
        sys.stdout.flush()
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def _refuse(error: click.ClickException) -> NoReturn:
    """Say what was used wrongly, and where to read how it is used."""
    if isinstance(error, getattr(click.exceptions, "NoArgsIsHelpError", ())):
        error.show()
    else:
        context = error.ctx if isinstance(error, click.UsageError) else None
        path = "wpbridge" if context is None else context.command_path
        say(f"{error.format_message()} ({path} --help)")
    sys.exit(error.exit_code)


def _refuse_as_plugin(error: click.ClickException) -> NoReturn:
    """Say what was used wrongly as a monitoring plugin: its codes are not ours."""
    from wpbridge.monitor import nagios  # noqa: PLC0415 - few commands need it

    report = nagios.unknown(error.format_message())
    print_line(report.line)
    sys.exit(int(report.state))


def _print_version(ctx: click.Context, _option: click.Parameter, value: bool) -> None:  # noqa: FBT001 - click gives it so
    """Print the version, and end."""
    if not value:
        return
    from wpbridge.system import own_program  # noqa: PLC0415 - only this option needs it

    print_line(f"wpbridge, version {__version__}")
    if own_program.is_single_file():
        print_line(f"wpbridge.pyz, without the extras {', '.join(own_program.extras())}")
    ctx.exit()


@click.command(
    cls=_Tree,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Site options may stand before or after the command. Exit codes: 0 done, 1 error,"
    " 2 usage, 3 actions failed (--fail-on-error), 69 no database, 75 busy, 78 configuration.",
)
@site_options
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Show the version and exit.",
)
def cli(**_site: Any) -> None:
    """Run WordPress Action Scheduler queues with Python handlers, beside the plugin."""
