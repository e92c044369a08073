"""The page of workers and claims: who runs the queue, and what people wish of them."""

from starlette.responses import Response

from wpbridge.dashboard.workers import workers_of
from wpbridge.web.pages.visit import Visit


async def show(visit: Visit) -> Response:
    """Show the workers, the claims, and PHP's own runners."""
    seen = await visit.shared("workers", lambda queue: workers_of(queue.store, visit.now()))
    return visit.render("workers.html", workers=seen.value, age=seen.age_seconds)
