"""What programs can ask the index of many sites: how each site stands."""

from dataclasses import asdict
from typing import Any, Final

from starlette.responses import JSONResponse, Response

from wpbridge.monitor.sites_standing import Standing
from wpbridge.site.moments import iso
from wpbridge.web.calls import Call
from wpbridge.web.problems import Problem
from wpbridge.web.route import Route

_DATES: Final = ("oldest_due", "last_run", "looked_at")


async def sites(call: Call) -> Response:
    """Answer with a row for each site, the bad ones first."""
    pages = call.parts.pages
    if pages is None or pages.index is None:
        raise Problem("not-found", "this gateway serves one site")
    index = await pages.index.look()
    told = {
        "sites": [_document(one) for one in index.sites],
        "list_problem": index.problem or None,
        "daemon_problem": index.daemon.problem or None,
    }
    return JSONResponse(told, 200, {"Cache-Control": "no-store"})


def _document(one: Standing) -> dict[str, Any]:
    values = asdict(one)
    values["bad"] = values.pop("is_bad")
    dates = {name: iso(values[name]) for name in _DATES}
    return {**values, **dates, "name": one.name or None, "reason": one.reason or None}


INDEX_ROUTES: Final = (
    Route(
        method="GET",
        path="/v1/sites",
        answer=sites,
        summary="How each site of the list stands, the bad ones first.",
        rights=("administer",),
        problems=("unavailable",),
    ),
)
"""Who may ask sees all sites, so a key of the home site needs the right that deletes there."""
