"""What a daemon for many sites must know of its settings."""

from pathlib import Path

from wpbridge.daemon.sites.schedule import SchedulingTerms
from wpbridge.daemon.sites.site_process import SiteTerms
from wpbridge.dataclass import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class SitesTerms:
    """What the scheduler must know; the rest is the sites'."""

    place: Path
    """The list of sites."""
    scheduling: SchedulingTerms
    process: SiteTerms
    state_file: Path
    heartbeat_file: Path | None
    drain_seconds: float | None
    """None: no limit."""
