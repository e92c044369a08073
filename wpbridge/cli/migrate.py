"""``migrate``: queues moved, mended and put away; each subcommand has a module of its own."""

from types import MappingProxyType
from typing import Final

import click

from wpbridge.cli.lazy_group import LazyGroup

_COMMANDS: Final = {
    "wp-cron": ("migrate_wpcron", "Turn WP-Cron's events into actions."),
    "post-store": ("migrate_poststore", "Move the plugin's old post store into its tables."),
    "export": ("migrate_export", "Write actions to a file."),
    "import": ("migrate_import", "Add the actions of an exported file."),
    "copy": ("migrate_copy", "Copy actions from one site to another."),
    "index": ("migrate_index", "Add an index that makes the plugin's claims fast."),
    "schema": ("migrate_schema", "Compare the tables with the plugin's, and mend them."),
    "archive": ("migrate_archive", "Move actions that ended long ago into files."),
}


class _Migrations(LazyGroup):
    """The commands of all migrations."""

    sections = MappingProxyType({"Commands": _COMMANDS})
    functions = MappingProxyType({"import": "import_"})


@click.group(cls=_Migrations)
def migrate() -> None:
    """Move queues: from WP-Cron, from the old post store, from site to site, into archives.

    Each command can be tried with --dry-run, stopped at any moment and started again.
    """
