"""What Google's reporter asks of the registry: a product's service, and whether a buyer has left."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from meterbridge.application.ports import Clock, Registry
from meterbridge.domain.agreements import AgreementState
from meterbridge.domain.errors import InvariantError, NotFoundError
from meterbridge.domain.offerings import Channel

_SERVICE = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)+")
_KEPT = timedelta(minutes=1)


class RegistryListings:
    """Products' services, kept for a minute, and agreements' ends, read each time."""

    def __init__(self, registry: Registry, clock: Clock) -> None:
        """Nothing is read yet."""
        self._registry = registry
        self._clock = clock
        self._services: dict[str, tuple[str, datetime]] = {}

    def service_of(self, product_id: str) -> str:
        """The service name of a product, as Producer Portal shows it.

        Raises:
            InvariantError: the product is not listed on Google, or under no service name.
            StoreUnavailableError: it cannot be read now.
        """
        now = self._clock.now()
        service, read_at = self._services.get(product_id, ("", now))
        if service and now - read_at < _KEPT:
            return service
        try:
            listings = self._registry.product(product_id).listings
        except NotFoundError as exc:
            raise InvariantError(f"there is no product {product_id}") from exc
        service = listings.get(Channel.GCP, "")
        if not _SERVICE.fullmatch(service):
            raise InvariantError(f"product {product_id} names no service on Google: {service!r}")
        self._services[product_id] = service, now
        return service

    def has_ended(self, agreement_id: str) -> bool:
        """Whether an agreement is over, so that only its last usage is left to report.

        Raises:
            StoreUnavailableError: it cannot be read now.
        """
        try:
            agreement = self._registry.agreement(agreement_id)
        except NotFoundError:
            return False
        ends_at = agreement.ends_at
        ended = ends_at is not None and ends_at <= self._clock.now()
        return ended or agreement.state is AgreementState.ENDED
