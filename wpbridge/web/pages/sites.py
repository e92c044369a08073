"""Sites of a network: the backlog of each."""

from starlette.responses import Response

from wpbridge.web.pages.visit import Visit

_DIGITS = 18


async def show(visit: Visit) -> Response:
    """Show a page of the network's sites."""
    told = visit.query("after")
    after = int(told) if told.isascii() and told.isdigit() and len(told) <= _DIGITS else 0
    sites = visit.pages.sites
    seen = await visit.shared(
        f"sites {after}", lambda queue: sites.look(queue.store, visit.now(), after=after)
    )
    return visit.render("sites.html", seen=seen.value, age=seen.age_seconds, after=after)
