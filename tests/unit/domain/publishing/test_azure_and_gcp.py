"""A plan as Microsoft and Google take it, and what they cannot take of it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from builders import dimension, offering
from meterbridge.domain.offerings import Channel, Visibility
from meterbridge.domain.pricing.channel_reporting import ChannelReporting
from meterbridge.domain.pricing.cycles import CycleKind
from meterbridge.domain.pricing.models import PerUnit
from meterbridge.domain.pricing.plan_terms import (
    Entitlement,
    FreeTrial,
    SeatFee,
    SubscriptionFee,
    TrialKind,
)
from meterbridge.domain.publishing.azure_checks import configure_faults
from meterbridge.domain.publishing.compiled import Change, Compiled, Document, LastApplied, changes
from meterbridge.domain.publishing.listings import AzureTarget
from pricing_setup import faults_at, plan, priced
from publishing_setup import (
    ON_AZURE,
    SUBSCRIPTION,
    TENANT,
    TIERED,
    UNITS,
    D,
    blocking,
    body,
    gaps,
    native,
    on_azure,
    on_gcp,
    reported,
    sold,
)


def prices(compiled: Compiled) -> Any:
    (found,) = [each for each in body(compiled)["resources"] if "pricing" in each]
    return found["pricing"]


def entitled(quantity: Any, cycle: CycleKind, per: str = "1") -> Any:
    dimension = priced(PerUnit(D(1)), entitlement=Entitlement(quantity))
    return sold(plan(dimension, cycle=cycle, **reported(native("api", units_per_quantity=D(per)))))


class TestAzure:
    def test_prices_are_json_numbers_digit_by_digit(self) -> None:
        assert '"gib_hours":{"pricePerPaymentInUsd":0.00013}' in on_azure(UNITS).documents[0].body

    @pytest.mark.parametrize(
        ("quantity", "per", "shown"),
        [
            (D(12000), "1000", {"isInfinite": False, "quantity": D(12)}),
            (None, "1", {"isInfinite": True}),
            (D("1.5"), "1", None),
            (D(500), "1000", None),
        ],
    )
    def test_what_is_included_is_shown_where_it_is_whole(
        self, quantity: Any, per: str, shown: Any
    ) -> None:
        compiled = on_azure(entitled(quantity, CycleKind.ANNIVERSARY, per))
        meter = prices(compiled)["customMeters"]["meters"]["api"]
        expected = shown and [{"billingTerm": {"type": "month", "value": 1}, **shown}]
        assert meter.get("includedQuantities") == expected
        assert (("/dimensions", "included_not_shown") in gaps(compiled)) is (shown is None)

    def test_what_is_included_by_the_calendar_is_not_azures_term(self) -> None:
        compiled = on_azure(entitled(D(5), CycleKind.CALENDAR_MONTH))
        assert "includedQuantities" not in prices(compiled)["customMeters"]["meters"]["api"]
        assert ("/dimensions", "included_not_shown") in gaps(compiled)

    def test_a_plan_by_the_user_has_limits_and_no_meters(self) -> None:
        fee = SeatFee("seats", D(30))
        alone = sold(
            plan(priced(PerUnit(D(0))), fees=(fee,), **reported(native("api"), apart=("seats",)))
        )
        assert ("/fees", "no_meters_per_user") in blocking(on_azure(alone))
        pure = sold(replace(plan(), dimensions=(), fees=(fee,), **reported(apart=("seats",))))
        assert blocking(on_azure(pure)) == {("/azure/users", "missing")}
        compiled = on_azure(pure, replace(ON_AZURE, users=(1, 500)))
        assert blocking(compiled) == set()
        assert prices(compiled) == {
            "recurrentPrice": {
                "recurrentPriceMode": "perUser",
                "priceInputOption": "usd",
                "prices": [
                    {
                        "billingTerm": {"type": "month", "value": 1},
                        "paymentOption": {"type": "month", "value": 1},
                        "pricePerPaymentInUsd": 30,
                    }
                ],
                "userLimits": {"min": 1, "max": 500},
            }
        }

    def test_fees_are_shown_as_one_price(self) -> None:
        fees = (SubscriptionFee("a", D("10.5")), SubscriptionFee("b", D(4)))
        compiled = on_azure(sold(plan(fees=fees, **reported(native("api"), apart=("a", "b")))))
        (price,) = prices(compiled)["recurrentPrice"]["prices"]
        assert price["pricePerPaymentInUsd"] == D("14.5")
        assert ("/fees", "shown_as_one") in gaps(compiled)

    def test_a_free_trial_of_its_own_does_not_go_with_meters(self) -> None:
        trial = FreeTrial(TrialKind.DAYS, 30, native=True)
        found = on_azure(sold(plan(trial=trial, **reported(native("api")))))
        assert ("/trial/native", "no_native_trial") in blocking(found)

    def test_a_price_of_more_digits_than_a_double_keeps_blocks(self) -> None:
        fee = SubscriptionFee("a", D("12345678901234.56"))
        found = on_azure(sold(plan(fees=(fee,), **reported(native("api"), apart=("a",)))))
        assert blocking(found) == {("/fees/0/price", "price_precision")}

    def test_dimensions_are_shared_by_the_plans_of_the_offer(self) -> None:
        def plans(first: int, count: int) -> Any:
            codes = [f"d{number}" for number in range(first, first + count)]
            dimensions = [priced(PerUnit(D(1)), code=each) for each in codes]
            return plan(*dimensions, **reported(*map(native, codes)))

        assert blocking(on_azure(sold(plans(0, 16), plans(14, 16)))) == set()
        assert blocking(on_azure(sold(plans(0, 16), plans(15, 16)))) == {
            ("/reporting", "too_many_dimensions")
        }

    def test_only_a_submission_in_preview_goes_live_and_as_it_is(self) -> None:
        live = replace(ON_AZURE, target=AzureTarget.LIVE)
        assert blocking(on_azure(UNITS, live)) == {("/azure/preview_submission_id", "missing")}
        compiled = on_azure(UNITS, replace(live, preview_submission_id="submission/p/1"))
        assert blocking(compiled) == set()
        assert body(compiled)["resources"] == [
            {
                "$schema": "https://schema.mp.microsoft.com/schema/submission/2022-03-01-preview2",
                "product": {"externalId": "acme-llm"},
                "target": {"targetType": "live"},
                "id": "submission/p/1",
            }
        ]
        assert configure_faults(compiled.documents[0].body) == ()

    def test_what_is_in_preview_must_be_what_goes_live(self) -> None:
        live = replace(ON_AZURE, target=AzureTarget.LIVE)
        made = {"product": "product/1", "submission": "submission/1/1"}
        preview = LastApplied(
            "pub_1", on_azure(UNITS, replace(live, target=AzureTarget.PREVIEW)).content, made
        )
        right = on_azure(UNITS, live, preview)
        assert blocking(right) == set()
        assert body(right)["resources"][0]["id"] == "submission/1/1"
        assert changes(preview.content, right.content) == (
            Change("/target", '"preview"', '"live"'),
        )
        other = {("/azure/target", "preview_is_another")}
        assert blocking(on_azure(TIERED, live, preview)) == other
        assert blocking(on_azure(UNITS, replace(live, markets=("FR",)), preview)) == other
        draft = LastApplied("pub_2", on_azure(UNITS, ON_AZURE).content, made)
        assert blocking(on_azure(UNITS, live, draft)) == other

    def test_a_private_offering_names_its_tenants(self) -> None:
        hidden = replace(UNITS, visibility=Visibility.PRIVATE)
        assert blocking(on_azure(hidden)) == {("/azure/private_tenants", "private_offering")}
        assert blocking(on_azure(hidden, replace(ON_AZURE, private_tenants=(TENANT,)))) == set()

    def test_markets_are_needed(self) -> None:
        found = on_azure(UNITS, replace(ON_AZURE, markets=()))
        assert blocking(found) == {("/azure/markets", "missing")}


class TestChecksOfAConfiguration:
    def test_each_fault_is_found_where_it_is(self) -> None:
        request = json.loads(on_azure(UNITS).documents[0].body)
        product, setup, plan_, meters, price = request["resources"]
        product["identity"]["externalId"] = "x" * 51
        del setup["product"]
        plan_["product"] = {"resourceName": "nobody"}
        del meters["customMeters"]["tokens_k"]
        price["pricing"]["customMeters"]["meters"]["gib_hours"]["pricePerPaymentInUsd"] = -1
        request["resources"].append({"$schema": "https://schema.mp.microsoft.com/schema/x/1"})
        request["$schema"] = "other"
        meters_at = "/resources/4/pricing/customMeters/meters"
        assert faults_at(configure_faults(json.dumps(request))) == {
            ("/$schema", "unknown_schema"),
            ("/resources/0/identity/externalId", "too_long"),
            ("/resources/1/product", "missing"),
            ("/resources/2/product/resourceName", "unknown_resource"),
            (f"{meters_at}/tokens_k", "unknown_meter"),
            (f"{meters_at}/gib_hours/pricePerPaymentInUsd", "not_an_amount"),
            ("/resources/5/$schema", "unknown_schema"),
        }


class TestGoogle:
    def test_everything_is_left_to_a_person_step_by_step(self) -> None:
        assert on_gcp(TIERED).steps == (
            "In Producer Portal, add the plan std with the model usage to "
            "acme-llm.gcpmarketplace.acme.example.",
            "Metric usage: INT64, 0.01 USD for one unit. Charges under the plan's terms, in units "
            "of 0.01 USD.",
            "Submit for review: a pricing review takes up to 4 business days; an increase needs "
            "about 45 days' notice.",
            "When it is live, compare the metric names of the service configuration letter by "
            "letter, and confirm this publication.",
        )

    def test_a_plan_already_there_is_opened(self) -> None:
        again = on_gcp(TIERED, before=LastApplied("pub_1", on_gcp(TIERED).content))
        assert again.steps[0].startswith("In Producer Portal, open the plan std")

    def test_a_monthly_fee_and_usage_are_a_combined_plan(self) -> None:
        fee = SubscriptionFee("a", D("99.90"))
        compiled = on_gcp(sold(plan(fees=(fee,), **reported(native("api"), apart=("a",)))))
        assert body(compiled)["pricing_model"] == "combined"
        assert body(compiled)["price_model"]["flat_fee"] == {
            "sku": {"flat_subscription_fee": {"price_per_unit": "99.9", "unit": "mo"}}
        }
        assert blocking(compiled) == set()

    def test_an_annual_fee_is_no_months_fee(self) -> None:
        assert blocking(on_gcp(SUBSCRIPTION)) == {("/cycle", "priced_by_month")}

    def test_a_plan_knows_no_seats(self) -> None:
        fee = SeatFee("seats", D(30))
        found = on_gcp(sold(plan(fees=(fee,), **reported(native("api"), apart=("seats",)))))
        assert blocking(found) == {("/fees", "no_price_per_seat")}

    def test_a_metric_belongs_to_one_plan(self) -> None:
        one = plan(**reported(native("api")))
        assert blocking(on_gcp(sold(one, one))) == {("/reporting", "metric_of_two_plans")}

    def test_nine_metrics_are_too_many(self) -> None:
        many = offering(*(dimension(code=f"d{number}") for number in range(9)))
        assert blocking(on_gcp(many)) == {("/reporting/2/dimensions", "too_many_dimensions")}

    def test_a_private_offering_is_not_a_plan(self) -> None:
        hidden = replace(UNITS, visibility=Visibility.PRIVATE)
        assert ("/gcp", "private_offering") in blocking(on_gcp(hidden))

    def test_euros_are_no_dollars(self) -> None:
        given = replace(plan(**reported(native("api"))), currency="EUR")
        for compiled in (on_gcp(sold(given)), on_azure(sold(given))):
            assert blocking(compiled) == {("/currency", "channel_currency")}


def test_what_differs_is_told_value_by_value() -> None:
    before = on_gcp(TIERED).content
    after = on_gcp(
        sold(
            plan(
                priced(PerUnit(D(1)), name="Calls"),
                reporting=(ChannelReporting(Channel.GCP, (native("usage/api"),)),),
            )
        )
    ).content
    found = {each.pointer: (each.before, each.after) for each in changes(before, after)}
    assert found["/metrics/usage/valueType"] == ('"INT64"', None)
    assert found["/metrics/usage~1api/valueType"] == (None, '"INT64"')
    assert "/plan/service" not in found


def test_a_decimal_goes_out_without_an_exponent() -> None:
    assert Document.of("x", "", {"price": D("1E-7"), "large": D("1E+3")}).body == (
        '{"price":0.0000001,"large":1000}'
    )
