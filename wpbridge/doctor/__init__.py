"""Doctor: looks for what is wrong with a site's queue, and mends what is safe to mend.

``patient`` is the site, ``server`` and ``rows`` are what is asked of it, each question bounded, so
that a queue of millions is looked through in a few seconds. The ``checks_…`` modules hold one
small function a check; ``examination`` goes through them; ``fixes`` mends. Nothing here starts,
stops or changes an action but ``fixes``.
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
from wpbridge.doctor.findings import LEVELS, Finding, Level
from wpbridge.doctor.fixes import FIXABLE, Repair, fix
from wpbridge.doctor.patient import Patient, admitted

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
