"""Warns on stderr, in one line, when nobody would run PHP's actions. No exit code changes."""

from wpbridge.cli.output import told
from wpbridge.plugin.unrun import unrun, ways_out
from wpbridge.site.config import Settings
from wpbridge.site.resolve import Site


def tell_unrun(settings: Settings, site: Site, prefix: str | None = None) -> None:
    """Warn, and say what to do. ``prefix`` is of the blog, where it was looked up."""
    if reason := unrun(settings, site, prefix):
        told(f"warning: {reason}: {ways_out(settings, site)}")
