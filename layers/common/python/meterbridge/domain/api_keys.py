"""API keys: who may call the API, for what, and for which products."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Scope(StrEnum):
    """What a key may do. ADMIN includes READ; sending usage takes INGEST and nothing else."""

    INGEST = "ingest"
    READ = "read"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as kept: its digest, never itself.

    Attributes:
        products: ids of the products it is bound to; None for all products, of today and later.
        digest: of the secret, as hex.
        last4: end of the secret, so that a person can tell keys apart.
    """

    id: str
    name: str
    scopes: frozenset[Scope]
    products: frozenset[str] | None
    digest: str
    last4: str
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None

    def usable_at(self, moment: datetime) -> bool:
        """Whether it opens anything at all."""
        return self.revoked_at is None and (self.expires_at is None or moment < self.expires_at)

    def allows(self, scope: Scope) -> bool:
        """Whether it may do what needs this scope."""
        return scope in self.scopes or (scope is Scope.READ and Scope.ADMIN in self.scopes)

    def sees(self, product_id: str) -> bool:
        """Whether it may touch what belongs to a product."""
        return self.products is None or product_id in self.products

    def within(self, products: Iterable[str] | None) -> bool:
        """Whether it sees nothing beyond these products (None: all)."""
        if products is None:
            return True
        return self.products is not None and self.products <= frozenset(products)
