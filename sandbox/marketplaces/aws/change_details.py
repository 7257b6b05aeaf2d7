"""What StartChangeSet checks of each change before it takes a change set (contracts.md §1.3.1-3)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from . import pricing_terms
from .errors import AwsError, validation
from .pricing_terms import check_terms, rows, text

PRODUCT, OFFER = "SaaSProduct@1.0", "Offer@1.0"
_KEY = re.compile(r"[A-Za-z0-9_.-]{1,100}")
_ACCOUNT = re.compile(r"[0-9]{12}", re.ASCII)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_URL = re.compile(r"https://\S+")
_TYPES = frozenset({"Entitled", "ExternallyMetered"})
_UNITS = frozenset(
    [
        "Users",
        "Hosts",
        "GB",
        "MB",
        "TB",
        "Gbps",
        "Mbps",
        "Requests",
        "Units",
        "UserHrs",
        "UnitHrs",
        "HostHrs",
        "TierHrs",
        "TaskHrs",
    ]
)
_MOST_DIMENSIONS = 200
MOST_DETAILS = 16384
"""Characters of `Details` as a text; a document has no published limit."""

_REFERENCE = re.compile(r"\$(?P<change>[A-Za-z0-9]+)\.Entity\.Identifier")


@dataclass(frozen=True)
class Change:
    """One change of a change set.

    Attributes:
        identifier: of the entity it changes, `$<name>.Entity.Identifier`, or "" to make one.
        details: as an object or a list, however they were sent.
    """

    change_type: str
    entity_type: str
    identifier: str
    name: str
    details: Any

    @property
    def reference(self) -> str:
        """The name of the change that makes the entity; "" where it is there already."""
        match = _REFERENCE.fullmatch(self.identifier)
        return match["change"] if match else ""


def read_change(row: Any, details: Any) -> Change:
    """A change whose details are what its type takes.

    Raises:
        AwsError: 422 ValidationException, or 415 where SaaS has no such change.
    """
    entity = row.get("Entity")
    change = Change(
        change_type=text(row, "ChangeType"),
        entity_type=text(entity, "Type"),
        identifier=entity.get("Identifier", ""),
        name=row.get("ChangeName", ""),
        details=details,
    )
    check = _CHECKS.get((change.change_type, change.entity_type))
    if check is None:
        message = f"{change.change_type} on {change.entity_type}"
        raise AwsError("ResourceNotSupportedException", f"not served: {message}", 415)
    creates = change.change_type in ("CreateProduct", "CreateOffer")
    if creates and change.identifier:
        raise validation(f"{change.change_type} takes no Identifier")
    if not creates and not change.identifier:
        raise validation(f"{change.change_type} needs an Identifier")
    check(details)
    return change


def dimension_rows(details: Any) -> Mapping[str, Mapping[str, Any]]:
    """Dimensions by key."""
    return {row["Key"]: row for row in details}


def _nothing(details: Any) -> None:
    if details != {}:
        raise validation("it takes no details")


def _create_product(details: Any) -> None:
    if not isinstance(details, Mapping) or set(details) - {"ProductTitle"}:
        raise validation("CreateProduct takes a ProductTitle only")


def _product_information(details: Any) -> None:
    for member in ("ProductTitle", "ShortDescription", "LongDescription", "LogoUrl"):
        text(details, member)
    for member in ("Highlights", "Categories", "SearchKeywords"):
        rows(details, member, 15)


def _targeting(details: Any) -> None:
    positive = details.get("PositiveTargeting") if isinstance(details, Mapping) else None
    for account in rows(positive, "BuyerAccounts", 200):
        if not isinstance(account, str) or not _ACCOUNT.fullmatch(account):
            raise validation("BuyerAccounts[] must be 12 digits")


def _delivery_options(details: Any) -> None:
    for option in rows(details, "DeliveryOptions", 1):
        inner = option.get("Details", {})
        url = text(inner.get("SaaSUrlDeliveryOptionDetails"), "FulfillmentUrl")
        if not _URL.fullmatch(url):
            raise validation("FulfillmentUrl must be an https URL")


def _dimensions(details: Any) -> None:
    if not isinstance(details, list) or not 1 <= len(details) <= 2 * _MOST_DIMENSIONS:
        raise validation("dimensions must be a list")
    for row in details:
        if not _KEY.fullmatch(text(row, "Key")):
            raise validation("Key must be up to 100 letters, digits, _, . and -")
        for member, most in (("Name", 500), ("Description", 1000)):
            if len(text(row, member)) > most:
                raise validation(f"{member} must have at most {most} characters")
        if text(row, "Unit") not in _UNITS:
            raise validation(f"Unit must be one of {sorted(_UNITS)}")
        types = rows(row, "Types", 2)
        if not set(types) <= _TYPES:
            raise validation(f"Types must be of {sorted(_TYPES)} for SaaS")
    keys = [row["Key"] for row in details]
    if len(set(keys)) != len(keys):
        raise validation("Key must be unique")


def _create_offer(details: Any) -> None:
    text(details, "ProductId")


def _offer_information(details: Any) -> None:
    text(details, "Name")


def _availability(details: Any) -> None:
    if not _DATE.fullmatch(text(details, "AvailabilityEndDate")):
        raise validation("AvailabilityEndDate must be a date")


def _visibility(details: Any) -> None:
    if text(details, "TargetVisibility") not in ("Public", "Restricted"):
        raise validation("TargetVisibility must be Public or Restricted")


_CHECKS: Mapping[tuple[str, str], Callable[[Any], None]] = {
    ("CreateProduct", PRODUCT): _create_product,
    ("UpdateInformation", PRODUCT): _product_information,
    ("UpdateTargeting", PRODUCT): _targeting,
    ("AddDeliveryOptions", PRODUCT): _delivery_options,
    ("AddDimensions", PRODUCT): _dimensions,
    ("UpdateDimensions", PRODUCT): _dimensions,
    ("ReleaseProduct", PRODUCT): _nothing,
    ("UpdateVisibility", PRODUCT): _visibility,
    ("CreateOffer", OFFER): _create_offer,
    ("UpdateInformation", OFFER): _offer_information,
    ("UpdateTargeting", OFFER): _targeting,
    ("UpdatePricingTerms", OFFER): pricing_terms.check_pricing,
    ("UpdateValidityTerms", OFFER): check_terms("ValidityTerm", pricing_terms.validity),
    ("UpdatePaymentScheduleTerms", OFFER): check_terms(
        "PaymentScheduleTerm", pricing_terms.payment_schedule
    ),
    ("UpdateLegalTerms", OFFER): check_terms("LegalTerm", pricing_terms.legal),
    ("UpdateSupportTerms", OFFER): check_terms("SupportTerm", pricing_terms.support),
    ("UpdateAvailability", OFFER): _availability,
    ("ReleaseOffer", OFFER): _nothing,
}
