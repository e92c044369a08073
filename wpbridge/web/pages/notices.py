"""What a page says after a change. The address names the change; the words stand here.

So nobody can make a link to the dashboard that shows words of their own.
"""

from collections.abc import Mapping
from typing import Final

from wpbridge.web.pages.texts import N_

NOTICES: Final[Mapping[str, str]] = {
    "run": N_("Made due now: {n}"),
    "cancel": N_("Canceled: {n}"),
    "delete": N_("Deleted: {n}"),
    "requeue": N_("Requeued: {n}"),
    "reschedule": N_("Rescheduled: {n}"),
    "priority": N_("Priority set: {n}"),
    "pause": N_("Paused"),
    "resume": N_("Resumed"),
    "enqueue": N_("Enqueued: action {n}"),
    "edit-schedule": N_("The schedule was changed"),
    "bulk": N_("The change of many has begun"),
    "quiet-worker": N_("The worker will take nothing more"),
    "wake-worker": N_("The worker takes work again"),
    "stop-worker": N_("The worker will stop"),
    "replay": N_("The callback will be sent again"),
    "doctor-fix": N_("Mended: {n}"),
}
"""By the verb of the change. ``{n}`` stands for a number."""
