"""Products and offers as change sets make them, and what AWS finds wrong when it carries one out."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from .change_details import OFFER, PRODUCT, Change, dimension_rows
from .pricing_terms import TRIAL_TERM, dimension_keys, usage_prices

BETWEEN_INCREASES = timedelta(days=120)
_MOST_OF_A_TYPE = 200


class ChangeError(Exception):
    """A change cannot be carried out: code and message of an ErrorDetail."""

    def __init__(self, message: str, code: str = "INVALID_INPUT") -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass
class ListedProduct:
    """A SaaS product: Draft, Limited or Public."""

    identifier: str
    state: str = "Draft"
    parts: set[str] = field(default_factory=set)
    dimensions: dict[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass
class ListedOffer:
    """An offer: Draft or Released.

    Attributes:
        private: it has buyers of its own.
    """

    identifier: str
    product_id: str
    state: str = "Draft"
    parts: set[str] = field(default_factory=set)
    private: bool = False
    pricing_model: str = ""
    terms: list[Any] = field(default_factory=list)
    raised_at: datetime | None = None


@dataclass
class Listings:
    """Everything that is listed.

    Attributes:
        metered: whether a product has a metering record of a dimension.
    """

    metered: Callable[[str, str], bool] = lambda *_: False
    products: dict[str, ListedProduct] = field(default_factory=dict)
    offers: dict[str, ListedOffer] = field(default_factory=dict)

    def copied(self) -> Listings:
        """The same, to be changed and perhaps thrown away."""
        return Listings(self.metered, copy.deepcopy(self.products), copy.deepcopy(self.offers))

    def knows(self, entity_type: str, identifier: str) -> bool:
        """Whether it is there."""
        return identifier in (self.products if entity_type == PRODUCT else self.offers)

    def make(self, entity_type: str, identifier: str, details: Mapping[str, Any]) -> None:
        """CreateProduct or CreateOffer."""
        if entity_type == PRODUCT:
            self.products[identifier] = ListedProduct(identifier)
            return
        product_id = details["ProductId"]
        if product_id not in self.products:
            raise ChangeError(f"product {product_id} does not exist", "RESOURCE_NOT_FOUND")
        self.offers[identifier] = ListedOffer(identifier, product_id)

    def carry_out(self, change: Change, identifier: str, now: datetime) -> None:
        """Any other change.

        Raises:
            ChangeError: it cannot be.
        """
        if change.entity_type == OFFER:
            self._change_offer(change, self.offers[identifier], now)
        else:
            self._change_product(change, self.products[identifier])

    def _change_product(self, change: Change, product: ListedProduct) -> None:
        product.parts.add(change.change_type)
        match change.change_type:
            case "AddDimensions":
                self._add_dimensions(product, change.details)
            case "UpdateDimensions":
                for key, row in dimension_rows(change.details).items():
                    if key not in product.dimensions:
                        raise ChangeError(f"there is no dimension {key}")
                    if row["Types"] != product.dimensions[key]["Types"]:
                        raise ChangeError(f"the types of {key} cannot change")
                    product.dimensions[key] = row
            case "ReleaseProduct":
                needed = {"UpdateInformation", "AddDeliveryOptions", "AddDimensions"}
                _require(needed, product.parts)
                if product.state != "Draft":
                    raise ChangeError(f"the product is {product.state} already")
                product.state = "Limited"
            case "UpdateVisibility":
                self._make_public(product, change.details["TargetVisibility"])

    def _add_dimensions(self, product: ListedProduct, details: Any) -> None:
        for key, row in dimension_rows(details).items():
            if key in product.dimensions:
                raise ChangeError(f"dimension {key} exists", "DUPLICATE_DIMENSION_KEY")
            product.dimensions[key] = row
        for kind in ("Entitled", "ExternallyMetered"):
            count = sum(kind in row["Types"] for row in product.dimensions.values())
            if count > _MOST_OF_A_TYPE:
                raise ChangeError(f"{count} dimensions of type {kind}", "LIMIT_EXCEEDED")

    def _make_public(self, product: ListedProduct, visibility: str) -> None:
        if product.state == "Draft":
            raise ChangeError("the product is not released")
        for key, row in product.dimensions.items():
            if "ExternallyMetered" in row["Types"] and not self.metered(product.identifier, key):
                raise ChangeError(f"{key}: no metering record present")
        product.state = visibility

    def _change_offer(self, change: Change, offer: ListedOffer, now: datetime) -> None:
        offer.parts.add(change.change_type)
        if offer.state == "Released" and offer.private:
            raise ChangeError("a released private offer does not change")
        match change.change_type:
            case "UpdateTargeting":
                offer.private = True
            case "UpdatePricingTerms":
                self._price(offer, change.details, now)
            case "ReleaseOffer":
                self._release(offer)

    def _price(self, offer: ListedOffer, details: Mapping[str, Any], now: datetime) -> None:
        product = self.products[offer.product_id]
        for key, wanted in dimension_keys(details["Terms"]):
            row = product.dimensions.get(key)
            if row is None or wanted not in row["Types"]:
                raise ChangeError(f"{key} is no {wanted} dimension of the product")
        model = details["PricingModel"]
        if offer.state == "Released":
            if model != offer.pricing_model:
                raise ChangeError("the pricing model of a released offer cannot change")
            self._check_moves(offer, details["Terms"], now)
        offer.pricing_model, offer.terms = model, details["Terms"]

    def _check_moves(self, offer: ListedOffer, terms: Any, now: datetime) -> None:
        old, new = usage_prices(offer.terms), usage_prices(terms)
        raised = [key for key in new if key in old and new[key] > old[key]]
        if not raised:
            return
        if any(key not in old or new[key] < old[key] for key in new):
            raise ChangeError("an increase comes alone", "PRICE_INCREASE_NOT_ALLOWED")
        if offer.raised_at is not None and now < offer.raised_at + BETWEEN_INCREASES:
            raise ChangeError("prices were raised lately", "PRICE_INCREASE_NOT_ALLOWED")
        offer.raised_at = now

    def _release(self, offer: ListedOffer) -> None:
        needed = {"UpdateInformation", "UpdatePricingTerms", "UpdateLegalTerms"}
        kinds = {term["Type"] for term in offer.terms}
        if offer.private:
            needed |= {"UpdateAvailability"}
        elif TRIAL_TERM not in kinds:
            needed |= {"UpdateSupportTerms"}
        _require(needed, offer.parts)
        if self.products[offer.product_id].state == "Draft":
            raise ChangeError("the offer's product is not released")
        if offer.state != "Draft":
            raise ChangeError("the offer is released already")
        offer.state = "Released"


def _require(needed: set[str], parts: set[str]) -> None:
    missing = sorted(needed - parts)
    if missing:
        raise ChangeError(f"missing before it is released: {', '.join(missing)}")
