"""Reads ``wp-config.php``, without PHP or by asking PHP.

:func:`read` understands the plain forms in which such files are written. It stops at the first
statement whose effect it does not know.
"""

from wpbridge.site.wpconfig.found import NAMES, TABLE_PREFIX, WpConfig
from wpbridge.site.wpconfig.plain import constants, is_true
from wpbridge.site.wpconfig.reading import find, named, read
from wpbridge.site.wpconfig.tokens import PhpSyntaxError, Token, from_bytes, to_bytes, tokenize
from wpbridge.site.wpconfig.values import Unknown, Value

__all__ = [
    "NAMES",
    "TABLE_PREFIX",
    "PhpSyntaxError",
    "Token",
    "Unknown",
    "Value",
    "WpConfig",
    "constants",
    "find",
    "from_bytes",
    "is_true",
    "named",
    "read",
    "to_bytes",
    "tokenize",
]
