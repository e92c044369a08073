"""Makes the line of a crontab that runs a site's queue each minute.

Runs that overlap share the work, since claims are exclusive in the database, so there is no flock
in it. Each site's run starts in another second of the minute, so that many sites on a host do not
all start at once.
"""

import shlex
import zlib
from typing import Final

from wpbridge.dataclass import dataclass
from wpbridge.errors import ConfigError
from wpbridge.installing import written
from wpbridge.installing.started_site import StartedSite, one_line

_SPREAD_SECONDS: Final = 20
"""Runs begin within so many seconds of the minute."""
_LAST_CLAIM_SECONDS: Final = 55
"""No run claims anything after this second of its minute."""
_MOST_CHARACTERS: Final = 990
"""cron refuses longer lines."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CronLine:
    """A line for cron."""

    mark: str
    """The comment above it, by which ``uninstall`` knows it."""
    line: str
    seconds: int
    """How long it waits in each minute."""


def cron_line(site: StartedSite, *, names_user: bool = False) -> CronLine:
    """Return the line for a site.

    Args:
        site: what has to be started.
        names_user: whether it is for ``/etc/cron.d``, where a line has its user in it.

    Raises:
        ConfigError: it would be too long for cron, or has a line break in it.
    """
    seconds = zlib.crc32(site.label.encode()) % _SPREAD_SECONDS
    told = {"XDG_CACHE_HOME": site.cache, "PATH": site.path}
    variables = "".join(f"{name}={_word(value)} " for name, value in told.items() if value)
    program = " ".join(map(_word, site.program))
    options = "".join(f" {_word(word)}" for word in site.options)
    most = _LAST_CLAIM_SECONDS - seconds
    wait = f"sleep {seconds} && " if seconds else ""
    run = f"{variables}{program} claim-and-run{options} --max-time {most}s --quiet"
    user = f"{site.user.pw_name} " if names_user else ""
    line = f"* * * * * {user}cd {_word(str(site.folder))} && {wait}{run}"
    if len(line) > _MOST_CHARACTERS:
        raise ConfigError(
            f"the line has {len(line)} characters, and cron takes {_MOST_CHARACTERS}: write the"
            " options into wpbridge.toml"
        )
    return CronLine(mark=written.mark(site.label, "cron"), line=line, seconds=seconds)


def _word(word: str) -> str:
    """Write a word for cron and then for the shell.

    cron makes a line break of % unless there is a backslash before it. Some crons take that
    backslash away and others leave it to the shell, so it stands outside of quotes.
    """
    parts = one_line(word).split("%")
    return r"\%".join(shlex.quote(part) if part else "" for part in parts) or "''"
