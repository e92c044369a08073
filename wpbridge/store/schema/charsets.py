"""The character set that a MySQL session speaks, set as WordPress sets it.

PHP has bytes and no characters: it sends UTF-8 whatever the session is told that these bytes are.
So where DB_CHARSET is latin1, the server takes each byte for one character, and stores and gives
them back so. Here the driver goes on sending and reading UTF-8 too, and only the session is told.
"""

import codecs
import functools
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

UTF8: Final = frozenset({"utf8", "utf8mb3", "utf8mb4"})
PLAIN: Final = "utf8mb4"
"""What the driver speaks by itself."""
_BACKSLASH_INSIDE: Final = frozenset({"big5", "cp932", "gb18030", "gbk", "sjis"})
"""The second byte of a character may be a backslash or a quote: nothing can be escaped."""
WIDE: Final = _BACKSLASH_INSIDE | {"eucjpms", "euckr", "gb2312", "ujis"}
"""Characters of several bytes, which are not those of UTF-8."""
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
"""Names that PHP's driver takes. With any other WordPress says nothing, and the server's own
character set stays."""
_CODEC: Final = "wpbridge_php_bytes"


def speak(connection: Any, charset: str | None, collate: str | None) -> None:
    """Set a new connection of PyMySQL up.

    Args:
        connection: speaks :data:`PLAIN`.
        charset: None, or a name that PHP or the server does not know: the server's own.
        collate: left out where it is not one of the character set's, as WordPress leaves it out.
    """
    if charset == PLAIN and not collate:
        return
    name = (charset or "").lower()
    with connection.cursor() as cursor:
        cursor.execute("SELECT @@GLOBAL.character_set_server, @@GLOBAL.collation_server")
        own, own_collate = cursor.fetchone()
        if name not in _PHP_KNOWS or not _set_names(connection, cursor, f"'{name}'"):
            name = str(own)
            _set_names(connection, cursor, f"'{own}' COLLATE '{own_collate}'")
        elif collate:
            quoted = connection.escape(collate)
            _set_names(connection, cursor, f"'{name}' COLLATE {quoted}")
    if name not in UTF8:
        _speak_bytes(connection, name)


def _set_names(connection: Any, cursor: Any, told: str) -> bool:
    with suppress(connection.Error):
        cursor.execute(f"SET NAMES {told}")
        return True
    return False


def _speak_bytes(connection: Any, charset: str) -> None:
    """Read what is no UTF-8 as surrogates, and write them as the bytes they were."""
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
    """A text's bytes as PHP has them. UnicodeEncodeError for half a surrogate pair."""
    return text.encode("utf-8", "surrogateescape")


def to_text(data: bytes) -> str:
    """The text of PHP's bytes; what is no UTF-8 becomes surrogates that :func:`to_bytes` knows."""
    return data.decode("utf-8", "surrogateescape")
