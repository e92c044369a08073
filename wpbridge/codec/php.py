"""PHP's ``serialize`` format, the whole grammar both ways, on bytes.

``encode(decode(blob)) == blob`` for everything PHP writes, cycles and references included.
This module is the door; what the values are is told in :mod:`wpbridge.codec.php_values`.
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
