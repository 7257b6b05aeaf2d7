"""The registry on DynamoDB: agreements and API keys here, the rest in the modules it builds on."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from pynamodb.expressions.condition import Condition

from meterbridge.adapters.dynamodb import registry_items as items
from meterbridge.adapters.dynamodb.registry_items import RegistryItem, Term, from_body, to_body
from meterbridge.adapters.dynamodb.registry_offerings import OfferingWriter
from meterbridge.adapters.dynamodb.registry_reader import ATTEMPTS, reading
from meterbridge.adapters.dynamodb.registry_writer import ABSENT, PRESENT
from meterbridge.adapters.dynamodb.transactions import Transaction
from meterbridge.application.registry_admin import (
    MAX_AGREEMENTS_PER_CUSTOMER,
    AlreadyExistsError,
    Answer,
    OverlapError,
    Page,
    Versioned,
)
from meterbridge.domain.agreements import Agreement, AgreementState
from meterbridge.domain.api_keys import ApiKey
from meterbridge.domain.errors import (
    ConflictError,
    InUseError,
    NotFoundError,
    StaleVersionError,
)


class _TermsMovedError(StaleVersionError):
    """Another agreement of the same customer or buyer changed first: not this one's fault."""


class RegistryStore(OfferingWriter):
    """ports.Registry and RegistryAdmin. One item of `terms` guards each customer of a product, and
    each buyer on a marketplace, against two agreements for one moment."""

    def agreement_page(
        self, after: str, limit: int, products: Collection[str] | None = None
    ) -> Page[Agreement]:
        """See RegistryAdmin."""
        if products is None:
            return self._page(items.AGREEMENTS, after, limit, reading(Agreement))
        return self._page_of_products(items.AGREEMENTS, products, after, limit, reading(Agreement))

    def add_agreement(self, agreement: Agreement, answer: Answer | None = None) -> None:
        """See RegistryAdmin."""

        def attempt() -> None:
            change = self._change(answer)
            self._add(
                change,
                items.AGREEMENTS,
                agreement.id,
                to_body(agreement),
                agreement.product_id,
            )
            self._put_terms(change, None, agreement)
            self._count_agreement(change, agreement, +1)
            change.check(
                self._items,
                items.offering_pk(agreement.offering_id),
                items.version_sk(agreement.offering_version),
                PRESENT,
                NotFoundError(f"{agreement.offering_id} version {agreement.offering_version}"),
            )
            change.commit()

        self._repeat(agreement.id, attempt)

    def save_agreement(self, agreement: Agreement, answer: Answer | None = None) -> None:
        """See RegistryAdmin."""

        def attempt() -> None:
            before = self.agreement(agreement.id)
            if before.version != agreement.version - 1:
                raise StaleVersionError(agreement.id)
            change = self._change(answer)
            self._save(
                change,
                items.AGREEMENTS,
                agreement.id,
                to_body(agreement),
                before.version,
            )
            self._put_terms(change, before, agreement)
            change.commit()

        self._repeat(agreement.id, attempt)

    def remove_agreement(self, agreement_id: str) -> None:
        """See RegistryAdmin."""

        def attempt() -> None:
            agreement = self.agreement(agreement_id)
            if agreement.state is not AgreementState.PENDING:
                raise InUseError(f"agreement {agreement_id} is {agreement.state}")
            change = self._change()
            change.delete(
                self._items(items.AGREEMENTS, agreement_id),
                RegistryItem.version == agreement.version,
                StaleVersionError(agreement_id),
            )
            self._put_terms(change, agreement, None)
            self._count_agreement(change, agreement, -1)
            change.commit()

        self._repeat(agreement_id, attempt)

    def api_key(self, key_id: str) -> Versioned[ApiKey]:
        """See RegistryAdmin."""
        return reading(ApiKey)(self._get(items.API_KEYS, key_id))

    def api_keys(self, after: str, limit: int) -> Page[ApiKey]:
        """See RegistryAdmin."""
        return self._page(items.API_KEYS, after, limit, reading(ApiKey))

    def api_key_by_digest(self, digest: str) -> ApiKey:
        """See RegistryAdmin."""
        item = self._find(items.api_key_pk(digest), items.API_KEY)
        if item is None:
            raise NotFoundError("API key")
        return from_body(item.body, ApiKey)

    def add_api_key(self, key: ApiKey, answer: Answer | None = None) -> None:
        """See RegistryAdmin."""
        change = self._change(answer)
        body = to_body(key)
        self._add(change, items.API_KEYS, key.id, body)
        change.put(
            self._items(items.api_key_pk(key.digest), items.API_KEY, body=body, version=1),
            ABSENT,
            AlreadyExistsError(key.id),
        )
        change.commit()

    def save_api_key(self, key: ApiKey, expected_version: int) -> None:
        """See RegistryAdmin."""
        change = self._change()
        body = to_body(key)
        self._save(change, items.API_KEYS, key.id, body, expected_version)
        self._save(change, items.api_key_pk(key.digest), items.API_KEY, body, expected_version)
        change.commit()

    def _count_agreement(self, change: Transaction, agreement: Agreement, by: int) -> None:
        for pk, sk in (
            (items.PRODUCTS, agreement.product_id),
            (items.CUSTOMERS, agreement.customer_id),
            (items.OFFERINGS, agreement.offering_id),
        ):
            self._count(change, pk, sk, by)

    def _put_terms(
        self, change: Transaction, before: Agreement | None, after: Agreement | None
    ) -> None:
        """Replace an agreement's term wherever it is or will be guarded."""
        old, new = _guards(before), _guards(after)
        for pk, sk in sorted(old.keys() | new.keys()):
            term = new.get((pk, sk))
            if term != old.get((pk, sk)):
                self._put_term(change, pk, sk, before or after, term)

    def _put_term(
        self,
        change: Transaction,
        pk: str,
        sk: str,
        agreement: Agreement | None,
        term: Term | None,
    ) -> None:
        item = self._find(pk, sk)
        others: Sequence[Term] = [
            each
            for each in items.terms_from_body(item.body if item else None)
            if agreement is None or each.agreement_id != agreement.id
        ]
        if term is not None:
            clash = next((each for each in others if each.overlaps(term)), None)
            if clash is not None:
                raise OverlapError(f"{term.agreement_id} and {clash.agreement_id} overlap")
            if len(others) >= MAX_AGREEMENTS_PER_CUSTOMER:
                raise ConflictError(f"{sk} has {len(others)} agreements")
            others = [*others, term]
        version = int(item.version or 0) if item else 0
        unchanged: Condition = RegistryItem.version == version if item else ABSENT
        change.put(
            self._items(pk, sk, body=to_body(list(others)), version=version + 1),
            unchanged,
            _TermsMovedError(sk),
        )

    def _repeat(self, name: str, attempt: Callable[[], None]) -> None:
        """Read again and repeat when only the terms of others moved meanwhile."""
        for _ in range(ATTEMPTS):
            try:
                attempt()
            except _TermsMovedError:
                continue
            return
        raise StaleVersionError(name)


def _guards(agreement: Agreement | None) -> dict[tuple[str, str], Term]:
    """Where an agreement's term is guarded."""
    if agreement is None:
        return {}
    term = Term(agreement.id, agreement.starts_at, agreement.ends_at)
    guards = {(items.terms_pk(agreement.product_id), agreement.customer_id): term}
    for buyer in agreement.buyers():
        guards[items.buyer_terms_pk(buyer.channel), buyer.charged] = term
    return guards
