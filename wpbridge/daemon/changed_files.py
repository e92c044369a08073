"""For development: whether files have changed, by looking now and then."""

import os
from collections.abc import Collection


class ChangedFiles:
    """The dates and sizes of files, as they were last seen."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[int, int] | None] = {}

    def look(self, names: Collection[str]) -> list[str]:
        """Return the files that have changed; one that is seen for the first time has not."""
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
