"""What an AWS listing lacks before a plan can be published with it."""

from __future__ import annotations

from collections.abc import Container, Iterator

from meterbridge.domain.publishing.aws_terms import UpfrontCharge, has_own_trial
from meterbridge.domain.publishing.compiled import Gap, LastApplied
from meterbridge.domain.publishing.listings import AwsListing
from meterbridge.domain.publishing.sale import Sale

MAX_DIMENSIONS_OF_A_TYPE = 200
"""Older pages say 24 or 100 (contracts.md §1.3.1); AWS itself has the last word."""


def aws_listing_gaps(
    sale: Sale, listing: AwsListing, upfront: tuple[UpfrontCharge, ...], *, new: bool
) -> Iterator[Gap]:
    """Gaps of a listing.

    Args:
        new: whether the product is still to be made.
    """
    if new:
        for name, given in (
            ("information", listing.information),
            ("fulfillment_url", listing.fulfillment_url),
            ("limited_to", listing.limited_to),
        ):
            if not given:
                yield Gap(f"/aws/{name}", "missing", "a new product needs it", blocks=True)
    if new and listing.make_public:
        detail = "AWS makes no product public that was never metered: publish it limited first"
        yield Gap("/aws/make_public", "never_metered", detail, blocks=True)
    if listing.private is None and not listing.refund_policy:
        yield Gap("/aws/refund_policy", "missing", "a public offer needs it", blocks=True)
    if not sale.dimensions and not upfront:
        detail = "neither a dimension nor a fee of the listing: there is nothing to sell"
        yield Gap("/reporting", "nothing_to_sell", detail, blocks=True)
    if len(sale.dimensions) > MAX_DIMENSIONS_OF_A_TYPE:
        detail = f"AWS takes {MAX_DIMENSIONS_OF_A_TYPE} dimensions of a type"
        yield Gap("/reporting", "too_many_dimensions", detail, blocks=True)
    metered = {each.code for each in sale.dimensions}
    for charge in upfront:
        if charge.code in metered:
            detail = f"{charge.code} would be a metered and an entitled dimension at once"
            yield Gap("/fees", "repeated", detail, blocks=True)
    if listing.private is not None and listing.offer_id:
        detail = "a released private offer never changes: leave offer_id out, and a new one is made"
        yield Gap("/aws/offer_id", "private_offer_is_fixed", detail, blocks=True)
    if listing.private is not None and has_own_trial(sale):
        detail = "AWS gives free trials in public offers only"
        yield Gap("/trial/native", "no_native_trial", detail, blocks=True)
    if sale.terms.trial is not None and has_own_trial(sale):
        detail = "AWS's trial is an offer of its own: a buyer takes it first, and then this one"
        yield Gap("/trial", "trial_apart", detail)
    unknown = sorted(set(listing.units) - metered - {each.code for each in upfront})
    for key in unknown:
        yield Gap(f"/aws/units/{key}", "unknown_code", f"there is no dimension {key}", blocks=True)


def left_dimension_gaps(before: LastApplied | None, wanted: Container[str]) -> Iterator[Gap]:
    """Dimensions that the plan has no more: RestrictDimensions is for drafts (contracts.md §1.3.2)."""
    for key in sorted(dimension_keys(before) if before is not None else ()):
        if key not in wanted:
            detail = f"AWS keeps dimension {key} on the product; this offer has no price for it"
            yield Gap("/dimensions", "dimension_stays", detail)


def dimension_keys(publication: LastApplied) -> set[str]:
    """Of the dimensions that a publication put on the product."""
    return {
        pointer.split("/")[2]
        for pointer in publication.content
        if pointer.startswith("/dimensions/")
    }
