"""What a daemon for many sites would do, without doing it: the dry run."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from wpbridge.daemon.sites.service import terms_of
from wpbridge.daemon.sites.users import user_of
from wpbridge.dataclass import dataclass
from wpbridge.errors import ConfigError
from wpbridge.site.config import Settings
from wpbridge.site.site_list import SiteEntry, read_sites


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedSite:
    """One site of the list."""

    name: str
    place: str
    user: str
    """As whom its processes would run; empty where none would."""
    network: bool | None
    """Whether each of its blogs would be a site; None: if its WordPress is a network."""
    php: bool | None
    """Whether PHP workers run what has no handler; None: as its own settings say."""
    reason: str = ""
    """Why no process would run for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SitesPlan:
    """All sites of the list, and the bounds of the daemon."""

    sites: tuple[PlannedSite, ...]
    faults: tuple[str, ...]
    most_running: int
    most_php: int
    interval_seconds: float
    state_file: str

    def to_json(self) -> dict[str, Any]:
        """Return the plan as values for JSON."""
        return asdict(self)


def plan_of(settings: Settings, env: Mapping[str, str]) -> SitesPlan:
    """Read the list, and say what there would be. Raises ConfigError as the daemon would."""
    terms = terms_of(settings, makes_folder=False)
    found = read_sites(terms.place, env)
    return SitesPlan(
        sites=tuple(map(_planned, found.sites)),
        faults=tuple(map(str, found.faults)),
        most_running=terms.scheduling.most_running,
        most_php=terms.scheduling.most_php,
        interval_seconds=terms.scheduling.interval,
        state_file=str(terms.state_file),
    )


def _planned(entry: SiteEntry) -> PlannedSite:
    user, reason = "", ""
    try:
        user = user_of(entry).name
    except ConfigError as error:
        reason = str(error)
    return PlannedSite(
        name=entry.name,
        place=entry.where,
        user=user,
        network=entry.network,
        php=entry.php,
        reason=reason,
    )
