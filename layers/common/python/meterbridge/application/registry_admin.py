"""What the management use cases need of the registry, beyond what the pipeline reads.

Every write is one transaction: the object, the counts of who refers to whom, the terms that must
not overlap, the catalog's version, and the answer kept for an idempotency key, or nothing of it.
Unless said otherwise a method raises

- NotFoundError: the object, or one it refers to, does not exist;
- StaleVersionError: it is not at the expected version any more;
- InUseError: it cannot go, because something refers to it;
- AnsweredError: a request with the same idempotency key was finished first.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, Protocol, TypeVar

from meterbridge.application.ports import Registry
from meterbridge.domain.agreements import Agreement, Customer
from meterbridge.domain.api_keys import ApiKey
from meterbridge.domain.customer_links import CustomerLink
from meterbridge.domain.errors import ConflictError
from meterbridge.domain.meters import Meter
from meterbridge.domain.offerings import Offering, Product
from meterbridge.domain.usage_log import ShardPlan

T = TypeVar("T")

ANSWER_LIFETIME = timedelta(hours=48)
"""How long an answer is kept for its idempotency key."""

MAX_METERS_PER_OFFERING = 90
"""Different meters that one version of an offering may refer to: they change in one transaction."""

MAX_AGREEMENTS_PER_CUSTOMER = 1000
"""Agreements of one customer for one product, over all time."""


class AlreadyExistsError(ConflictError):
    """The id is taken."""


class AnsweredError(ConflictError):
    """A request with the same idempotency key was finished first; its answer is stored."""


class OverlapError(ConflictError):
    """Two agreements would bill the same customer or the same buyer at the same moment."""


@dataclass(frozen=True, slots=True)
class Versioned(Generic[T]):
    """A stored object and the number of its last change."""

    value: T
    version: int


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A part of a list. `next_after` continues it; "" at its end."""

    entries: tuple[Versioned[T], ...]
    next_after: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a POST with an idempotency key was answered.

    Attributes:
        caller: the API key it was sent with; keys of others are others' keys.
        idempotency_key: as sent.
        request_hash: of method, path and body.
        status, body: the answer, but for a secret.
        secret: whether the answer held a secret, which is shown only once and kept nowhere.
    """

    caller: str
    idempotency_key: str
    request_hash: str
    status: int
    body: str
    given_at: datetime
    secret: bool = False

    @property
    def expires_at(self) -> datetime:
        """From when on the idempotency key is free again."""
        return self.given_at + ANSWER_LIFETIME


class RegistryAdmin(Registry, Protocol):
    """Create, change, list and remove. Lists are in order of id and begin after `after`."""

    def answer(self, caller: str, idempotency_key: str, now: datetime) -> Answer | None:
        """What this key was answered, unless that has expired; strongly read."""

    def product_entry(self, product_id: str) -> Versioned[Product]: ...

    def products(
        self, after: str, limit: int, among: Collection[str] | None = None
    ) -> Page[Product]:
        """Args: among: only these ids."""

    def add_product(self, product: Product, answer: Answer | None = None) -> None:
        """Raises AlreadyExistsError."""

    def save_product(self, product: Product, expected_version: int) -> None: ...

    def remove_product(self, product_id: str) -> None:
        """InUseError while a meter, an offering or an agreement is of this product."""

    def meter_entry(self, meter_id: str) -> Versioned[Meter]: ...

    def meters(
        self, after: str, limit: int, products: Collection[str] | None = None
    ) -> Page[Meter]:
        """Args: products: only meters of these."""

    def add_meter(self, meter: Meter, answer: Answer | None = None) -> None:
        """Raises AlreadyExistsError."""

    def save_meter(self, meter: Meter, expected_version: int) -> None:
        """InUseError where the names of its groups change while an offering refers to it."""

    def remove_meter(self, meter_id: str) -> None:
        """InUseError while an offering refers to it."""

    def offering_entry(self, offering_id: str) -> Versioned[Offering]:
        """The newest version."""

    def offerings(
        self, after: str, limit: int, products: Collection[str] | None = None
    ) -> Page[Offering]:
        """The newest version of each. Args: products: only offerings of these."""

    def offering_versions(self, offering_id: str, after: int, limit: int) -> Page[Offering]:
        """Versions after a number, ascending."""

    def add_offering(
        self, offering: Offering, meters: Mapping[str, int], answer: Answer | None = None
    ) -> None:
        """Store version 1, or the version after the newest.

        Args:
            meters: the meters it refers to, with the version at which they were found fitting.

        Raises:
            AlreadyExistsError: version 1 of an offering that exists.
        """

    def remove_offering(self, offering_id: str) -> None:
        """All versions. InUseError while an agreement is on any of them."""

    def customer_entry(self, customer_id: str) -> Versioned[Customer]: ...

    def customer_page(self, after: str, limit: int) -> Page[Customer]: ...

    def add_customer(self, customer: Customer, answer: Answer | None = None) -> None:
        """Raises AlreadyExistsError."""

    def save_customer(self, customer: Customer, expected_version: int) -> None: ...

    def remove_customer(self, customer_id: str) -> None:
        """InUseError while the customer has an agreement, or was ever linked to another."""

    def links_entry(self, child_id: str) -> Versioned[Sequence[CustomerLink]]:
        """A customer's links as a child; version 0 before anything was ever written of them."""

    def save_links(
        self,
        child_id: str,
        links: Sequence[CustomerLink],
        *,
        expected_version: int,
        guarded: Mapping[str, int],
    ) -> None:
        """Replace a customer's links as a child.

        Args:
            guarded: versions of the links_entry of customers that become its parents; they are
                counted on, so that whoever looked at one of them before looks again.
        """

    def agreement_page(
        self, after: str, limit: int, products: Collection[str] | None = None
    ) -> Page[Agreement]:
        """Args: products: only agreements for these. May lag behind by a moment."""

    def add_agreement(self, agreement: Agreement, answer: Answer | None = None) -> None:
        """Raises AlreadyExistsError, OverlapError."""

    def save_agreement(self, agreement: Agreement, answer: Answer | None = None) -> None:
        """Replace the version before `agreement.version`. Raises OverlapError."""

    def remove_agreement(self, agreement_id: str) -> None:
        """InUseError unless it is PENDING: it may have been metered under."""

    def api_key(self, key_id: str) -> Versioned[ApiKey]: ...

    def api_keys(self, after: str, limit: int) -> Page[ApiKey]: ...

    def api_key_by_digest(self, digest: str) -> ApiKey:
        """Strongly read: a revoked key is revoked from the next call on."""

    def add_api_key(self, key: ApiKey, answer: Answer | None = None) -> None:
        """Raises AlreadyExistsError."""

    def save_api_key(self, key: ApiKey, expected_version: int) -> None: ...

    def shard_plan_entry(self) -> Versioned[ShardPlan]:
        """Version 0 before it was ever set."""

    def set_shard_plan(self, plan: ShardPlan, expected_version: int) -> None: ...
