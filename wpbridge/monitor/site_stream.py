"""Looks at many sites over and over, as a stream of lines: what one process tells another.

A process with threads cannot look at sites by copies of itself, so it starts one that has none. The
looks are spread over time. The list is read anew in each round.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from wpbridge.errors import ConfigError
from wpbridge.monitor.site_look import look_at_each
from wpbridge.site.site_list import SiteEntry, SiteList
from wpbridge.system.forked import NotBefore

EVERY_SECONDS: Final = 60.0
"""Each site is looked at so often."""


def stream(
    read: Callable[[], SiteList],
    say: Callable[[dict[str, Any]], None],
    *,
    trusted: bool,
    strict: bool = False,
    every_seconds: float = EVERY_SECONDS,
) -> None:
    """Look at the sites of a list for ever, and say what is found.

    In the first round each site is looked at as soon as there is room, and later at its own moment
    of each round.

    Args:
        read: reads the list.
        say: takes one message at a time: a list, why it cannot be read, or the looks at one entry.
        trusted: see :func:`wpbridge.monitor.site_look.look_at_each`.
        strict: see there.
        every_seconds: how long a round takes.
    """
    rounds = _rounds(read, say, every_seconds)
    for name, looks in look_at_each(rounds, trusted=trusted, strict=strict):
        say({"entry": name, "looks": [look.to_json() for look in looks]})


def _rounds(
    read: Callable[[], SiteList], say: Callable[[dict[str, Any]], None], every_seconds: float
) -> Iterator[SiteEntry | NotBefore]:
    entries: tuple[SiteEntry, ...] = ()
    is_first = True
    while True:
        begin = time.monotonic()
        try:
            listed = read()
        except ConfigError as error:
            # The list that was read before counts on.
            say({"problem": str(error)})
        else:
            entries = listed.sites
            say(_told(listed))
        for number, entry in enumerate(entries):
            if not is_first:
                yield NotBefore(begin + every_seconds * number / len(entries))
            yield entry
        is_first = False
        yield NotBefore(begin + every_seconds)


def _told(listed: SiteList) -> dict[str, Any]:
    return {
        "sites": [[entry.name, entry.place] for entry in listed.sites],
        "faults": [[fault.place, fault.problem] for fault in listed.faults],
    }
