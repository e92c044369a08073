"""How a connection to the database is encrypted, from a DSN's options or WordPress's flags."""

from collections.abc import Mapping
from typing import Final

from wpbridge.dataclass import dataclass
from wpbridge.errors import ConfigError

_FILES: Final = {"ssl_ca": "ca", "ssl_cert": "cert", "ssl_key": "key"}
_FLAGS: Final = ("ssl", "ssl_verify_cert", "ssl_verify_identity")
TLS_OPTIONS: Final = (*_FILES, *_FLAGS)
"""The options of a DSN that are read here."""
_WORDS: Final = {
    **dict.fromkeys(("1", "true", "yes", "on"), True),
    **dict.fromkeys(("0", "false", "no", "off", ""), False),
}

_CLIENT_SSL: Final = 2048
_CLIENT_SSL_DONT_VERIFY: Final = 64
_CLIENT_SSL_VERIFY: Final = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """The connection must use TLS. The fields say what is checked of the server's certificate."""

    ca: str | None = None
    """The PEM file of the authority. None for the authorities of the system."""
    cert: str | None = None
    key: str | None = None
    verify_cert: bool = False
    verify_identity: bool = False
    """Whether the certificate must name the host as well."""

    def driver_options(self) -> dict[str, str | bool]:
        """Return the driver's ``ssl`` mapping. It is never empty, since that would turn TLS off."""
        files = {"ca": self.ca, "cert": self.cert, "key": self.key}
        checks = {
            "verify_mode": self.verify_cert or self.verify_identity,
            "check_hostname": self.verify_identity,
        }
        return {**{name: path for name, path in files.items() if path}, **checks}


def tls_of_flags(flags: int) -> Tls | None:
    """Return what WordPress's ``MYSQL_CLIENT_FLAGS`` demand. None if they demand no TLS."""
    if not flags & (_CLIENT_SSL | _CLIENT_SSL_DONT_VERIFY):
        return None
    # PHP's driver checks the certificate only if a flag demands it.
    verify = bool(flags & _CLIENT_SSL_VERIFY) and not flags & _CLIENT_SSL_DONT_VERIFY
    return Tls(verify_cert=verify, verify_identity=verify)


def tls_of_options(options: Mapping[str, str]) -> Tls | None:
    """Return what the options of a DSN demand. None if they demand no TLS.

    Raises:
        ConfigError: an option that is true or false has another value.
    """
    files = {_FILES[name]: value for name, value in options.items() if name in _FILES}
    flags = {name: _flag(name, options[name]) for name in _FLAGS if name in options}
    if not any(files.values()) and not any(flags.values()):
        return None
    # Whoever names an authority wants the certificate to be checked.
    identity = flags.get("ssl_verify_identity", False)
    cert = flags.get("ssl_verify_cert", bool(files.get("ca"))) or identity
    return Tls(
        ca=files.get("ca"),
        cert=files.get("cert"),
        key=files.get("key"),
        verify_cert=cert,
        verify_identity=identity,
    )


def _flag(name: str, value: str) -> bool:
    if value.lower() not in _WORDS:
        raise ConfigError(f"the DSN's option {name} is true or false, not {value!r}")
    return _WORDS[value.lower()]
