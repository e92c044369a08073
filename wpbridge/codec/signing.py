"""Derive keys for signatures from a site's signing secret; pure.

Each use has a key of its own, so a signature made for one use is worth nothing for another. The
companion plugin derives the same keys in PHP (``wpbridge_signing_keys()``).
"""

import base64
import hmac
import re
from typing import Final, Literal, TypeAlias, get_args

Use: TypeAlias = Literal["wake", "job-token", "ticket", "login", "forward", "callback", "session"]
USES: Final[tuple[Use, ...]] = get_args(Use)
"""What keys are derived for. The companion plugin has the same list."""
SECRET_BYTES: Final = 32
_SECRET: Final = re.compile(rf"[0-9a-f]{{{2 * SECRET_BYTES}}}")


def derived_key(secret: bytes, use: Use) -> bytes:
    """Return the key of one use, of 32 bytes.

    Raises:
        ValueError: there is no such use.
    """
    if use not in USES:
        raise ValueError(f"no key is derived for {use!r}: use one of {', '.join(USES)}")
    return hmac.digest(secret, f"wpbridge/{use}/v1".encode(), "sha256")


def callback_secret(key: bytes, name: str) -> str:
    """Return the secret that signs the callbacks of one API key, as Standard Webhooks writes it.

    Args:
        key: a key of the use ``callback``.
        name: the name of the API key.
    """
    digest = hmac.digest(key, name.encode(), "sha256")
    return f"whsec_{base64.b64encode(digest).decode()}"


def fingerprint(secret: bytes) -> str:
    """Return eight digits by which people recognise a secret. They do not help to guess it."""
    return hmac.digest(secret, b"wpbridge/fingerprint/v1", "sha256").hex()[:8]


def secret_of(text: str) -> bytes | None:
    """Return the secret that a row holds as hexadecimal digits; None for anything else."""
    return bytes.fromhex(text) if _SECRET.fullmatch(text) else None
