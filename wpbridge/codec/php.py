"""Reads and writes PHP's ``serialize`` format, with its whole grammar, as bytes.

``encode(decode(blob)) == blob`` holds for everything that PHP writes, cycles and references
included. :mod:`wpbridge.codec.php_values` describes the values.
"""

from wpbridge.codec.php_decode import decode
from wpbridge.codec.php_encode import encode
from wpbridge.codec.php_plain import to_plain
from wpbridge.codec.php_values import (
    PhpArray,
    PhpBare,
    PhpCustom,
    PhpEnum,
    PhpKey,
    PhpObject,
    PhpReference,
    PhpValue,
    deref,
)

__all__ = [
    "PhpArray",
    "PhpBare",
    "PhpCustom",
    "PhpEnum",
    "PhpKey",
    "PhpObject",
    "PhpReference",
    "PhpValue",
    "decode",
    "deref",
    "encode",
    "to_plain",
]
