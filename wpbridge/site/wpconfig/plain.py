"""Reads the plain constants of wp-config.php that only PHP uses.

:func:`wpbridge.site.wpconfig.read` knows only the constants that a connection needs.
"""

from pathlib import Path

from wpbridge.errors import SiteError
from wpbridge.site.wpconfig.tokens import PhpSyntaxError, Token, from_bytes, tokenize


def constants(file: Path) -> dict[str, Token]:
    """Return the constants that a configuration defines, whatever the conditions.

    A value that is more than one token is opaque. A file that cannot be read defines none.
    """
    try:
        tokens = tokenize(from_bytes(file.read_bytes()))
    except (OSError, PhpSyntaxError, SiteError):
        return {}
    found: dict[str, Token] = {}
    for place, token in enumerate(tokens):
        if token.word == "define" and len(tokens) > place + 5:
            _, bracket, name, comma, value, end = tokens[place : place + 6]
            if (bracket.text, comma.text, name.kind) == ("(", ",", "string"):
                found[name.text] = value if end.text == ")" else value._replace(kind="opaque")
    return found


def is_true(value: Token | None) -> bool:
    """Tell whether PHP takes a plain value for true."""
    if value is None:
        return False
    if value.kind == "string":
        return value.text not in {"", "0"}
    return value.word == "true" or (value.kind == "number" and value.text != "0")
