"""Whatever the terms: documents that are valid, or gaps that say why they must not go out."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from builders import NOON
from meterbridge.adapters.marketplaces.aws_catalog_model import change_set_faults
from meterbridge.domain.money import ZERO
from meterbridge.domain.offerings import Channel
from meterbridge.domain.pricing.plan_terms import PlanTerms
from meterbridge.domain.pricing.validation import validate
from meterbridge.domain.publishing.aws_change_sets import compile_for_aws
from meterbridge.domain.publishing.azure_checks import configure_faults
from meterbridge.domain.publishing.azure_resources import compile_for_azure
from meterbridge.domain.publishing.compiled import Compiled, LastApplied, changes
from meterbridge.domain.publishing.gcp_documents import compile_for_gcp
from meterbridge.domain.publishing.listings import AwsListing
from meterbridge.domain.publishing.sale import Sale
from publishing_setup import (
    INSTALMENTS,
    KNOWN_ON_AWS,
    NEW_ON_AWS,
    ON_AZURE,
    ON_GCP,
    PRIVATE,
    body,
    sold,
)
from publishing_strategies import reported_plans

LISTINGS = [
    NEW_ON_AWS,
    KNOWN_ON_AWS,
    replace(KNOWN_ON_AWS, private=PRIVATE),
    replace(KNOWN_ON_AWS, private=INSTALMENTS),
]


def nothing_is_dropped(terms: PlanTerms, channel: Channel, compiled: Compiled) -> None:
    """Every fault of the channel blocks, and what the document does not charge is a gap."""
    (number,) = [n for n, each in enumerate(terms.reporting) if each.channel is channel]
    mine = f"/reporting/{number}"
    blocking = {(each.pointer, each.code) for each in compiled.gaps if each.blocks}
    for fault in validate(terms):
        if fault.pointer.startswith(mine) or not fault.pointer.startswith("/reporting"):
            assert (fault.pointer, fault.code) in blocking
    text = "".join(document.body for document in compiled.documents)
    told = " ".join(gap.detail for gap in compiled.gaps)
    for dimension in terms.reporting[number].dimensions:
        assert f'{dimension.code}"' in text
    for code in terms.codes():
        native = any(code == each.code for each in terms.reporting[number].dimensions)
        assert native or code in told or f'"{code}"' in text or _is_flat_fee(code, compiled)


def _is_flat_fee(code: str, compiled: Compiled) -> bool:
    """Azure and Google hold a fee as the plan's price, without its code."""
    return code in ("sub", "seats") and any(
        word in document.body
        for document in compiled.documents
        for word in ("recurrentPrice", "flat_fee")
    )


@given(reported_plans(), st.sampled_from(LISTINGS))
@settings(max_examples=60)
def test_any_terms_make_a_change_set_that_the_service_model_takes(
    terms: PlanTerms, listing: AwsListing
) -> None:
    sale = Sale.of(sold(terms), "std", Channel.AWS)
    compiled = compile_for_aws(sale, listing, None, NOON)
    assert change_set_faults(compiled.documents[0].body) == ()
    nothing_is_dropped(terms, Channel.AWS, compiled)
    assert len(body(compiled)["ChangeSet"]) <= 20


@given(reported_plans())
@settings(max_examples=60)
def test_any_terms_make_a_configuration_of_known_schemas(terms: PlanTerms) -> None:
    compiled = compile_for_azure(Sale.of(sold(terms), "std", Channel.AZURE), ON_AZURE, None)
    assert configure_faults(compiled.documents[0].body) == ()
    nothing_is_dropped(terms, Channel.AZURE, compiled)


@given(reported_plans())
@settings(max_examples=60)
def test_any_terms_make_a_plan_that_a_person_can_enter(terms: PlanTerms) -> None:
    sale = Sale.of(sold(terms), "std", Channel.GCP)
    compiled = compile_for_gcp(sale, ON_GCP, None)
    nothing_is_dropped(terms, Channel.GCP, compiled)
    assert all(each.unit_price.amount >= ZERO for each in sale.dimensions)


@given(reported_plans(), reported_plans())
@settings(max_examples=30)
def test_a_difference_leads_from_the_one_to_the_other(first: PlanTerms, second: PlanTerms) -> None:
    before, after = (
        compile_for_aws(Sale.of(sold(each), "std", Channel.AWS), KNOWN_ON_AWS, None, NOON).content
        for each in (first, second)
    )
    found = dict(before)
    for change in changes(before, after):
        assert found.pop(change.pointer, None) == change.before
        if change.after is not None:
            found[change.pointer] = change.after
    assert found == after


@given(reported_plans())
@settings(max_examples=20)
def test_what_was_applied_and_has_not_changed_differs_in_nothing(terms: PlanTerms) -> None:
    sale = Sale.of(sold(terms), "std", Channel.AWS)
    first = compile_for_aws(sale, KNOWN_ON_AWS, None, NOON)
    made = {"product": "prod-abc123", "offer": "offer-1"}
    again = compile_for_aws(sale, KNOWN_ON_AWS, LastApplied("p", first.content, made), NOON)
    assert changes(first.content, again.content) == ()
    kinds = [each["ChangeType"] for each in body(again)["ChangeSet"]]
    assert not {"CreateProduct", "CreateOffer", "AddDimensions", "UpdateDimensions"} & set(kinds)
