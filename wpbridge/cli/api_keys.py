"""``keys add``, ``rotate``, ``revoke`` and ``token``: who may call the HTTP gateway."""

import os
import socket
from collections.abc import Sequence
from typing import Any

import click

from wpbridge.access import changing
from wpbridge.access.keys import check_allowed, read_allowed
from wpbridge.cli.filters import read_args
from wpbridge.cli.options import format_option, one_line_errors, settings_of, site_options
from wpbridge.cli.output import confirm, told
from wpbridge.cli.terminal import print_json, print_line
from wpbridge.errors import InputError
from wpbridge.queue.facade import opened
from wpbridge.site.moments import parse_duration
from wpbridge.site.rules import rate_text
from wpbridge.store.rows.api_keys import ApiKeyRecord
from wpbridge.system.trusted_files import owner_name


@click.command(
    short_help="Add an API key for the HTTP gateway; it is shown once.",
    epilog="""
Examples:
  wpbridge keys add shop --allow enqueue,read --hooks 'send_*' --groups mail
  wpbridge keys add ci --allow enqueue --hooks '*' --rate 100/s --expires 90d --format json
  wpbridge keys add ops --allow operate,read --dry-run
""",
)
@click.argument("name")
@site_options
@click.option(
    "--allow",
    multiple=True,
    metavar="A,B",
    help="Rights: enqueue, read, operate, administer, metrics.",
)
@click.option("--hooks", multiple=True, metavar="A,B", help="Patterns of hooks to enqueue.")
@click.option(
    "--groups", multiple=True, metavar="A,B", help="Patterns of groups (only actions without one)."
)
@click.option(
    "--rate", metavar="N/TIME", help="Requests allowed in a time: 100/s, 6000/m (no limit)."
)
@click.option(
    "--callback-hosts",
    multiple=True,
    metavar="A,B",
    help="Patterns of hosts to which callbacks may go (none).",
)
@click.option("--expires", metavar="TIME", help="How long the key is valid: 90d (for ever).")
@click.option("--dry-run", is_flag=True, help="Check everything; add nothing.")
@format_option("How to print the key (text).")
@click.pass_context
@one_line_errors
def add(
    ctx: click.Context,
    *,
    name: str,
    allow: Sequence[str],
    hooks: Sequence[str],
    groups: Sequence[str],
    rate: str | None,
    callback_hosts: Sequence[str],
    expires: str | None,
    dry_run: bool,
    **flags: Any,
) -> None:
    """Add an API key, which may do only what you name. The key is shown once.

    The table keeps a hash of its secret. If a key is lost, make a new one with `keys rotate`.
    """
    settings = settings_of(ctx, flags)
    allowed = check_allowed(
        rights=_parts(allow),
        hooks=_parts(hooks),
        groups=_parts(groups),
        rate=rate,
        callback_hosts=_parts(callback_hosts),
    )
    with opened(settings) as queue:
        key = changing.add(queue.store, name, allowed, expires=expires, who=who(), dry_run=dry_run)
    if dry_run:
        _print(settings.format, name, None, f"would add API key {name}")
    else:
        _print(settings.format, name, key.text, f"added API key {name}: it is shown only this once")


@click.command(
    short_help="Give an API key a new secret; the old one counts for a while.",
    epilog="""
Examples:
  wpbridge keys rotate shop
  wpbridge keys rotate shop --keep-old 0
  wpbridge keys rotate shop --expires 90d --format json
""",
)
@click.argument("name")
@site_options
@click.option(
    "--keep-old", default="24h", metavar="TIME", help="How long the old key stays valid (24h)."
)
@click.option("--expires", metavar="TIME", help="How long the key is valid (as before).")
@click.option("--dry-run", is_flag=True, help="Check everything; change nothing.")
@format_option("How to print the key (text).")
@click.pass_context
@one_line_errors
def rotate(
    ctx: click.Context,
    *,
    name: str,
    keep_old: str,
    expires: str | None,
    dry_run: bool,
    **flags: Any,
) -> None:
    """Make a new secret for an API key, and show the new key once.

    The old key stays valid for a while, so that clients can be changed without a gap. After a leak
    give --keep-old 0.
    """
    settings = settings_of(ctx, flags)
    with opened(settings) as queue:
        key, kept = changing.rotate(
            queue.store, name, keep_old=keep_old, expires=expires, who=who(), dry_run=dry_run
        )
    old = f"the old one {'would count' if dry_run else 'counts'} for {kept} s more"
    if not kept:
        old = f"the old one {'would end' if dry_run else 'has ended'}"
    if dry_run:
        _print(settings.format, name, None, f"would rotate API key {name}; {old}")
    else:
        _print(settings.format, name, key.text, f"rotated API key {name}; {old}")


@click.command(
    short_help="End an API key for ever.",
    epilog="""
Examples:
  wpbridge keys revoke shop --dry-run
  wpbridge keys revoke shop --yes
""",
)
@click.argument("name")
@site_options
@click.option("--dry-run", is_flag=True, help="Check everything; change nothing.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@click.pass_context
@one_line_errors
def revoke(ctx: click.Context, *, name: str, dry_run: bool, yes: bool, **flags: Any) -> None:
    """End an API key. The gateway refuses it within 5 seconds, and its name is not given again."""
    with opened(settings_of(ctx, flags)) as queue:
        there = changing.known(queue.store, name)
        if there.revoked_at is not None:
            told(f"the API key {name} was revoked before")
            return
        if dry_run:
            print_line(f"would revoke API key {name}")
            return
        confirm(f"revoke API key {name} for ever", yes=yes)
        queue.store.api_keys.revoke(name, who=who())
    print_line(f"revoked API key {name}")


@click.command(
    short_help="Print a token for a browser: to read one job, or to enqueue one action.",
    epilog="""
Examples:
  wpbridge keys token --job 01935c2e-7b1a-7c3e-8f00-1234567890ab --for 10m
  wpbridge keys token --hook send_mail --args '{"order": 17}' --group mail --for 5m
""",
)
@site_options
@click.option("--job", metavar="UUID", help="The job that may be read.")
@click.option("--hook", metavar="HOOK", help="The hook that may be enqueued, once.")
@click.option("--args", "args", metavar="JSON|@FILE|-", help="The args of that action ([]).")
@click.option("--group", metavar="SLUG", help="The group of that action (none).")
@click.option(
    "--for", "for_", default="10m", metavar="TIME", help="How long it is valid, 15m at most (10m)."
)
@click.pass_context
@one_line_errors
def token(
    ctx: click.Context,
    *,
    job: str | None,
    hook: str | None,
    args: str | None,
    group: str | None,
    for_: str,
    **flags: Any,
) -> None:
    """Print a token that is valid for 15 minutes at most. Everybody who has it may use it."""
    if (job is None) == (hook is None):
        raise InputError("give --job or --hook, one of them")
    if job is not None and (args is not None or group is not None):
        raise InputError("--args and --group are for --hook")
    seconds = parse_duration(for_, "--for").total_seconds()
    values = [] if args is None else read_args(args)
    with opened(settings_of(ctx, flags)) as queue:
        if hook is not None:
            made = queue.ticket(hook, values, seconds, group=group or "")
        else:
            uuid = str(job).lower()
            made = queue.job_token(uuid, seconds)
            if queue.store.jobs.find(uuid) is None:
                raise InputError(f"there is no job {uuid}")
    print_line(made)


def who() -> str:
    """Return who gives the command, for the audit table."""
    return f"cli:{owner_name(os.getuid())}@{socket.gethostname()}"


def row_of(record: ApiKeyRecord) -> dict[str, Any]:
    """Return a key as `keys list` shows it: without any hash."""
    allowed = read_allowed(record.rights)
    return {
        "name": record.name,
        "kind": "api-key",
        "state": _state(record),
        "allow": list(allowed.rights),
        "hooks": list(allowed.hooks),
        "groups": list(allowed.groups),
        "rate": rate_text(allowed.rate),
        "callback_hosts": list(allowed.callback_hosts),
        "created": record.created_at,
        "expires": record.expires_at,
        "used": record.used_at,
        "fingerprint": "",
        "retired": record.revoked_at,
    }


def _state(record: ApiKeyRecord) -> str:
    if record.revoked_at is not None:
        return "revoked"
    if record.is_expired:
        return "expired"
    return "rotating" if len(record.hashes) > 1 else "valid"


def _print(style: str, name: str, key: str | None, words: str) -> None:
    if style == "json":
        print_json({"name": name, "key": key})
        return
    told(words)
    if key is not None:
        print_line(key)


def _parts(given: Sequence[str]) -> tuple[str, ...]:
    """Split values with commas. An empty one stays, so that it is refused."""
    parts = [part.strip() for one in given for part in one.split(",")]
    return tuple(dict.fromkeys(parts))
