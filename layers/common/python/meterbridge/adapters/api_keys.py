"""Secrets of API keys: drawn here, shown once, kept as a digest."""

from __future__ import annotations

import hashlib
import re
import secrets

PREFIX = "mb_"
_SECRET = re.compile(rf"{PREFIX}[A-Za-z0-9_-]{{43}}")
_BEARER = re.compile(rf"bearer +({_SECRET.pattern})", re.IGNORECASE)


def new_secret() -> str:
    """A key nobody has: 256 random bits."""
    return PREFIX + secrets.token_urlsafe(32)


def digest_of(secret: str) -> str:
    """SHA-256, as hex. With 256 random bits there is nothing to guess, so it needs no salt; and as
    the digest is the key of a table, how long a lookup takes tells nothing about the secret."""
    return hashlib.sha256(secret.encode()).hexdigest()


def secret_in(authorization: str) -> str:
    """The key in an Authorization header; "" where there is none of our form."""
    match = _BEARER.fullmatch(authorization.strip())
    return match.group(1) if match else ""
