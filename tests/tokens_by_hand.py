"""Tokens as others make them, without PyJWT."""

import base64
import hmac
import json


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def signed(claims: object, key: bytes, algorithm: str) -> str:
    """A token with these claims; ``none`` for no signature."""
    head = {"alg": algorithm, "typ": "JWT"}
    text = ".".join(encoded(json.dumps(part).encode()) for part in (head, claims))
    if algorithm == "none":
        return f"{text}."
    return f"{text}.{encoded(hmac.digest(key, text.encode(), algorithm.replace('HS', 'sha')))}"
