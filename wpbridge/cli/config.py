"""``config show``: which settings count, and where each one comes from."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import click

from wpbridge.cli.options import (
    format_option,
    handlers_option,
    one_line_errors,
    php_options,
    settings_of,
    site_options,
)
from wpbridge.cli.terminal import print_json, print_line
from wpbridge.site.database import DatabaseAddress
from wpbridge.site.resolve import resolve
from wpbridge.site.shown_settings import MASK, shown_settings
from wpbridge.site.wpconfig import Unknown, WpConfig


@click.group()
def config() -> None:
    """What wpbridge is told, and by what."""


@config.command(
    epilog="""
Examples:
  wpbridge config show --path /var/www/html
  wpbridge config show --path /var/www/html --format json
"""
)
@site_options
@handlers_option
@php_options
@format_option("How to print.")
@click.pass_context
@one_line_errors
def show(ctx: click.Context, **flags: Any) -> None:
    """Show every setting with its source, and the database. Connects to nothing.

    Passwords and secrets are masked. The exit code is 78 if wp-config.php does not name the
    database.
    """
    settings = settings_of(ctx, flags)
    site = resolve(settings, os.environ)
    facts = {
        "site": site.name,
        "database": _database(site.database),
        "table_prefix": None if site.blog_id is None else site.table_prefix,
        "base_prefix": site.base_prefix,
        "blog_id": site.blog_id,
        "settings": shown_settings(settings, site),
        "wp_config": None if site.config is None else _wp_config(site.config),
    }
    if settings.format == "json":
        print_json(facts)
        return
    for line in _lines(facts):
        print_line(line)


def _database(address: DatabaseAddress) -> dict[str, Any]:
    return {
        "dialect": address.driver,
        "host": address.host,
        "port": address.port,
        "socket": address.socket,
        "file": address.path,
        "user": address.user,
        "name": address.name,
        "charset": address.charset if address.driver == "mysql" else None,
        "tls": None if address.tls is None else asdict(address.tls),
    }


def _wp_config(found: WpConfig) -> dict[str, Any]:
    values: dict[str, dict[str, Any]] = {}
    for name, value in found.values.items():
        if isinstance(value, Unknown):
            values[name] = {"value": None, "source": f"{value.file}:{value.line}: {value.why}"}
            continue
        secret = name == "DB_PASSWORD" and value
        values[name] = {
            "value": MASK if secret else value,
            "source": found.places.get(name, found.reader),
        }
    return {
        "file": str(found.file),
        "abspath": str(found.abspath),
        "reader": found.reader,
        "values": values,
    }


def _lines(facts: Mapping[str, Any]) -> list[str]:
    lines = [f"site: {facts['site']}", f"table_prefix: {facts['table_prefix']}"]
    told = [(f"database {name}", value, "") for name, value in facts["database"].items()]
    for title, found in (
        ("", facts["settings"]),
        ("wp-config.php ", (facts["wp_config"] or {"values": {}})["values"]),
    ):
        told += [(f"{title}{name}", one["value"], one["source"]) for name, one in found.items()]
    for name, value, source in told:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        lines.append(f"{name}: {text}{f'  ({source})' if source else ''}")
    if facts["wp_config"] is not None:
        lines.append(f"wp-config.php: {facts['wp_config']['file']}, {facts['wp_config']['reader']}")
    return lines
