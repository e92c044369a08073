"""The overview: how the whole queue stands."""

import shlex

from starlette.responses import Response

from wpbridge.dashboard.overview import overview_of
from wpbridge.site.config import Settings
from wpbridge.web.pages.charts import sparkline
from wpbridge.web.pages.visit import Visit


async def show(visit: Visit) -> Response:
    """Show the overview."""
    seen = await visit.shared("overview", lambda queue: overview_of(queue.store, visit.now()))
    value = seen.value
    command = shlex.join(["wpbridge", "claim-and-run", *_site_flags(visit.settings)])
    return visit.render(
        "overview.html",
        seen=value,
        age=seen.age_seconds,
        complete_spark=sparkline(list(value.complete_minutes), width=360, height=48),
        failed_spark=sparkline(list(value.failed_minutes), width=360, height=48),
        cron_line=f"* * * * * {command} --quiet",
        work_line=shlex.join(["wpbridge", "work", *_site_flags(visit.settings)]),
    )


def _site_flags(settings: Settings) -> list[str]:
    """Return the flags that name the site; a DSN may hold a password, so it is not shown."""
    if settings.path is not None:
        return ["--path", str(settings.path)]
    return ["--dsn", "…"] if settings.dsn else []
