"""Set the character set of a MySQL session as WordPress sets it.

PHP has bytes and no characters. It sends UTF-8, whatever character set the session is set to. So
where DB_CHARSET is latin1, the server takes each byte for one character, stores them so and returns
them so. Here too the driver always sends and reads UTF-8, and only the session is set to another
character set.
"""

import codecs
import functools
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

UTF8: Final = frozenset({"utf8", "utf8mb3", "utf8mb4"})
PLAIN: Final = "utf8mb4"
"""The character set that the driver uses by itself."""
_BACKSLASH_INSIDE: Final = frozenset({"big5", "cp932", "gb18030", "gbk", "sjis"})
"""The second byte of a character may be a backslash or a quote, so nothing can be escaped."""
WIDE: Final = _BACKSLASH_INSIDE | {"eucjpms", "euckr", "gb2312", "ujis"}
"""Character sets whose characters have several bytes that are not those of UTF-8."""
_SINGLE: Final = frozenset(
    {
        "armscii8",
        "ascii",
        "cp1250",
        "cp1251",
        "cp1256",
        "cp1257",
        "cp850",
        "cp852",
        "cp866",
        "dec8",
        "geostd8",
        "greek",
        "hebrew",
        "hp8",
        "keybcs2",
        "koi8r",
        "koi8u",
        "latin1",
        "latin2",
        "latin5",
        "latin7",
        "macce",
        "macroman",
        "swe7",
        "tis620",
    }
)
_PHP_KNOWS: Final = _SINGLE | WIDE | {"utf8", "utf8mb4"}
"""The names that PHP's driver takes. For any other name WordPress sets nothing, and the server's
own character set stays."""
_CODEC: Final = "wpbridge_php_bytes"


def speak(connection: Any, charset: str | None, collate: str | None) -> None:
    """Set up a new connection. With another character set than :data:`PLAIN`, it is PyMySQL's.

    Args:
        connection: its character set is :data:`PLAIN`.
        charset: the wanted one. For None, and for a name that PHP or the server does not know, the
            server's own is used.
        collate: ignored where it does not belong to the character set, as WordPress ignores it.
    """
    if charset == PLAIN and not collate:
        return
    name = (charset or "").lower()
    with connection.cursor() as cursor:
        cursor.execute("SELECT @@GLOBAL.character_set_server, @@GLOBAL.collation_server")
        own, own_collate = cursor.fetchone()
        if name not in _PHP_KNOWS or not _set_names(connection, cursor, name):
            name = str(own)
            _set_names(connection, cursor, name, str(own_collate))
        elif collate:
            _set_names(connection, cursor, name, collate)
    if name not in UTF8:
        _speak_bytes(connection, name)


def _set_names(connection: Any, cursor: Any, *names: str) -> bool:
    """Set a character set, and perhaps a collation. False where the server does not know them."""
    with suppress(connection.Error):
        cursor.execute(" COLLATE ".join(["SET NAMES %s", "%s"][: len(names)]), names)
        return True
    return False


def _speak_bytes(connection: Any, charset: str) -> None:
    """Make the connection read bytes that are no UTF-8 as surrogates, and write them unchanged."""
    codecs.register(_find)
    connection.encoding = _CODEC
    if charset in _BACKSLASH_INSIDE:
        connection.escape = functools.partial(_as_digits, connection.escape, charset)


def _as_digits(
    escape: Callable[..., str], charset: str, value: object, mapping: object = None
) -> str:
    if isinstance(value, str) and not value.isascii():
        return f"_{charset} 0x{to_bytes(value).hex()}"
    return escape(value) if mapping is None else escape(value, mapping)


def _find(name: str) -> codecs.CodecInfo | None:
    if name != _CODEC:
        return None
    return codecs.CodecInfo(
        lambda text, _errors="strict": (to_bytes(text), len(text)),
        lambda data, _errors="strict": (to_text(bytes(data)), len(data)),
        name=_CODEC,
    )


def to_bytes(text: str) -> bytes:
    """Return a text's bytes as PHP has them. Half a surrogate pair raises UnicodeEncodeError."""
    return text.encode("utf-8", "surrogateescape")


def to_text(data: bytes) -> str:
    """Return the text of PHP's bytes; those that are no UTF-8 are surrogates, as in to_bytes."""
    return data.decode("utf-8", "surrogateescape")
