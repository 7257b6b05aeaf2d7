"""Terms with the largest, the finest and the oddest numbers that the API takes."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

LARGEST = "999999999999999999.999999999999"
Sent = st.SearchStrategy[dict[str, Any]]

amounts = st.sampled_from([LARGEST, "0.000000000001", "0", "1", "0.333333333333", "123456.789"])
percents = st.sampled_from(["33.333333", "0.000001", "100", "7.5", "0"])
quantities = st.sampled_from(
    [f"{LARGEST}999999", "0.000000000000000001", "1", "-5", "12345.678"]
).map(Decimal)
_bounds = st.lists(
    st.sampled_from(["0.5", "1", "7", "1000", LARGEST]), unique=True, max_size=3
).map(lambda found: [*sorted(found, key=Decimal), None])


@st.composite
def _tiers(draw: st.DrawFn, tier: Sent) -> list[dict[str, Any]]:
    return [{**draw(tier), "up_to": bound} for bound in draw(_bounds)]


def _model(name: str, **members: st.SearchStrategy[Any]) -> Sent:
    return st.fixed_dictionaries({"model": st.just(name), **members})


_by_unit = st.fixed_dictionaries({"unit_price": amounts, "flat_amount": amounts})
_by_percent = st.fixed_dictionaries({"percent": percents, "flat_amount": amounts})
simple_models: Sent = st.one_of(
    _model("per_unit", unit_price=amounts, per=amounts),
    _model("graduated", tiers=_tiers(_by_unit)),
    _model("volume", tiers=_tiers(_by_unit)),
    _model("package", size=amounts, price=amounts),
    _model("percentage", percent=percents, free_amount=amounts, maximum=st.none() | amounts),
    _model("percentage", percent=percents, fixed_amount=amounts, free_events=amounts),
    _model("graduated_percentage", tiers=_tiers(_by_percent)),
    _model("flat", amount=amounts, always=st.booleans()),
)
_by_group = _model(
    "dimensional",
    default=simple_models,
    prices=simple_models.map(lambda model: [{"group": ["small"], "model": model}]),
)


@st.composite
def _waterfalls(draw: st.DrawFn) -> dict[str, Any]:
    takes = [*draw(st.lists(amounts, max_size=2)), None]
    steps = [
        {"name": f"s{number}", "takes": take, "model": draw(simple_models)}
        for number, take in enumerate(takes)
    ]
    return {"model": "waterfall", "steps": steps}


_increments = st.none() | st.fixed_dictionaries(
    {
        "size": amounts,
        "rounding": st.sampled_from(["round", "floor", "ceiling"]),
        "interval": st.sampled_from(["hour", "day", "cycle"]),
    }
)
_entitlements = st.none() | st.fixed_dictionaries(
    {"quantity": st.none() | amounts, "overage_allowed": st.booleans()}
)
_dimensions = st.fixed_dictionaries(
    {
        "code": st.just("tokens"),
        "meter_id": st.just("mtr_tokens"),
        "event_meter_id": st.just("mtr_calls"),
        "price": st.one_of(simple_models, simple_models, _by_group, _waterfalls()),
        "increment": _increments,
        "entitlement": _entitlements,
    }
)
_fees = st.one_of(
    *(
        st.fixed_dictionaries({"kind": st.just(kind), "code": st.just(kind), "price": amounts})
        for kind in ("subscription", "seats", "one_off")
    )
)
_trials = st.none() | st.one_of(
    st.fixed_dictionaries({"kind": st.just("days"), "days": st.sampled_from([1, 10_000])}),
    st.fixed_dictionaries({"kind": st.just("amount"), "amount": amounts}),
    st.fixed_dictionaries(
        {"kind": st.just("quantity"), "quantities": amounts.map(lambda most: {"tokens": most})}
    ),
)
_discounts = st.lists(
    percents.map(lambda off: {"percent": off}) | amounts.map(lambda off: {"amount": off}),
    max_size=3,
).map(lambda found: [{"id": f"off{number}", **each} for number, each in enumerate(found)])
_credits = st.fixed_dictionaries(
    {
        "id": st.just("gift"),
        "amount": amounts,
        "recurrence": st.sampled_from(["once", "cycle"]),
        "lasts_cycles": st.sampled_from([1, 1200]),
        "rollover": st.none() | st.fixed_dictionaries({"cap": st.none() | amounts}),
    }
)

terms: Sent = st.fixed_dictionaries(
    {
        "cycle": st.sampled_from(["calendar_month", "anniversary", "annual"]),
        "dimensions": _dimensions.map(lambda dimension: [dimension]),
        "fees": st.lists(_fees, max_size=3, unique_by=lambda fee: fee["kind"]),
        "trial": _trials,
        "discounts": _discounts,
        "minimum": st.none() | st.fixed_dictionaries({"amount": amounts, "prorate": st.booleans()}),
        "commitment": st.none()
        | st.fixed_dictionaries({"amount": amounts, "cycles": st.sampled_from([None, 1, 1200])}),
        "credits": st.lists(_credits, max_size=1),
        "top_up": st.none()
        | st.fixed_dictionaries(
            {"amount": amounts, "threshold": st.sampled_from(["0", "0.2", "0.999999999999"])}
        ),
        "spend_cap": st.none() | st.fixed_dictionaries({"amount": amounts}),
    }
)
