"""Whose files are obeyed: settings files, modules of handlers, and the PHP of a WordPress.

What these say is code: whoever may write them decides what the process does that reads them. Root
obeys only what nobody but root may write. Another user refuses what everybody may write, and a
settings file of the working folder that belongs to a stranger. ``WPBRIDGE_TRUST=1`` lifts both
rules. docs/explain/trust.md has the reasons.
"""

from wpbridge.trust.files import LIFTS, is_lifted, may_obey, read

__all__ = ["LIFTS", "is_lifted", "may_obey", "read"]
