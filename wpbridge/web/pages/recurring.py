"""The page of recurring chains: when each runs, how it went, and the buttons that change it."""

from typing import Final

from starlette.responses import Response

from wpbridge.dashboard.recurring import STATES, Chain, recurring_of
from wpbridge.web.pages.chart_values import Endings
from wpbridge.web.pages.charts import endings
from wpbridge.web.pages.texts import N_
from wpbridge.web.pages.visit import Visit

STATE_WORDS: Final = {
    "": N_("All"),
    "waiting": N_("Waits for its next run"),
    "running": N_("Runs now"),
    "stopped": N_("Stopped"),
    "ended": N_("Ended"),
}
_LATE: Final = 60
"""So many seconds after its date a run is late enough to be shown as such."""


async def show(visit: Visit) -> Response:
    """Show the chains of all hooks, or of one."""
    hook, after = visit.query("hook").strip(), visit.query("after")
    state = visit.query("state") if visit.query("state") in STATES else ""
    seen = await visit.shared(
        repr(("recurring", hook, after, state)),
        lambda queue: recurring_of(queue.store, visit.now(), hook=hook, after=after, state=state),
    )
    return visit.render(
        "recurring.html",
        seen=seen.value,
        age=seen.age_seconds,
        hook=hook,
        after=after,
        state=state,
        states=STATE_WORDS,
        marks=[_marks(chain) for chain in seen.value.chains],
        late=_LATE,
        back=visit.url("recurring", hook=hook, after=after, state=state).removeprefix(
            f"{visit.base}/"
        ),
    )


def _marks(chain: Chain) -> Endings:
    return endings([end.status for end in chain.endings])
