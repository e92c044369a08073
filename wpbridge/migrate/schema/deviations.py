"""Where tables differ from what they should be, and the statements that mend it."""

from collections.abc import Mapping

from wpbridge.dataclass import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Fix:
    """One statement that mends something."""

    statement: str
    online: bool
    """Beside writers; else the table is locked, and written anew, while it runs."""
    table: str
    made: Mapping[str, str | None] | None = None
    """The facts that an undo needs: ``index`` (its name), or ``column`` with ``default`` and
    ``before``, the default it had. None where an undo would lose something, or lock the table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deviation:
    """Where the tables differ from the layout."""

    item: str
    """``actions.priority``, ``logs (action_id)``, ``claims``, ``sql_mode``."""
    found: str
    expected: str
    severity: str
    """``problem``: something fails; ``warning``: something is slow or odd; ``note``: known."""
    fix: Fix | None = None
    advice: str = ""
    """What a person can do, where there is no fix."""
