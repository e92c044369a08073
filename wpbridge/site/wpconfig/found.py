"""The values that were found in a site's configuration, by the reader or by PHP."""

from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Final

from wpbridge.dataclass import dataclass
from wpbridge.errors import SiteError
from wpbridge.site.wpconfig.values import Unknown, Unusual, Value, to_integer, to_text, truthy

TABLE_PREFIX: Final = "$table_prefix"
NAMES: Final = (
    *("DB_NAME", "DB_USER", "DB_PASSWORD", "DB_HOST", "DB_CHARSET", "DB_COLLATE"),
    *("MYSQL_CLIENT_FLAGS", "DB_ENGINE", "DB_DIR", "DB_FILE", "FQDBDIR", "FQDB"),
    *("DATABASE_ENGINE", "USE_MYSQL"),
    *("WP_CONTENT_DIR", "WPMU_PLUGIN_DIR"),
    *("MULTISITE", "SUBDOMAIN_INSTALL", "VHOST", "SUNRISE"),
    *("DOMAIN_CURRENT_SITE", "PATH_CURRENT_SITE", "BLOG_ID_CURRENT_SITE", TABLE_PREFIX),
)
"""Everything that is read from a configuration: constants and one variable."""
WAYS_OUT: Final = (
    "give the database with --dsn and --table-prefix, or have PHP asked with --ask-php"
)


class NeedsPhp(SiteError):
    """The configuration cannot be read without PHP. WAYS_OUT stands at the end of the message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WpConfig:
    """The values of a site's configuration. Asking for an unknown value raises SiteError."""

    file: Path
    abspath: Path
    """WordPress's own folder, which ``ABSPATH`` names."""
    values: Mapping[str, Value] = field(repr=False)
    """The values of those NAMES that are set. Unknown if only PHP knows the value."""
    doubt: Unknown | None = None
    """The first statement whose effect is unknown. If there is one, names that are missing in
    ``values`` are unknown, too."""
    places: Mapping[str, str] = field(default_factory=dict)
    """Where each value was set, as ``file:line``."""
    reader: str = "read without PHP"
    """How the values were found, for messages."""

    @property
    def db_name(self) -> str:
        """Return the name of the database, which is never empty."""
        name = self._required("DB_NAME")
        if not name:
            missing = "is an environment variable missing here?"
            raise SiteError(f"DB_NAME is empty in {self.file} ({missing}); {WAYS_OUT}")
        return name

    @property
    def db_user(self) -> str:
        """Return the name of the account."""
        return self._required("DB_USER")

    @property
    def db_password(self) -> str:
        """Return the password, which is a secret. Bytes that are not UTF-8 are surrogates."""
        return self._required("DB_PASSWORD")

    @property
    def db_host(self) -> str:
        """Return host, port and socket in one text, as the file has them."""
        return self._required("DB_HOST")

    @property
    def client_flags(self) -> int:
        """Return ``MYSQL_CLIENT_FLAGS``, or 0 if it is not set."""
        return self.number("MYSQL_CLIENT_FLAGS") or 0

    @property
    def table_prefix(self) -> str | None:
        """Return ``$table_prefix``, or None if it is not set."""
        return self.text(TABLE_PREFIX)

    @property
    def content_dir(self) -> Path:
        """Return ``WP_CONTENT_DIR``, or WordPress's default for it."""
        return Path(self.text("WP_CONTENT_DIR") or self.abspath / "wp-content")

    @property
    def mu_plugins_dir(self) -> Path:
        """Return ``WPMU_PLUGIN_DIR``, or WordPress's default for it."""
        return self.abspath / (self.text("WPMU_PLUGIN_DIR") or self.content_dir / "mu-plugins")

    @property
    def is_multisite(self) -> bool:
        """Tell whether the site is a network of blogs, as ``is_multisite()`` does."""
        if self.is_set("MULTISITE"):
            return self.flag("MULTISITE")
        return any(self.is_set(name) for name in ("SUBDOMAIN_INSTALL", "VHOST", "SUNRISE"))

    @property
    def numbers_first_blog(self) -> bool:
        """Tell whether the tables of blog 1 are numbered too, as ``get_blog_prefix()`` does.

        That is so in networks older than WordPress 3.0, which do not define MULTISITE.
        """
        return self.is_multisite and not self.is_set("MULTISITE")

    def is_set(self, name: str) -> bool:
        """Tell whether one of NAMES is set."""
        self._value(name)
        return name in self.values

    def text(self, name: str) -> str | None:
        """Return the value of one of NAMES as text, or None if it is not set."""
        value = self._value(name)
        try:
            text = to_text(value)
        except Unusual:
            raise SiteError(f"{name} in {self.file} is no text; {WAYS_OUT}") from None
        return text if name in self.values and isinstance(text, str) else None

    def number(self, name: str) -> int | None:
        """Return the value of one of NAMES as a whole number, or None if it is not set."""
        value = self._value(name)
        try:
            number = to_integer(value)
        except Unusual:
            raise SiteError(f"{name} in {self.file} is no whole number; {WAYS_OUT}") from None
        return number if name in self.values and isinstance(number, int) else None

    def flag(self, name: str) -> bool:
        """Return the value of one of NAMES as a condition. False if it is not set."""
        return truthy(self._value(name)) is True

    def _value(self, name: str) -> Value:
        value = self.values.get(name, self.doubt)
        if isinstance(value, Unknown):
            raise cannot_be_read(name, value)
        return value

    def _required(self, name: str) -> str:
        value = self.text(name)
        if value is None:
            raise SiteError(f"{self.file} does not set {name}; {WAYS_OUT}")
        return value


def cannot_be_read(name: str, value: Unknown) -> NeedsPhp:
    """Return the error that names the statement because of which a value is unknown."""
    return NeedsPhp(
        f"{name} cannot be told without PHP because of {value.file}:{value.line}: {value.why};"
        f" {WAYS_OUT}"
    )
