"""API keys: who may call the API, for what, and for which products."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Scope(StrEnum):
    """What a key may do. ADMIN includes READ; sending usage takes INGEST and nothing else."""

    INGEST = "ingest"
    READ = "read"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, and what they may do. `products` None stands for all."""

    key_id: str
    scopes: frozenset[Scope]
    products: frozenset[str] | None

    def allows(self, scope: Scope) -> bool:
        """Whether they may do what needs this scope."""
        return scope in self.scopes or (scope is Scope.READ and Scope.ADMIN in self.scopes)

    def sees(self, product_id: str) -> bool:
        """Whether they may touch what belongs to a product."""
        return self.products is None or product_id in self.products

    def covers(self, products: frozenset[str] | None) -> bool:
        """Whether they see all of these products (None: all there will ever be)."""
        return self.products is None or (products is not None and products <= self.products)


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

    @property
    def caller(self) -> Caller:
        """Whoever calls with this key."""
        return Caller(self.id, self.scopes, self.products)
