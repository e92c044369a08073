"""The plain constants of an examined site's wp-config.php."""

from wpbridge.doctor.examined_site import ExaminedSite
from wpbridge.site.wpconfig import Token, constants


def defined(examined: ExaminedSite) -> dict[str, Token]:
    """Return the constants that wp-config.php defines, as ``constants`` does."""
    return {} if examined.config is None else constants(examined.config.file)
