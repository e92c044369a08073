"""``wp-config.php``: what it says of the site, read without PHP or told by PHP.

:func:`read` follows the plain forms that such files are written in, and ends at the first statement
whose effect it does not know.
"""

from wpbridge.site.wpconfig.found import NAMES, TABLE_PREFIX, WpConfig
from wpbridge.site.wpconfig.reading import find, read
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
    "find",
    "from_bytes",
    "read",
    "to_bytes",
    "tokenize",
]
