"""Doctor: looks for what is wrong with a site's queue, and mends what is safe to mend.

``examined_site`` is the site, and what is asked of it: each question is bounded, so that a queue of
millions is looked through in a few seconds. The ``checks_…`` modules hold one small function a
check. ``examination`` goes through them, and ``fixes`` mends; nothing else here changes an action.
"""

from collections.abc import Collection
from typing import Final

from wpbridge.doctor import (
    checks_database,
    checks_rows,
    checks_runners,
    checks_site,
    checks_tables,
    examination,
)
from wpbridge.doctor.examination import Check, Examination
from wpbridge.doctor.examined_site import Patient, admitted
from wpbridge.doctor.findings import LEVELS, Finding, Level
from wpbridge.doctor.fixes import FIXABLE, Repair, fix

__all__ = [
    "CHECKS",
    "FIXABLE",
    "LEVELS",
    "NAMES",
    "Check",
    "Examination",
    "Finding",
    "Level",
    "Patient",
    "Repair",
    "admitted",
    "examine",
    "fix",
]

DOOR: Final = ("explain",)
"""The modules that other rooms may import, beside the names of this one."""

CHECKS: Final[tuple[Check, ...]] = (
    *checks_database.CHECKS,
    *checks_tables.CHECKS,
    *checks_site.CHECKS,
    *checks_runners.CHECKS,
    *checks_rows.CHECKS,
)
NAMES: Final = tuple(check.name for check in CHECKS)


def examine(patient: Patient, only: Collection[str] = ()) -> Examination:
    """Make all checks, or those named; changes nothing."""
    return examination.examine(patient, CHECKS, only)
