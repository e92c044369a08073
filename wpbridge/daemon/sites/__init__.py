"""One daemon for many sites: a scheduler, pollers that look, and a process for a site with work.

See docs/explain/many-sites.md. No module here loads anything of a site, but for ``poller``, which
runs in a process of the site's user.
"""

from typing import Final

DOOR: Final = ("packing", "plan", "poller_host", "service", "site_metrics", "users")
"""The modules that other rooms may import."""
