"""What a daemon for many sites tells of itself and of each site, in a file that it renews.

`wpbridge sites status`, the dashboard and the exporter read it. The file belongs to the daemon's
user alone, since reasons may tell of a site's files. It is replaced as a whole, so a reader finds
the old one or the new one.
"""

import json
import os
import stat
import time
from collections.abc import Mapping
from dataclasses import asdict, field
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal, TypeAlias, get_args

from wpbridge.dataclass import dataclass
from wpbridge.errors import ConfigError
from wpbridge.site.config import Settings
from wpbridge.system import private_files

SiteCondition: TypeAlias = Literal["new", "idle", "due", "running", "lingering", "ending", "bad"]
"""What a site does now.

``new``: nobody has looked at it yet. ``idle``: the last look found nothing. ``due``: it waits for
its process, or for its next try. ``running``: its process runs actions. ``lingering``: its process
has nothing to do, and ends soon. ``ending``: its process was told to end, and ends what it runs.
``bad``: it cannot be looked at, or its process cannot run; the reason says why.
"""

WITHIN_SECONDS: Final = 20.0
"""A file older than this is a dead daemon's."""
FILE_NAME: Final = "sites.json"
_OF_ROOT: Final = Path("/run/wpbridge-sites")
"""Not a folder of the units: its mode keeps others out, and their daemons could not enter it."""
_MOST_BYTES: Final = 64 << 20
_FORM: Final = 1
"""The number of this form of the file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteState:
    """One site, as its daemon sees it. All dates are in UTC."""

    name: str
    place: str
    """Its WordPress folder, or its database without the password."""
    user: str
    """As whom its processes run; empty while that is not known."""
    condition: SiteCondition
    reason: str = ""
    """Why it is bad, or waits. Empty where all is well."""
    failures: int = 0
    """How often in a row it could not be looked at, or its process failed."""
    last_look: datetime | None = None
    """When a look last succeeded."""
    next_look: datetime | None = None
    """When it is looked at next; None while its process runs."""
    due_since: datetime | None = None
    """Since when it waits for its process; None while it does not."""
    last_run: datetime | None = None
    """When its process was last started."""
    last_end: datetime | None = None
    """When its process last ended."""
    runs: int = 0
    """How many processes were started for it since the daemon began."""
    pid: int | None = None
    """Of its process, while it has one."""
    php_workers: int = 0
    """How many PHP processes its process may have now."""
    in_hand: int = 0
    """How many actions its process has claimed and not ended."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """What its processes have done since the daemon began, such as ``complete`` and ``failed``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SitesState:
    """A daemon for many sites, and its sites by name."""

    pid: int
    written_at: datetime
    monotonic: float
    """The host's monotonic clock when it was written, in seconds."""
    daemon: Literal["starting", "working", "quiet", "stopping"]
    place: str
    """The list: a file or a folder."""
    list_problem: str = ""
    """Why the list could not be read again, if so. The daemon goes on with the old one."""
    faults: tuple[str, ...] = ()
    """What is wrong with entries of the list. These sites are not served."""
    most_running: int
    running: int
    """Site processes now."""
    waiting: int
    """Sites that wait for a process."""
    most_php: int
    php: int
    """PHP workers that all site processes together may have now."""
    sites: tuple[SiteState, ...] = ()

    def count(self, *conditions: SiteCondition) -> int:
        """Return how many sites are in one of these conditions."""
        return sum(site.condition in conditions for site in self.sites)

    def is_old(self, now: float | None = None) -> bool:
        """Tell whether the daemon has died, or hangs. ``now`` is of the monotonic clock."""
        age = (time.monotonic() if now is None else now) - self.monotonic
        return not 0 <= age <= WITHIN_SECONDS

    def to_json(self) -> dict[str, Any]:
        """Return the state as values for JSON; dates are in ISO 8601."""
        told = _plain(asdict(self))
        return {"form": _FORM, **told}

    @classmethod
    def from_json(cls, told: object) -> "SitesState":
        """Read what :meth:`to_json` has made. Raises ValueError for anything else."""
        try:
            if not isinstance(told, dict) or told.pop("form", None) != _FORM:
                raise ValueError("it is no state of sites that this release reads")
            sites = tuple(_site(site) for site in told.pop("sites"))
            written = datetime.fromisoformat(told.pop("written_at"))
            faults = tuple(map(str, told.pop("faults")))
            return cls(**told, written_at=written, faults=faults, sites=sites)
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"it is no state of sites: {error}") from None


def _site(told: dict[str, Any]) -> SiteState:
    dates = {
        name: None if told[name] is None else datetime.fromisoformat(told[name]) for name in _DATES
    }
    if told["condition"] not in get_args(SiteCondition):
        raise ValueError(f"a site has the unknown condition {told['condition']!r}")
    counts = {str(name): int(count) for name, count in told["counts"].items()}
    return SiteState(**{**told, **dates, "counts": MappingProxyType(counts)})


_DATES: Final = ("last_look", "next_look", "due_since", "last_run", "last_end")


def _plain(value: Any) -> Any:
    match value:
        case datetime():
            return value.astimezone(UTC).isoformat(timespec="milliseconds")
        case Mapping():
            return {name: _plain(one) for name, one in value.items()}
        case list() | tuple():
            return [_plain(one) for one in value]
    return value


def state_file(settings: Settings, env: Mapping[str, str]) -> Path:
    """Return where the daemon of these settings, or of this user, tells its state.

    Without a setting it is ``/run/wpbridge-sites/sites.json`` for root. For other users it lies in
    the folder ``wpbridge`` of the user's runtime folder, or in ``/tmp/wpbridge-UID``.
    """
    if settings.sites_state_file is not None:
        return settings.sites_state_file
    user = os.geteuid()
    if user == 0:
        return _OF_ROOT / FILE_NAME
    runtime = Path(env.get("XDG_RUNTIME_DIR") or f"/run/user/{user}")
    folder = runtime / "wpbridge" if runtime.is_dir() else Path(f"/tmp/wpbridge-{user}")  # noqa: S108 - checked when it is opened
    return folder / FILE_NAME


def write(file: Path, state: SitesState) -> None:
    """Put the state into the file, in one step. Raises OSError."""
    with private_files.replaced(file) as stream:
        stream.write(json.dumps(state.to_json(), separators=(",", ":")).encode())


def read(file: Path) -> SitesState:
    """Read the state that a daemon has written. Whether it is old is the caller's to ask.

    Raises:
        ConfigError: there is none, it is another user's, or it cannot be read.
    """
    try:
        number = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        with open(number, "rb") as stream:  # noqa: PTH123 - a descriptor
            found = os.fstat(number)
            if not stat.S_ISREG(found.st_mode) or found.st_uid not in {0, os.geteuid()}:
                raise ConfigError(f"{file} is not a file of yours or root's")
            text = stream.read(_MOST_BYTES)
    except FileNotFoundError:
        raise ConfigError(
            f"no daemon has written {file}: start `wpbridge work --sites`, or name the file with"
            " --state-file"
        ) from None
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}") from None
    try:
        return SitesState.from_json(json.loads(text))
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{file} cannot be read: {error}") from None
