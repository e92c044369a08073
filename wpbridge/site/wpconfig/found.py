"""What a site's configuration says, whoever has read it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

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
"""All that is taken from a configuration: constants, and the one variable."""
WAYS_OUT: Final = (
    "give the database with --dsn and --table-prefix, or have PHP asked with --ask-php"
)


class NotTold(SiteError):
    """The configuration cannot be read without PHP."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WpConfig:
    """What a site's configuration says; asking for what it does not say is a SiteError."""

    file: Path
    abspath: Path
    """WordPress's own folder, which ``ABSPATH`` names."""
    values: Mapping[str, Value] = field(repr=False)
    """Some of NAMES; Unknown where only PHP can tell."""
    doubt: Unknown | None = None
    """The first statement whose effect is not known: what is not in ``values`` is not known."""
    places: Mapping[str, str] = field(default_factory=dict)
    """Where each value was set, as ``file:line``."""
    reader: str = "read without PHP"
    """Who read it, for people."""

    @property
    def db_name(self) -> str:
        """Never empty."""
        name = self._required("DB_NAME")
        if not name:
            missing = "is an environment variable missing here?"
            raise SiteError(f"DB_NAME is empty in {self.file} ({missing}); {WAYS_OUT}")
        return name

    @property
    def db_user(self) -> str:
        """The account."""
        return self._required("DB_USER")

    @property
    def db_password(self) -> str:
        """A secret; bytes that are not UTF-8 are surrogates."""
        return self._required("DB_PASSWORD")

    @property
    def db_host(self) -> str:
        """As written: host, port and socket in one text."""
        return self._required("DB_HOST")

    @property
    def client_flags(self) -> int:
        """``MYSQL_CLIENT_FLAGS``, 0 when not set."""
        return self.number("MYSQL_CLIENT_FLAGS") or 0

    @property
    def table_prefix(self) -> str | None:
        """``$table_prefix``; None when not set."""
        return self.text(TABLE_PREFIX)

    @property
    def content_dir(self) -> Path:
        """``WP_CONTENT_DIR``, or the folder where WordPress has it by itself."""
        return Path(self.text("WP_CONTENT_DIR") or self.abspath / "wp-content")

    @property
    def mu_plugins_dir(self) -> Path:
        """``WPMU_PLUGIN_DIR``, or the folder where WordPress has it by itself."""
        return self.abspath / (self.text("WPMU_PLUGIN_DIR") or self.content_dir / "mu-plugins")

    @property
    def is_multisite(self) -> bool:
        """Whether more blogs share the tables' database, as ``is_multisite()`` has it."""
        if self.is_set("MULTISITE"):
            return self.flag("MULTISITE")
        return any(self.is_set(name) for name in ("SUBDOMAIN_INSTALL", "VHOST", "SUNRISE"))

    @property
    def numbers_first_blog(self) -> bool:
        """Whether blog 1's tables have its number too, as ``get_blog_prefix()`` has it.

        That is so in networks from before WordPress 3.0, which do not define MULTISITE.
        """
        return self.is_multisite and not self.is_set("MULTISITE")

    def is_set(self, name: str) -> bool:
        """Whether one of NAMES is set."""
        self._value(name)
        return name in self.values

    def text(self, name: str) -> str | None:
        """The value of one of NAMES; None when it is not set."""
        value = self._value(name)
        try:
            text = to_text(value)
        except Unusual:
            raise SiteError(f"{name} in {self.file} is no text; {WAYS_OUT}") from None
        return text if name in self.values and isinstance(text, str) else None

    def number(self, name: str) -> int | None:
        """The same as a whole number."""
        value = self._value(name)
        try:
            number = to_integer(value)
        except Unusual:
            raise SiteError(f"{name} in {self.file} is no whole number; {WAYS_OUT}") from None
        return number if name in self.values and isinstance(number, int) else None

    def flag(self, name: str) -> bool:
        """The same as a condition; False when it is not set."""
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


def cannot_be_read(name: str, value: Unknown) -> NotTold:
    """The error that names the statement because of which a value is not known."""
    return NotTold(
        f"{name} cannot be told without PHP because of {value.file}:{value.line}: {value.why};"
        f" {WAYS_OUT}"
    )
