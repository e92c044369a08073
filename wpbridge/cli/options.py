"""Site options, taken before or after the command's name, and errors as one line."""

import functools
import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NoReturn

import click

from wpbridge.cli.exit_codes import code_of
from wpbridge.cli.output import COLOR
from wpbridge.cli.terminal import print_line
from wpbridge.errors import ConfigError, InputError, WpbridgeError

if TYPE_CHECKING:
    from wpbridge.site.config import Settings

    _TextType = click.ParamType[str]
else:
    # Earlier releases of click have no type that is told what it gives.
    _TextType = click.ParamType

_SITE = (
    click.option("--path", metavar="DIR", help="WordPress folder; its wp-config.php is read."),
    click.option("--dsn", metavar="URL", help="Database: mysql://… or sqlite:///queue.db."),
    click.option("--table-prefix", metavar="TEXT", help="Table prefix (wp-config's, else wp_)."),
    click.option("--blog-id", type=click.IntRange(1), help="Site of a multisite network."),
    click.option("--url", metavar="URL", help="Site of a multisite network, by its address."),
    click.option("--config", metavar="FILE", help="Settings file (default ./wpbridge.toml)."),
    click.option(
        "--ask-php",
        metavar="WHEN",
        help="Let PHP run wp-config.php: never, auto or always (auto; bare: always).",
    ),
)


def site_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the site options to a group or a command."""
    for option in reversed(_SITE):
        command = option(command)
    return command


_NARROWING = (
    click.option("--hooks", metavar="A,B", help="Only these hooks, of those that have a handler."),
    click.option("--exclude-hooks", metavar="A,B", help="Not these hooks."),
    click.option("--group", "groups", metavar="A,B", help="Only these groups."),
    click.option("--exclude-groups", metavar="A,B", help="Not these groups."),
)


def narrowing_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say which hooks and groups a runner takes."""
    for option in reversed(_NARROWING):
        command = option(command)
    return command


_PHP = (
    click.option("--php/--no-php", default=None, help="Run hooks without a handler in PHP."),
    click.option("--wp", metavar="COMMAND", help='WP-CLI, or php: "docker exec -i site wp".'),
    click.option("--user", metavar="USER", help="WordPress user that PHP acts as."),
    click.option(
        "--skip-plugins", metavar="A,B", help="Plugins that PHP does not load; * for all."
    ),
    click.option(
        "--owns-site/--no-owns-site",
        default=None,
        help="wpbridge runs the whole site: the plugin's runners are off.",
    ),
)


def php_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say whether and how PHP is started."""
    for option in reversed(_PHP):
        command = option(command)
    return command


_PHP_POOL = (
    click.option(
        "--php-books",
        type=click.Choice(["bridge", "native"]),
        help="Who writes starts and endings of PHP actions (bridge).",
    ),
    click.option(
        "--missing-callback",
        type=click.Choice(["hold", "fail"]),
        help="Actions whose hook has no callback in PHP: hold or fail (hold).",
    ),
    click.option(
        "--on-crash",
        type=click.Choice(["fail", "retry"]),
        help="Actions that crash PHP: fail, or try three times (fail).",
    ),
    click.option(
        "--php-timeout",
        metavar="TIME",
        help="How long one action in PHP may run (5m; 0: no limit).",
    ),
    click.option(
        "--php-max-actions",
        type=click.IntRange(0),
        help="Replace a PHP process after so many actions (5000).",
    ),
    click.option("--php-max-age", metavar="TIME", help="Replace a PHP process at this age (1h)."),
    click.option("--php-max-memory", metavar="SIZE", help="Replace a PHP process that uses more."),
)


def php_pool_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say how PHP's workers run actions."""
    for option in reversed(_PHP_POOL):
        command = option(command)
    return command


handlers_option: Final = click.option(
    "--handlers", multiple=True, metavar="MODULE", help="Python module with @hook functions."
)


class NumberOrBounds(_TextType):
    """A whole number, or two of them as in ``1..8``; the setting reads the text once more."""

    name = "N or N..N"

    def __init__(self, least: int, most: int) -> None:
        self._least, self._most = least, most

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> str:
        """Refuse what the setting would refuse, as a wrong use of the option."""
        from wpbridge.site.bounds import NotBounds, bounds_of  # noqa: PLC0415 - as settings_of does

        try:
            return str(bounds_of(value, self._least, self._most))
        except NotBounds as error:
            self.fail(f"{value!r} is not {error}", param, ctx)


def format_option(about: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return ``--format`` for a command that prints text or JSON; ``about`` is its help."""
    return click.option("--format", "format", type=click.Choice(["text", "json"]), help=about)


def bare_ask_php(arguments: Sequence[str]) -> list[str]:
    """Return the arguments with ``--ask-php`` spelled out, which never takes the next word."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    options = ["--ask-php=always" if word == "--ask-php" else word for word in arguments[:end]]
    return [*options, *arguments[end:]]


class SiteGroup(click.Group):
    """A group that hands the options before the command's name on to the command."""

    def invoke(self, ctx: click.Context) -> Any:
        """Remember the group's own options."""
        ctx.obj = {name: value for name, value in ctx.params.items() if value is not None}
        return super().invoke(ctx)


def one_line_errors(command: Callable[..., Any]) -> Callable[..., Any]:
    """Turn wpbridge's own errors into one line on stderr and their exit code."""

    @functools.wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except WpbridgeError as error:
            fail(error)
        except UnicodeEncodeError as error:
            # Arguments may hold any bytes; what goes to a database may not.
            fail(InputError(f"{str(error.object)[:40]!r} is not UTF-8"))

    return wrapped


def fail(error: WpbridgeError) -> NoReturn:
    """Say what went wrong, a line for each fault, and end with the error's exit code."""
    for fault in error.faults if isinstance(error, ConfigError) else (str(error),):
        say(_with_way_to_extras(fault))
    raise SystemExit(int(code_of(error)))


def _with_way_to_extras(fault: str) -> str:
    """Add, where a fault names an extra, that ``wpbridge.pyz`` cannot get one."""
    if "'wpbridge[" in fault:
        from wpbridge.system import own_program  # noqa: PLC0415 - few errors name an extra

        if own_program.is_single_file():
            return f"{fault}; {own_program.NO_EXTRAS}"
    return fault


def say(words: str) -> None:
    """Print what went wrong as one line on stderr, which steers no terminal."""
    print_line(f"wpbridge: {' '.join(words.split())}", err=True)


def flags_of(ctx: click.Context, flags: Mapping[str, Any]) -> dict[str, Any]:
    """Return the flags that were given; the command's go before the group's."""
    given = {name: value for name, value in flags.items() if value not in (None, ())}
    return {**(ctx.obj or {}), **given}


def settings_of(ctx: click.Context, flags: Mapping[str, Any]) -> "Settings":
    """Read the settings from flags (the command's before the group's), environment and file."""
    from wpbridge.site.config import load, working_folder  # noqa: PLC0415 - only commands that need them read settings

    settings = load(flags_of(ctx, flags), os.environ, working_folder())
    ctx.meta[COLOR] = settings.color
    for warning in settings.warnings:
        say(warning)
    return settings
