"""For development: whether files have changed, by looking now and then."""

import os
from collections.abc import Collection


class Watch:
    """Dates and sizes of files as last seen."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[int, int] | None] = {}

    def changed(self, names: Collection[str]) -> list[str]:
        """Those that are not as they were; files seen for the first time are not among them."""
        found: list[str] = []
        now = {name: _look(name) for name in names}
        for name, look in now.items():
            if name in self._seen and self._seen[name] != look:
                found.append(name)
        self._seen = now
        return sorted(found)


def _look(name: str) -> tuple[int, int] | None:
    try:
        found = os.stat(name)  # noqa: PTH116 - many, twice a second
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size
