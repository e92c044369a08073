"""Says that nobody would run PHP's actions: the companion plugin and the settings disagree."""

from wpbridge.plugin import companion
from wpbridge.site.config import Settings
from wpbridge.site.resolve import Site


def unrun(settings: Settings, site: Site, prefix: str | None = None) -> str:
    """Return one line when nobody would run PHP's actions with these settings; empty otherwise.

    That is so where the companion plugin says that wpbridge owns the site, so PHP's own runners are
    off, while the settings neither own the site nor run PHP's actions.

    Args:
        settings: the settings of a run.
        site: its site. No database is asked.
        prefix: the table prefix of its blog, for a caller who has looked the blog up.
    """
    if settings.owns_site or settings.php:
        return ""
    there = companion.told_of(site, prefix)
    if there is None or not there.owns_site:
        return ""
    return (
        "nobody runs PHP's actions: the companion plugin says that wpbridge owns the site, but"
        " owns_site and php are off in these settings"
    )


def ways_out(settings: Settings, site: Site) -> str:
    """Return what to do then: own the site in the settings, or give it back to PHP's runners."""
    command = companion.command_for(settings, site.folder)
    return (
        "put `owns_site = true` under [site] and `enabled = true` under [php] into wpbridge.toml,"
        f" or hand the site back to PHP's runners: `{command}`"
    )
