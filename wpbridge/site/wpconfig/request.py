"""Says which values depend on the request, and makes the requests that a configuration is given."""

import re
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, urlsplit

from wpbridge.errors import ConfigError

FROM_WEB: Final = re.compile(
    r"HTTPS?(_.*)?|(SERVER|REMOTE|REQUEST|SCRIPT|PATH|GATEWAY|CONTENT|CONTEXT|REDIRECT|SSL|PHP_AUTH"
    r"|ORIG|FCGI|UNENCODED)_.*|DOCUMENT_(ROOT|URI)|QUERY_STRING|PHP_SELF|AUTH_TYPE|USER|HOME"
    r"|UNIQUE_ID|arg[vc]|SHELL|TERM|PWD|LOGNAME|SUDO_.*|SSH_.*",
)
"""Keys of ``$_SERVER`` that depend on the request, or on the way PHP runs."""
THE_RUN: Final = {
    *("WP_CLI", "STDIN", "PHP_SAPI", "DOING_CRON", "DOING_AJAX", "XMLRPC_REQUEST", "SHORTINIT"),
    *("WP_ADMIN", "WP_NETWORK_ADMIN", "WP_USER_ADMIN", "WP_BLOG_ADMIN", "WP_USE_THEMES"),
    *("WP_INSTALLING", "WP_REPAIRING", "WP_SETUP_CONFIG", "WP_LOAD_IMPORTERS", "WP_IMPORTING"),
}
"""Constants that say how PHP runs. WordPress's entry files set some before the configuration."""
REQUEST_VARIABLES: Final = {"_GET", "_POST", "_REQUEST", "_COOKIE", "_FILES", "_SESSION"}
"""Variables that differ from request to request."""


def split(url: str) -> SplitResult:
    """Split an address, with or without its scheme. ConfigError if it is none."""
    try:
        parts = urlsplit(url if "//" in url else f"//{url}")
        _ = parts.port
    except ValueError:
        raise ConfigError(f"--url {url} is no address") from None
    return parts


def of_url(url: str | None) -> dict[str, str | None]:
    """Return what a web server says of a request for an address. None for what it leaves unset."""
    if not url:
        return {}
    parts = split(url)
    place = parts.netloc.rpartition("@")[2]
    secure = parts.scheme == "https"
    known: dict[str, str | None] = {
        "HTTP_HOST": place,
        "SERVER_NAME": parts.hostname or "",
    }
    if parts.scheme:
        known |= {
            "HTTPS": "on" if secure else None,
            "REQUEST_SCHEME": parts.scheme,
            "SERVER_PORT": str(parts.port or (443 if secure else 80)),
        }
    return known


def pair(url: str | None, abspath: Path) -> tuple[dict[str, str | None], dict[str, str | None]]:
    """Return two requests that agree only in what the address says."""
    common: dict[str, str | None] = {
        "PATH_TRANSLATED": None,
        "SERVER_PROTOCOL": "HTTP/1.1",
        "QUERY_STRING": "",
    }
    one: dict[str, str | None] = {
        **common,
        "HTTP_HOST": "one.invalid",
        "SERVER_NAME": "one.invalid",
        "SERVER_PORT": "443",
        "SERVER_ADDR": "192.0.2.1",
        "REMOTE_ADDR": "192.0.2.2",
        "REQUEST_SCHEME": "https",
        "REQUEST_METHOD": "GET",
        "REQUEST_URI": "/",
        "HTTPS": "on",
        "HTTP_X_FORWARDED_PROTO": "https",
        "HTTP_X_FORWARDED_FOR": "192.0.2.3",
        "HTTP_X_FORWARDED_HOST": None,
        "HTTP_USER_AGENT": "wpbridge",
        "DOCUMENT_ROOT": str(abspath),
        "SCRIPT_FILENAME": f"{abspath}/index.php",
        "SCRIPT_NAME": "/index.php",
        "PHP_SELF": "/index.php",
    }
    two: dict[str, str | None] = {
        **common,
        "HTTP_HOST": "two.invalid:8080",
        "SERVER_NAME": "two.invalid",
        "SERVER_PORT": "80",
        "SERVER_ADDR": "127.0.0.1",
        "REMOTE_ADDR": "127.0.0.1",
        "REQUEST_SCHEME": "http",
        "REQUEST_METHOD": "POST",
        "REQUEST_URI": "/wp-admin/",
        "HTTPS": None,
        "HTTP_X_FORWARDED_PROTO": None,
        "HTTP_X_FORWARDED_FOR": None,
        "HTTP_X_FORWARDED_HOST": None,
        "HTTP_USER_AGENT": None,
        "DOCUMENT_ROOT": str(abspath.parent),
        "SCRIPT_FILENAME": f"{abspath}/wp-admin/index.php",
        "SCRIPT_NAME": "/wp-admin/index.php",
        "PHP_SELF": "/wp-admin/index.php",
    }
    return {**one, **of_url(url)}, {**two, **of_url(url)}
