"""Writing the heartbeat file each second, and saying once that it cannot be written."""

from pathlib import Path

from wpbridge.daemon import heartbeat
from wpbridge.daemon.heartbeat import SILENT_SECONDS, Beat
from wpbridge.telling.log import tell


class Pulse:
    """Whether the daemon lives, for those who cannot ask it."""

    def __init__(self) -> None:
        self._was_live = True
        self._is_deaf = False

    def beat(self, file: Path | None, beat: Beat, *, silent_seconds: float) -> None:
        """Write it; the last one before a silence says why there are no more."""
        if self._was_live and not beat.live:
            tell("worker.silent", seconds=round(silent_seconds))
        if file is not None and (beat.live or self._was_live):
            self._write(file, beat)
        self._was_live = beat.live

    def _write(self, file: Path, beat: Beat) -> None:
        try:
            heartbeat.write(file, beat)
        except OSError as error:
            if not self._is_deaf:
                tell("heartbeat.failed", file=str(file), error=error.strerror)
            self._is_deaf = True
        else:
            self._is_deaf = False


def is_live(silent_seconds: float) -> bool:
    """Whether every worker's loop has given a sign lately."""
    return silent_seconds < SILENT_SECONDS
