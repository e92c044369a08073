"""``keys``: who may call the HTTP gateway, and the secret with which PHP and wpbridge sign."""

from typing import Any

import click

from wpbridge.cli import api_keys, callback_secret
from wpbridge.cli.options import one_line_errors, settings_of, site_options
from wpbridge.cli.output import check_fields, confirm, list_options, print_rows, told
from wpbridge.cli.terminal import print_line
from wpbridge.cli.times import times_in, tz_option
from wpbridge.queue.facade import opened
from wpbridge.store.rows.signing import SigningSecret
from wpbridge.upkeep import signing_secrets
from wpbridge.upkeep.signing_secrets import Rotation

FIELDS = (
    "name",
    "kind",
    "state",
    "allow",
    "hooks",
    "groups",
    "rate",
    "callback_hosts",
    "created",
    "expires",
    "used",
    "fingerprint",
    "retired",
)
SHOWN = ("name", "kind", "state", "allow", "hooks", "groups", "created", "expires", "used")


@click.group()
def keys() -> None:
    """API keys of the HTTP gateway, and the secret with which PHP and wpbridge sign."""


@keys.command(
    "list",
    short_help="Show the API keys and the signing secrets.",
    epilog="""
Examples:
  wpbridge keys list
  wpbridge keys list --format json
""",
)
@site_options
@list_options(FIELDS)
@tz_option
@click.pass_context
@one_line_errors
def list_(ctx: click.Context, *, fields: str | None, field: str | None, **flags: Any) -> None:
    """Show what each API key allows, when it ends and when it was last used.

    Beside them, show the dates and fingerprints of the signing secrets. No secret is shown.
    """
    check_fields(FIELDS, fields, field)
    settings = settings_of(ctx, flags)
    with opened(settings) as queue:
        zone = times_in(settings, queue.store)
        rows = [api_keys.row_of(one) for one in queue.store.api_keys.all()]
        secrets = [_row(one) for one in queue.store.signing.stored()]
    print_rows(
        [*rows, *secrets],
        fields=FIELDS,
        shown_fields=SHOWN,
        style=settings.format,
        chosen=fields,
        field=field,
        zone=zone,
    )
    if not secrets:
        told("there is no signing secret yet: it is made when it is first needed, or by init")


def _row(one: SigningSecret) -> dict[str, Any]:
    return {
        **dict.fromkeys(FIELDS),
        "name": one.fingerprint,
        "kind": "signing",
        "state": "damaged" if one.secret is None else one.place,
        "created": one.created_at,
        "fingerprint": one.fingerprint,
        "retired": one.retired_at,
    }


@keys.command(
    "rotate-signing",
    short_help="Make a new signing secret; the old one stays valid until the next time.",
    epilog="""
Examples:
  wpbridge keys rotate-signing --dry-run
  wpbridge keys rotate-signing --yes
  wpbridge keys rotate-signing --drop-previous --yes
""",
)
@site_options
@click.option("--drop-previous", is_flag=True, help="End the old secret at once, as after a leak.")
@click.option("--dry-run", is_flag=True, help="Say what would end; change nothing.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@click.pass_context
@one_line_errors
def rotate_signing(
    ctx: click.Context, *, drop_previous: bool, dry_run: bool, yes: bool, **flags: Any
) -> None:
    """Make a new signing secret. The old one stays valid, and the one before it ends.

    Running processes notice the new secret within 30 seconds, and go on.
    """
    settings = settings_of(ctx, flags)
    with opened(settings) as queue:
        done = signing_secrets.rotate(
            queue.store,
            keep_previous=not drop_previous,
            dry_run=dry_run,
            confirm=lambda plan: confirm(_question(plan), yes=yes),
        )
    print_line("would make a new signing secret" if dry_run else f"made signing secret {done.new}")
    if done.kept:
        print_line(f"{done.kept} {'would stay' if dry_run else 'stays'} valid as the previous one")
    for one in done.ended:
        print_line(f"{'would end' if dry_run else 'ended'} {one or 'a damaged one'}")


def _question(plan: Rotation) -> str:
    ended = [one or "a damaged one" for one in plan.ended]
    what = f", and end {' and '.join(ended)} at once" if ended else ""
    return f"make a new signing secret{what}"


for command in (
    api_keys.add,
    api_keys.rotate,
    api_keys.revoke,
    api_keys.token,
    callback_secret.callback_secret,
):
    keys.add_command(command)
