"""What the migrations share: a site's queue, and the files that they write and read."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wpbridge.cli.output import told
from wpbridge.migrate.file_locations import FileLocations
from wpbridge.queue.facade import Queue
from wpbridge.site.config import Settings
from wpbridge.site.resolve import resolve
from wpbridge.store.connect import open_site
from wpbridge.system.served_folders import why_served


@contextmanager
def opened_with_places(settings: Settings) -> Iterator[tuple[Queue, FileLocations]]:
    """Open the queue of settings; with the places for its files."""
    site = resolve(settings, os.environ)
    with Queue(open_site(site), unique_by=settings.unique_by) as queue:
        yield queue, FileLocations.of(settings, site, queue.store)


def undo_file(places: FileLocations, name: str) -> Path:
    """Return the journal that ``--undo`` names; say where it should not lie.

    InputError where there is none.
    """
    file = places.old(name)
    if why := why_served(Path(os.path.realpath(file.parent))):
        told(f"{file}: {why}: move it away, with the files beside it that begin with its name")
    return file
