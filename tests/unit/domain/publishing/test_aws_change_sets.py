"""A plan as AWS Marketplace takes it, and what AWS cannot take of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from builders import NOON, dimension, offering
from meterbridge.domain.money import Money
from meterbridge.domain.offerings import Channel, Offering, Visibility
from meterbridge.domain.pricing.channel_reporting import ChannelReporting
from meterbridge.domain.pricing.models import PerUnit
from meterbridge.domain.pricing.plan_terms import (
    Commitment,
    CreditRule,
    Discount,
    FreeTrial,
    MinimumCharge,
    OneOffFee,
    SeatFee,
    SpendCap,
    SubscriptionFee,
    TrialKind,
)
from meterbridge.domain.publishing.aws_change_sets import compile_for_aws
from meterbridge.domain.publishing.compiled import Compiled, LastApplied
from meterbridge.domain.publishing.listings import AwsListing
from meterbridge.domain.publishing.sale import Sale
from pricing_setup import plan, priced
from publishing_setup import (
    INSTALMENTS,
    KNOWN_ON_AWS,
    NEW_ON_AWS,
    PRIVATE,
    SUBSCRIPTION,
    TIERED,
    TRIAL,
    UNITS,
    D,
    blocking,
    body,
    changes_of,
    details,
    gaps,
    in_cents,
    native,
    on_aws,
    reported,
    sold,
)

MADE = {"product": "prod-abc123", "offer": "offer-1"}


def after(compiled: Compiled, **changes: object) -> LastApplied:
    return LastApplied("pub_1", compiled.content, MADE, **changes)  # type: ignore[arg-type]


def at_prices(*prices: str, names: str = "") -> Offering:
    return offering(
        *(
            dimension(code=f"d{number}", name=names, unit_price=Money(Decimal(price), "USD"))
            for number, price in enumerate(prices)
        )
    )


class TestWhatIsSent:
    def test_a_new_product_is_made_whole_in_one_change_set(self) -> None:
        product, offer = (f"$Create{each}Change.Entity.Identifier" for each in ("Product", "Offer"))
        assert changes_of(on_aws(TIERED, NEW_ON_AWS)) == [
            "CreateProduct SaaSProduct@1.0",
            f"UpdateInformation {product}",
            f"UpdateTargeting {product}",
            f"AddDeliveryOptions {product}",
            f"AddDimensions {product}",
            f"ReleaseProduct {product}",
            "CreateOffer Offer@1.0",
            f"UpdateInformation {offer}",
            f"UpdatePricingTerms {offer}",
            f"UpdateLegalTerms {offer}",
            f"UpdateSupportTerms {offer}",
            f"ReleaseOffer {offer}",
        ]

    def test_what_was_applied_last_is_changed_and_not_made_again(self) -> None:
        first = on_aws(at_prices("0.01"))
        again = on_aws(
            at_prices("0.005", "0.2"), replace(KNOWN_ON_AWS, product_id=""), after(first)
        )
        assert changes_of(again) == [
            "AddDimensions prod-abc123",
            "UpdateInformation offer-1",
            "UpdatePricingTerms offer-1",
            "UpdateLegalTerms offer-1",
            "UpdateSupportTerms offer-1",
        ]
        assert [each["Key"] for each in details(again, "AddDimensions")] == ["d1"]

    def test_a_dimension_with_another_text_is_updated(self) -> None:
        first = on_aws(at_prices("0.01"))
        again = on_aws(at_prices("0.01", names="Calls"), KNOWN_ON_AWS, after(first))
        assert details(again, "UpdateDimensions") == [
            {
                "Key": "d0",
                "Name": "Calls",
                "Description": "Calls, per unit",
                "Types": ["ExternallyMetered"],
                "Unit": "Units",
            }
        ]
        assert "AddDimensions prod-abc123" not in changes_of(again)

    def test_a_dimension_that_the_plan_has_no_more_stays_on_the_product(self) -> None:
        again = on_aws(at_prices("0.01"), KNOWN_ON_AWS, after(on_aws(at_prices("0.01", "0.02"))))
        assert gaps(again) == {("/dimensions", "dimension_stays")}
        assert blocking(again) == set()

    def test_a_dimension_said_to_be_known_is_not_added(self) -> None:
        listing = replace(KNOWN_ON_AWS, known_dimensions=("tokens_k",), units={"gib_hours": "GB"})
        added = details(on_aws(UNITS, listing), "AddDimensions")
        assert [(each["Key"], each["Unit"]) for each in added] == [("gib_hours", "GB")]

    def test_a_private_offer_is_made_anew_each_time(self) -> None:
        listing = replace(KNOWN_ON_AWS, private=PRIVATE)
        again = on_aws(SUBSCRIPTION, listing, after(on_aws(SUBSCRIPTION, listing)))
        assert changes_of(again)[0] == "CreateOffer Offer@1.0"
        assert blocking(again) == set()

    def test_what_others_of_the_offering_have_made_is_shared(self) -> None:
        public = LastApplied("pub_1", on_aws(SUBSCRIPTION).content, MADE)
        listing = AwsListing(private=PRIVATE)
        sale = Sale.of(SUBSCRIPTION, "std", Channel.AWS)
        private = compile_for_aws(sale, listing, None, NOON, [public])
        assert changes_of(private)[0] == "CreateOffer Offer@1.0"
        assert details(private, "CreateOffer") == {"ProductId": "prod-abc123"}
        assert blocking(private) == set()
        elsewhere = compile_for_aws(
            sale, replace(listing, product_id="prod-other"), None, NOON, [public]
        )
        assert changes_of(elsewhere)[0] == "AddDimensions prod-other"

    def test_seats_may_be_bought_in_any_number(self) -> None:
        seats = sold(
            plan(fees=(SeatFee("seats", D(30)),), **reported(native("api"), apart=("seats",)))
        )
        terms = details(on_aws(seats), "UpdatePricingTerms")["Terms"]
        assert terms[1]["RateCards"] == [
            {
                "Selector": {"Type": "Duration", "Value": "P1M"},
                "RateCard": [{"DimensionKey": "seats", "Price": "30"}],
                "Constraints": {
                    "MultipleDimensionSelection": "Allowed",
                    "QuantityConfiguration": "Allowed",
                },
            }
        ]
        assert ("/cycle", "other_cycle") in gaps(on_aws(seats))

    def test_a_commitment_is_paid_in_the_instalments_of_a_private_deal(self) -> None:
        deal = sold(
            plan(commitment=Commitment(D(1200)), **reported(native("api"), apart=("commitment",)))
        )
        compiled = on_aws(deal, replace(KNOWN_ON_AWS, private=INSTALMENTS))
        assert details(compiled, "UpdatePricingTerms")["Terms"][1]["Grants"] == [
            {"DimensionKey": "commitment", "MaxQuantity": 1}
        ]
        assert details(compiled, "UpdatePaymentScheduleTerms")["Terms"][0]["Schedule"] == [
            {"ChargeDate": "2027-01-01", "ChargeAmount": "600"},
            {"ChargeDate": "2027-07-01", "ChargeAmount": "600.5"},
        ]
        assert blocking(compiled) == set()
        assert ("/aws/private_offer/payments", "paid_by_schedule") in gaps(compiled)

    def test_a_licence_of_ones_own_takes_the_place_of_the_standard_contract(self) -> None:
        listing = replace(KNOWN_ON_AWS, eula_url="https://acme.example/eula.pdf")
        assert details(on_aws(UNITS, listing), "UpdateLegalTerms")["Terms"][0]["Documents"] == [
            {"Type": "CustomEula", "Url": "https://acme.example/eula.pdf"}
        ]

    def test_a_product_is_made_public_when_asked(self) -> None:
        listing = replace(KNOWN_ON_AWS, make_public=True)
        assert details(on_aws(UNITS, listing), "UpdateVisibility") == {"TargetVisibility": "Public"}

    def test_no_change_set_has_more_than_twenty_changes(self) -> None:
        listing = replace(NEW_ON_AWS, make_public=True)
        assert len(body(on_aws(TRIAL, listing))["ChangeSet"]) == 18


class TestWhatIsNotHeld:
    def test_what_a_new_product_lacks_is_said_at_once(self) -> None:
        assert blocking(on_aws(UNITS, replace(NEW_ON_AWS, information=None, fulfillment_url="",
            limited_to=(), refund_policy=""))) == {
            ("/aws/information", "missing"),
            ("/aws/fulfillment_url", "missing"),
            ("/aws/limited_to", "missing"),
            ("/aws/refund_policy", "missing"),
        }  # fmt: skip

    def test_a_new_product_is_not_public_at_once(self) -> None:
        listing = replace(NEW_ON_AWS, make_public=True)
        assert blocking(on_aws(UNITS, listing)) == {("/aws/make_public", "never_metered")}

    def test_a_price_that_aws_cannot_hold_blocks(self) -> None:
        compiled = on_aws(at_prices("0.000000001"))
        assert blocking(compiled) == {("/reporting/0/dimensions/0", "price_precision")}

    def test_a_plan_not_reported_there_has_nothing_to_sell(self) -> None:
        other = sold(plan(reporting=(ChannelReporting(Channel.AZURE, (native("api"),)),)))
        assert blocking(on_aws(other)) == {
            ("/reporting", "not_reported"),
            ("/reporting", "nothing_to_sell"),
        }

    def test_faults_of_another_channels_reporting_are_not_this_ones(self) -> None:
        wrong = ChannelReporting(Channel.AZURE, ())
        right = ChannelReporting(Channel.AWS, (native("api"),))
        assert gaps(on_aws(sold(plan(reporting=(wrong, right))))) == set()
        swapped = on_aws(sold(plan(reporting=(right, ChannelReporting(Channel.AWS, ())))))
        assert ("/reporting/1/channel", "repeated") in blocking(swapped)

    def test_faults_point_into_the_plans_own_reporting(self) -> None:
        aws = ChannelReporting(Channel.AWS, (native("no such code"),))
        found = on_aws(sold(plan(reporting=(ChannelReporting(Channel.AZURE, ()), aws))))
        assert ("/reporting/1/dimensions/0/code", "dimension_code") in blocking(found)

    def test_what_rating_keeps_is_named_piece_by_piece(self) -> None:
        rich = sold(
            plan(
                priced(PerUnit(D(1))),
                fees=(SubscriptionFee("platform", D(10)), OneOffFee("setup", D(5))),
                trial=FreeTrial(TrialKind.AMOUNT, amount=D(5)),
                discounts=(Discount("launch", D(10)),),
                credits=(CreditRule("gift", D(5)),),
                minimum=MinimumCharge(D(20)),
                spend_cap=SpendCap(D(100)),
                **reported(
                    in_cents("usage", "api", "platform", "minimum_charge"), apart=("setup",)
                ),
            )
        )
        compiled = on_aws(rich)
        assert blocking(compiled) == set()
        assert gaps(compiled) == {
            ("/dimensions/0/price", "rated_here"),
            ("/trial", "kept_here"),
            ("/discounts/0", "kept_here"),
            ("/credits/0", "kept_here"),
            ("/minimum", "kept_here"),
            ("/fees/0", "kept_here"),
            ("/spend_cap", "kept_here"),
            ("/reporting/0/billed_apart", "invoiced_apart"),
        }

    def test_a_private_offering_needs_its_buyers(self) -> None:
        hidden = replace(UNITS, visibility=Visibility.PRIVATE)
        assert blocking(on_aws(hidden)) == {("/aws/private_offer", "private_offering")}
        assert blocking(on_aws(hidden, replace(KNOWN_ON_AWS, private=PRIVATE))) == set()

    def test_a_released_private_offer_cannot_be_named(self) -> None:
        listing = replace(KNOWN_ON_AWS, private=PRIVATE, offer_id="offer-9")
        assert blocking(on_aws(UNITS, listing)) == {("/aws/offer_id", "private_offer_is_fixed")}

    def test_a_free_trial_is_for_public_offers(self) -> None:
        listing = replace(KNOWN_ON_AWS, private=PRIVATE)
        assert blocking(on_aws(TRIAL, listing)) == {("/trial/native", "no_native_trial")}

    @pytest.mark.parametrize(("days", "blocks"), [(6, True), (7, False), (90, False), (91, True)])
    def test_a_free_trial_lasts_7_to_90_days(self, days: int, blocks: bool) -> None:
        trial = FreeTrial(TrialKind.DAYS, days, native=True)
        given = plan(trial=trial, reporting=(ChannelReporting(Channel.AWS, (native("api"),)),))
        assert (("/trial/days", "native_trial_days") in blocking(on_aws(sold(given)))) is blocks

    def test_a_buyer_must_not_choose_among_what_the_plan_charges(self) -> None:
        fees = (SubscriptionFee("platform", D(10)), SeatFee("seats", D(5)))
        both = sold(plan(fees=fees, **reported(native("api"), apart=("platform", "seats"))))
        assert ("/fees", "buyer_chooses") in blocking(on_aws(both))

    def test_a_price_in_advance_has_three_decimals(self) -> None:
        fee = SubscriptionFee("platform", D("10.0005"))
        given = sold(plan(fees=(fee,), **reported(native("api"), apart=("platform",))))
        assert blocking(on_aws(given)) == {("/fees", "price_precision")}

    def test_two_hundred_and_one_dimensions_are_too_many(self) -> None:
        many = at_prices(*["0.01"] * 201)
        assert blocking(on_aws(many)) == {("/reporting", "too_many_dimensions")}

    def test_a_unit_for_a_dimension_that_is_not_there_is_told(self) -> None:
        listing = replace(KNOWN_ON_AWS, units={"nothing": "GB"})
        assert blocking(on_aws(UNITS, listing)) == {("/aws/units/nothing", "unknown_code")}


class TestPricesOfBuyersOnIt:
    def test_a_released_offer_keeps_its_pricing_model(self) -> None:
        contract = on_aws(SUBSCRIPTION, KNOWN_ON_AWS, after(on_aws(TIERED)))
        assert ("/fees", "pricing_model_changes") in blocking(contract)
        elsewhere = replace(KNOWN_ON_AWS, private=PRIVATE)
        assert blocking(on_aws(SUBSCRIPTION, elsewhere, after(on_aws(TIERED)))) == set()

    def test_an_increase_comes_alone(self) -> None:
        first = after(on_aws(at_prices("0.01", "0.02")))
        raised = on_aws(at_prices("0.011", "0.01"), KNOWN_ON_AWS, first)
        assert blocking(raised) == {("/dimensions", "mixed_price_changes")}
        added = on_aws(at_prices("0.011", "0.02", "0.03"), KNOWN_ON_AWS, first)
        assert blocking(added) == {("/dimensions", "mixed_price_changes")}

    def test_an_increase_by_itself_is_noted(self) -> None:
        raised = on_aws(
            at_prices("0.011", "0.02"), KNOWN_ON_AWS, after(on_aws(at_prices("0.01", "0.02")))
        )
        assert blocking(raised) == set()
        assert raised.raises_prices

    @pytest.mark.parametrize(("days", "blocks"), [(119, True), (120, False)])
    def test_the_next_increase_waits_120_days(self, days: int, blocks: bool) -> None:
        last = after(on_aws(at_prices("0.01")), prices_raised_at=NOON - timedelta(days=days))
        found = blocking(on_aws(at_prices("0.02"), KNOWN_ON_AWS, last))
        assert found == ({("/dimensions", "increase_too_soon")} if blocks else set())

    def test_a_decrease_may_come_at_any_time(self) -> None:
        last = after(on_aws(at_prices("0.01")), prices_raised_at=NOON)
        assert blocking(on_aws(at_prices("0.005"), KNOWN_ON_AWS, last)) == set()
