"""Open what the pages of a gateway need."""

from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING

from wpbridge.access.attempts import Attempts
from wpbridge.access.people import People
from wpbridge.dashboard.overview import OverviewReader
from wpbridge.doctor.explain import Explainer
from wpbridge.queue.jobs import JobQueue
from wpbridge.site.config import Settings
from wpbridge.site.resolve import Site
from wpbridge.site.zone import shown_zone
from wpbridge.web.pages import gate
from wpbridge.web.pages.board import QUICK_SECONDS, Board
from wpbridge.web.pages.guarding import hosts_of
from wpbridge.web.pages.rendering import Renderer
from wpbridge.web.pages.visit import PageParts

if TYPE_CHECKING:
    from wpbridge.web.many.index import SitesIndex


def open_pages(
    settings: Settings,
    site: Site,
    open_queue: Callable[[], JobQueue],
    *,
    attempts: Attempts | None = None,
    index: "tuple[SitesIndex, str] | None" = None,
) -> PageParts:
    """Open the parts that the pages share.

    Args:
        settings: with which the site is served.
        site: where its tables are.
        open_queue: opens its queue on a new connection.
        attempts: the failed attempts to sign in of late; None to begin anew.
        index: for the index of many sites, what it shows and what stands before their names.

    Raises:
        StoreError: the database does not answer.
    """
    with closing(open_queue()) as queue:
        # People see the site's own time unless another one was chosen.
        chosen = "site" if settings.sources.get("tz", "default") == "default" else settings.tz
        zone = shown_zone(chosen, queue.store.tables.zone)
    return PageParts(
        settings=settings,
        people=People(
            open_queue().store,
            people=settings.web_people,
            proxy_header=settings.web_proxy_header,
            proxy_from=settings.web_proxy_from,
            proxy_role=settings.web_proxy_role,
            attempts=attempts,
        ),
        board=Board(open_queue),
        checks=Board(open_queue, readers=1),
        overview=OverviewReader(),
        counts=Board(open_queue, readers=1, statement_seconds=QUICK_SECONDS),
        renderer=Renderer(
            zone=zone, mask=settings.web_mask, site=site.label, base=settings.web_base_path
        ),
        hosts=hosts_of(settings),
        site=site.label,
        location=site,
        zone=zone,
        explain=Explainer(settings, site=site, zone=zone),
        cookie=gate.cookie_name(settings),
        index=None if index is None else index[0],
        site_base="" if index is None else index[1],
    )
