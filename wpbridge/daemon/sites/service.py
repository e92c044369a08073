"""The daemon for many sites put together from its settings."""

import os
from collections.abc import Callable
from pathlib import Path

from wpbridge.daemon.heartbeat import refuse_unwritable
from wpbridge.daemon.notify import VARIABLES, Notifier
from wpbridge.daemon.sites.schedule import SchedulingTerms
from wpbridge.daemon.sites.scheduler import Scheduler
from wpbridge.daemon.sites.site_process import SiteTerms
from wpbridge.daemon.sites.terms import SitesTerms
from wpbridge.daemon.sites.users import allow_descriptors
from wpbridge.errors import ConfigError
from wpbridge.monitor.sites_state import SitesState, state_file
from wpbridge.site.config import Settings
from wpbridge.site.site_list import read_sites
from wpbridge.system import own_program, private_files

INTERVAL_SECONDS = 10.0
"""Between two looks at an idle site, unless the settings have a poll interval."""


def schedule_sites(
    settings: Settings,
    read: Callable[[], Settings],
    *,
    show: Callable[[str], None],
    measured: Callable[[SitesState], None] = lambda _state: None,
) -> int:
    """Run the sites of a list until told to stop; returns the exit code.

    Args:
        settings: those that the daemon starts with.
        read: reads the settings anew, for a reload.
        show: prints a line that a site's process has printed.
        measured: told the state now and then.

    Raises:
        ConfigError: the list cannot be read, or the state's file cannot be written.
    """
    terms = terms_of(settings)
    file = terms.state_file
    if not os.access(file.parent, os.W_OK):
        raise ConfigError(f"{file.parent} is no folder that can be written into")
    if terms.heartbeat_file is not None:
        refuse_unwritable(terms.heartbeat_file)
    allow_descriptors()
    # Asked once: the working folder may be gone later.
    command = own_program.command()
    env = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    return Scheduler(
        terms,
        reload=lambda: terms_of(read()),
        read_list=lambda place: read_sites(place, os.environ),
        words=lambda told: [*command, "work", "--worker", told],
        env=env,
        notifier=Notifier.of(os.environ),
        show=show,
        measured=measured,
    ).run()


def terms_of(settings: Settings, *, makes_folder: bool = True) -> SitesTerms:
    """Return what the settings say. Raises ConfigError where they name no list.

    The usual folder of the state's file is made, unless ``makes_folder`` is false.
    """
    if settings.sites is None:
        raise ConfigError("name the list of sites with --sites")
    file = state_file(settings, os.environ)
    if makes_folder and settings.sites_state_file is None:
        _make(file.parent)
    drain, kill_after = settings.drain_timeout, settings.sites_kill_after
    return SitesTerms(
        place=settings.sites,
        scheduling=SchedulingTerms(
            interval=interval_of(settings),
            most_running=settings.sites_max_running,
            most_php=settings.sites_max_php,
            php_each=settings.php_workers or 1,
            linger=settings.sites_linger.total_seconds(),
            turn=settings.sites_turn.total_seconds(),
            kill_after=None if kill_after is None else kill_after.total_seconds(),
        ),
        process=SiteTerms(
            max_memory=settings.max_memory,
            verbose=settings.verbose,
            quiet=settings.quiet,
            log_format=settings.log_format,
        ),
        state_file=file,
        heartbeat_file=settings.heartbeat_file,
        drain_seconds=None if drain is None else drain.total_seconds(),
    )


def interval_of(settings: Settings) -> float:
    """Return the seconds between two looks at an idle site."""
    if settings.sources.get("poll_interval") == "default" or settings.poll_interval is None:
        return INTERVAL_SECONDS
    return settings.poll_interval.total_seconds()


def _make(folder: Path) -> None:
    """Make the usual folder of the state's file where it is missing."""
    try:
        os.close(private_files.walk(Path(os.path.realpath(folder)), makes=True))
    except OSError as error:
        raise ConfigError(f"{folder} cannot be made: {error.strerror}") from None
