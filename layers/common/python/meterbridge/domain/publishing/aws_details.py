"""The parts of AWS Marketplace's change sets that are texts rather than prices (contracts.md §1.3)."""

from __future__ import annotations

from collections.abc import Mapping

from meterbridge.domain.publishing.aws_terms import UpfrontCharge
from meterbridge.domain.publishing.compiled import Json
from meterbridge.domain.publishing.listings import AwsInformation
from meterbridge.domain.publishing.sale import Sale, unit_text

PRODUCT_TYPE, OFFER_TYPE = "SaaSProduct@1.0", "Offer@1.0"
_STANDARD_EULA = "2022-07-14"


def entity_type(entity: str) -> str:
    """Of `product`, `offer` or `trial_offer`."""
    return PRODUCT_TYPE if entity == "product" else OFFER_TYPE


def dimensions(
    sale: Sale, upfront: tuple[UpfrontCharge, ...], units: Mapping[str, str]
) -> dict[str, Json]:
    """By key: ExternallyMetered what is reported, Entitled what is paid in advance (§1.3.3)."""
    found: dict[str, Json] = {}
    for each in sale.dimensions:
        text = unit_text(each, sale.terms.currency)
        found[each.code] = _dimension(each.code, each.name, text, "ExternallyMetered", units)
    for charge in upfront:
        text = _upfront_text(charge)
        found[charge.code] = _dimension(charge.code, "", text, "Entitled", units)
    return found


def information(given: AwsInformation) -> Json:
    """UpdateInformation of a product."""
    found: dict[str, Json] = {
        "ProductTitle": given.title,
        "ShortDescription": given.short_description,
        "LongDescription": given.long_description,
        "Highlights": list(given.highlights),
        "LogoUrl": given.logo_url,
        "Categories": list(given.categories),
        "SearchKeywords": list(given.search_keywords),
    }
    if given.support_description:
        found["SupportDescription"] = given.support_description
    return found


def targeting(accounts: tuple[str, ...]) -> Json:
    """UpdateTargeting: who sees a limited product, or whom a private offer is for."""
    return {"PositiveTargeting": {"BuyerAccounts": list(accounts)}}


def delivery_option(fulfillment_url: str) -> Json:
    """AddDeliveryOptions: where a buyer lands."""
    url: dict[str, Json] = {"FulfillmentUrl": fulfillment_url}
    return {"DeliveryOptions": [{"Details": {"SaaSUrlDeliveryOptionDetails": url}}]}


def legal_terms(eula_url: str) -> Json:
    """UpdateLegalTerms: the seller's own licence, or AWS's standard contract."""
    document: Json = {"Type": "StandardEula", "Version": _STANDARD_EULA}
    if eula_url:
        document = {"Type": "CustomEula", "Url": eula_url}
    return {"Terms": [{"Type": "LegalTerm", "Documents": [document]}]}


def _dimension(key: str, name: str, text: str, kind: str, units: Mapping[str, str]) -> Json:
    return {
        "Key": key,
        "Name": name or key,
        "Description": text,
        "Types": [kind],
        "Unit": units.get(key, "Units"),
    }


def _upfront_text(charge: UpfrontCharge) -> str:
    return f"{charge.code}, per seat" if charge.by_quantity else f"{charge.code}, paid in advance"
