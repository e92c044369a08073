"""With which settings the gateway serves one of many sites: its own, and what the list says."""

from dataclasses import replace
from types import MappingProxyType
from typing import Final

from wpbridge.site.config import Settings
from wpbridge.site.site_list import SiteEntry

SITES: Final = "/s"
"""What stands before the name of a site in its addresses."""
INDEX: Final = "/sites"
"""Where the index of all sites lies."""


def settings_of_site(entry: SiteEntry, own: Settings) -> Settings:
    """Return the settings with which a site is served.

    Args:
        entry: the site.
        own: the gateway's own settings. What they say of one site does not count.

    Raises:
        NotObeyed: see :meth:`wpbridge.site.site_list.SiteEntry.safe_settings`.
    """
    plain = entry.safe_settings(trusted=own.trusted)
    return replace(
        own,
        path=plain.path,
        dsn=plain.dsn,
        site_name=entry.name,
        table_prefix=plain.table_prefix,
        url=plain.url,
        blog_id=plain.blog_id,
        ask_php=plain.ask_php,
        sites=None,
        handlers=(),
        handlers_folder=None,
        webhooks=MappingProxyType({}),
        php=False,
        web_base_path=f"{own.web_base_path}{SITES}/{entry.name}",
        web_access_log="none",
        web_on_site=False,
        web_metrics=None,
        heartbeat_file=None,
        file=None,
    )


def settings_of_index(home: Settings, own: Settings) -> Settings:
    """Return the settings of the index, whose people are those of its home site."""
    return replace(home, web_base_path=f"{own.web_base_path}{INDEX}", web_ui=True)
