"""``users``: who may sign in to the dashboard without WordPress, and who is signed in."""

from typing import Any

import click

from wpbridge.access import user_changes
from wpbridge.cli.api_keys import who
from wpbridge.cli.options import one_line_errors, settings_of, site_options
from wpbridge.cli.output import check_fields, confirm, list_options, print_rows, told
from wpbridge.cli.passwords import new_password
from wpbridge.cli.terminal import print_line
from wpbridge.cli.times import times_in, tz_option
from wpbridge.errors import InputError
from wpbridge.queue.facade import opened
from wpbridge.site.rules import ROLES
from wpbridge.store.rows.sessions import MOST_LISTED, SessionRecord
from wpbridge.store.rows.users import UserRecord

FIELDS = ("name", "role", "created", "password_changed", "used")
SESSION_FIELDS = ("person", "role", "source", "created", "expires")
_stdin_option = click.option(
    "--password-stdin", is_flag=True, help="Read the password from standard input, one line."
)
_dry_run_option = click.option("--dry-run", is_flag=True, help="Check everything; change nothing.")


@click.group()
def users() -> None:
    """Say who may sign in to the dashboard without WordPress, and end sessions."""


@users.command(
    short_help="Add a user of the dashboard; the password is asked for.",
    epilog="""
Examples:
  wpbridge users add anna --role operator
  wpbridge users add anna --role admin --password-stdin < password.txt
  wpbridge users add anna --role viewer --dry-run
""",
)
@click.argument("name")
@site_options
@click.option("--role", type=click.Choice(ROLES), required=True, help="What the user may do.")
@_stdin_option
@_dry_run_option
@click.pass_context
@one_line_errors
def add(
    ctx: click.Context,
    *,
    name: str,
    role: str,
    password_stdin: bool,
    dry_run: bool,
    **flags: Any,
) -> None:
    """Add a user. A viewer looks, an operator may also change actions, an admin may also delete.

    The password has 10 to 1,000 characters. The table has only a slow hash of it.
    """
    with opened(settings_of(ctx, flags)) as queue:
        user_changes.check_new(queue.store, name, role)
        if dry_run and not password_stdin:
            print_line(f"would add user {name} as {role}")
            return
        password = new_password(f"password of {name}", from_stdin=password_stdin)
        user_changes.add(queue.store, name, password, role=role, who=who(), dry_run=dry_run)
    print_line(f"{'would add' if dry_run else 'added'} user {name} as {role}")


@users.command(
    "list",
    short_help="Show the users of the dashboard.",
    epilog="""
Examples:
  wpbridge users list
  wpbridge users list --format json
""",
)
@site_options
@list_options(FIELDS)
@tz_option
@click.pass_context
@one_line_errors
def list_(ctx: click.Context, *, fields: str | None, field: str | None, **flags: Any) -> None:
    """Show each user's role, and when the user last signed in. No hash is shown."""
    check_fields(FIELDS, fields, field)
    settings = settings_of(ctx, flags)
    with opened(settings) as queue:
        zone = times_in(settings, queue.store)
        rows = [_row(one) for one in queue.store.users.all()]
    print_rows(rows, fields=FIELDS, style=settings.format, chosen=fields, field=field, zone=zone)
    if not rows:
        told("there are no users of the dashboard: add one with `wpbridge users add`")


@users.command(
    short_help="Remove a user of the dashboard; the sessions end.",
    epilog="""
Examples:
  wpbridge users remove anna --dry-run
  wpbridge users remove anna --yes
""",
)
@click.argument("name")
@site_options
@click.option("--dry-run", is_flag=True, help="Check everything; change nothing.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@click.pass_context
@one_line_errors
def remove(ctx: click.Context, *, name: str, dry_run: bool, yes: bool, **flags: Any) -> None:
    """Remove a user. All sessions of that user end within 5 seconds."""
    with opened(settings_of(ctx, flags)) as queue:
        user_changes.known(queue.store, name)
        if dry_run:
            print_line(f"would remove user {name}")
            return
        confirm(f"remove user {name}", yes=yes)
        user_changes.remove(queue.store, name, who=who())
    print_line(f"removed user {name}")


@users.command(
    short_help="Give a user of the dashboard another password; the sessions end.",
    epilog="""
Examples:
  wpbridge users password anna --password-stdin < password.txt
  wpbridge users password anna --dry-run
""",
)
@click.argument("name")
@site_options
@_stdin_option
@_dry_run_option
@click.pass_context
@one_line_errors
def password(
    ctx: click.Context, *, name: str, password_stdin: bool, dry_run: bool, **flags: Any
) -> None:
    """Give a user another password. All sessions of that user end."""
    with opened(settings_of(ctx, flags)) as queue:
        user_changes.known(queue.store, name)
        if dry_run and not password_stdin:
            print_line(f"would change the password of {name}")
            return
        new = new_password(f"new password of {name}", from_stdin=password_stdin)
        user_changes.set_password(queue.store, name, new, who=who(), dry_run=dry_run)
    print_line(f"{'would change' if dry_run else 'changed'} the password of {name}")


@users.command(
    short_help="Give a user of the dashboard another role.",
    epilog="""
Examples:
  wpbridge users role anna viewer
  wpbridge users role anna admin --dry-run
""",
)
@click.argument("name")
@click.argument("role", type=click.Choice(ROLES))
@site_options
@_dry_run_option
@click.pass_context
@one_line_errors
def role(ctx: click.Context, *, name: str, role: str, dry_run: bool, **flags: Any) -> None:
    """Give a user another role. It counts within 5 seconds, also in sessions that are open."""
    with opened(settings_of(ctx, flags)) as queue:
        user_changes.set_role(queue.store, name, role, who=who(), dry_run=dry_run)
    print_line(f"{'would make' if dry_run else 'made'} {name} {role}")


@users.command(
    short_help="Show who is signed in to the dashboard, or end sessions.",
    epilog="""
Examples:
  wpbridge users sessions
  wpbridge users sessions --revoke user:anna
  wpbridge users sessions --revoke-all
""",
)
@site_options
@click.option(
    "--revoke", metavar="PERSON", help="End the sessions of user:NAME or wordpress:LOGIN."
)
@click.option("--revoke-all", is_flag=True, help="End all sessions.")
@_dry_run_option
@list_options(SESSION_FIELDS)
@tz_option
@click.pass_context
@one_line_errors
def sessions(
    ctx: click.Context,
    *,
    revoke: str | None,
    revoke_all: bool,
    dry_run: bool,
    fields: str | None,
    field: str | None,
    **flags: Any,
) -> None:
    """Show who is signed in, the newest first. A revoked session ends within 5 seconds."""
    check_fields(SESSION_FIELDS, fields, field)
    if revoke is not None and revoke_all:
        raise InputError("--revoke and --revoke-all: give one of them")
    if revoke is not None and ":" not in revoke:
        raise InputError(f"--revoke: user:NAME or wordpress:LOGIN, not {revoke!r}")
    settings = settings_of(ctx, flags)
    with opened(settings) as queue:
        if (revoke is not None or revoke_all) and dry_run:
            print_line(f"would end the sessions of {'everybody' if revoke is None else revoke}")
            return
        if revoke is not None or revoke_all:
            ended = queue.store.sessions.revoke(revoke, who=who())
            print_line(f"ended {ended} session{'' if ended == 1 else 's'}")
            return
        zone = times_in(settings, queue.store)
        rows = [_session_row(one) for one in queue.store.sessions.all()]
    print_rows(
        rows, fields=SESSION_FIELDS, style=settings.format, chosen=fields, field=field, zone=zone
    )
    if not rows:
        told("nobody is signed in")
    if len(rows) == MOST_LISTED:
        told(f"only the newest {MOST_LISTED:,} are shown")


def _row(one: UserRecord) -> dict[str, Any]:
    return {
        "name": one.name,
        "role": one.role,
        "created": one.created_at,
        "password_changed": one.changed_at,
        "used": one.used_at,
    }


def _session_row(one: SessionRecord) -> dict[str, Any]:
    return {
        "person": one.person,
        "role": one.role,
        "source": one.source,
        "created": one.created_at,
        "expires": one.expires_at,
    }
