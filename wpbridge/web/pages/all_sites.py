"""The index of a gateway for many sites: each with its state, the bad ones first."""

from typing import Final

from starlette.responses import Response

from wpbridge.store.reading.network_sites import CAP
from wpbridge.web.pages.visit import Visit

PAGE: Final = 500
"""So many sites are on a page."""


async def show(visit: Visit) -> Response:
    """Show the sites whose names have a text, all of them or the bad ones."""
    assert visit.pages.index is not None  # noqa: S101 - no other gateway has this page
    index = await visit.pages.index.look()
    search = visit.query("search").strip().lower()
    only_bad = visit.query("show") == "bad"
    found = [one for one in index.sites if search in (one.name or one.place.lower())]
    shown = [one for one in found if one.is_bad] if only_bad else found
    page = visit.page_number()
    end = page * PAGE
    return visit.render(
        "all_sites.html",
        index=index,
        sites=shown[end - PAGE : end],
        page=page,
        has_more=end < len(shown),
        count=len(found),
        bad=sum(one.is_bad for one in found),
        search=search,
        only_bad=only_bad,
        cap=CAP,
        site_base=visit.pages.site_base,
    )
