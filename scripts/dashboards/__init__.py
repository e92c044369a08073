"""The boards for Grafana in wpbridge/deploy/grafana, made from one description in Python.

``overview``, ``hooks``, ``workers`` and ``database`` have a board each. ``panels`` and ``promql``
have what boards are made of, and ``grafana`` turns a board into JSON.
"""

from pathlib import Path
from typing import Final

from dashboards.database import DATABASE
from dashboards.grafana import text_of
from dashboards.hooks import OF_ONE_HOOK
from dashboards.overview import OVERVIEW
from dashboards.workers import WORKERS

FOLDER: Final = Path(__file__).parent.parent.parent / "wpbridge" / "deploy" / "grafana"
BOARDS: Final = (OVERVIEW, OF_ONE_HOOK, WORKERS, DATABASE)


def files() -> dict[Path, str]:
    """Return the files with what stands in each."""
    return {FOLDER / f"{board.name}.json": text_of(board) for board in BOARDS}
