"""Look for what is wrong with a site's queue, and mend what is safe to mend.

``examined_site`` is the site with the questions that are asked about it. Each question is bounded,
so that a queue of millions is examined in a few seconds. The ``checks_…`` modules hold one small
function a check, ``checking`` knows all checks, ``examination`` makes them, and ``fixes`` mends;
nothing else here changes an action.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from wpbridge.doctor.checking import CHECKS, NAMES, CheckUp, check_up, examine
    from wpbridge.doctor.examination import Check, Examination
    from wpbridge.doctor.examined_site import ExaminedSite
    from wpbridge.doctor.findings import LEVELS, Finding, Level
    from wpbridge.doctor.fixes import FIXABLE, Repair, mend
    from wpbridge.doctor.opening import look_at

__all__ = (
    "CHECKS",
    "FIXABLE",
    "LEVELS",
    "NAMES",
    "Check",
    "CheckUp",
    "Examination",
    "ExaminedSite",
    "Finding",
    "Level",
    "Repair",
    "check_up",
    "examine",
    "look_at",
    "mend",
)

DOOR: Final = ("can_start", "explain")
"""The modules that other rooms may import, beside the names of this one."""

_HOMES: Final = {
    "CHECKS": "wpbridge.doctor.checking",
    "FIXABLE": "wpbridge.doctor.fixes",
    "LEVELS": "wpbridge.doctor.findings",
    "NAMES": "wpbridge.doctor.checking",
    "Check": "wpbridge.doctor.examination",
    "CheckUp": "wpbridge.doctor.checking",
    "Examination": "wpbridge.doctor.examination",
    "ExaminedSite": "wpbridge.doctor.examined_site",
    "Finding": "wpbridge.doctor.findings",
    "Level": "wpbridge.doctor.findings",
    "Repair": "wpbridge.doctor.fixes",
    "check_up": "wpbridge.doctor.checking",
    "examine": "wpbridge.doctor.checking",
    "look_at": "wpbridge.doctor.opening",
    "mend": "wpbridge.doctor.fixes",
}


def __getattr__(name: str) -> object:
    """Load a name when it is asked for: who explains an action makes no check."""
    if name not in _HOMES:
        raise AttributeError(f"module 'wpbridge.doctor' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
