"""Say whether actions of wpbridge's own hooks may be added: only where PHP leaves them alone.

PHP's runners claim whatever is due, and fail what has no callback in WordPress. The companion
plugin keeps them off. Its file says so where it can be read; elsewhere the option does that it
writes when PHP loads it.
"""

from contextlib import closing
from typing import Final

from wpbridge.clock import seconds_since_boot
from wpbridge.errors import SchemaError, StoreError
from wpbridge.plugin.companion_file import leaves_own_hooks
from wpbridge.site.config import Settings
from wpbridge.site.resolve import Site
from wpbridge.store.connect import open_site
from wpbridge.store.opened import OpenStore

SIGN: Final = "wpbridge_companion"
"""The option that the companion writes: its version, and what it does."""
_LEAVES: Final = b"own-hooks"
KEPT_SECONDS: Final = 10.0
"""For so long an answer counts."""
REFUSAL: Final = (
    "this needs an action of wpbridge's own, and PHP's runners would claim and fail that without"
    " the companion plugin: run `wpbridge wp install-plugin` where the WordPress is, and load a"
    " page of it"
)


class OwnHooks:
    """Whether actions of wpbridge's own hooks may be added on one site. Any thread may ask."""

    def __init__(self, settings: Settings, site: Site) -> None:
        self._settings = settings
        self._site = site
        self._answer: tuple[float, str | None] | None = None

    def refusal(self, store: OpenStore) -> str | None:
        """Return the line that says what to do first; None where they may be added.

        Raises:
            SiteError: the companion's file cannot be read.
            StoreError: the database does not answer.
        """
        now = seconds_since_boot()
        if self._answer is None or now - self._answer[0] >= KEPT_SECONDS:
            self._answer = now, None if self._is_safe(store) else REFUSAL
        return self._answer[1]

    def _is_safe(self, store: OpenStore) -> bool:
        if self._settings.owns_site or not store.options.are_there():
            return True
        folder = self._site.mu_plugins
        if folder is not None:
            return leaves_own_hooks(folder, store.names.prefix)
        return _LEAVES in (store.options.read(SIGN) or b"").split()


def forget_sign(site: Site) -> bool:
    """Delete the option, since the companion is being removed; return False if that failed."""
    try:
        with closing(open_site(site)) as store:
            sign = store.options.read(SIGN) if store.options.are_there() else None
            return sign is None or store.options.remove(SIGN, sign)
    except SchemaError:
        return True
    except StoreError:
        return False
