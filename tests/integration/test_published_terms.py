"""Whatever the terms: what has no gap that blocks is taken by a strict marketplace, and carried out."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal

from hypothesis import event, given, settings

from builders import NOON
from meterbridge.domain.offerings import Channel
from meterbridge.domain.pricing.plan_terms import PlanTerms
from meterbridge.domain.publishing.aws_change_sets import ENTITIES_BY_CHANGE, compile_for_aws
from meterbridge.domain.publishing.azure_resources import compile_for_azure
from meterbridge.domain.publishing.compiled import Compiled, LastApplied
from meterbridge.domain.publishing.sale import Sale
from publishing_setup import NEW_ON_AWS, ON_AZURE, blocking, body, sold
from publishing_strategies import reported_plans
from sandbox.marketplaces.aws.change_sets import ChangeSet, ChangeSets
from sandbox.marketplaces.azure.offers import Offers

TAKES = timedelta(minutes=5)


def carried_out(catalog: ChangeSets, compiled: Compiled, after: int) -> ChangeSet:
    """A change set as it is when it is over; started some multiple of its duration from noon."""
    started = NOON + after * TAKES
    request = json.loads(compiled.documents[0].body)
    change_set_id, _ = catalog.start(request, started, TAKES)
    return catalog.find(change_set_id, started + TAKES)


@given(reported_plans(), reported_plans())
@settings(max_examples=200, deadline=None)
def test_aws_carries_out_a_plan_and_then_another_in_its_place(
    first: PlanTerms, second: PlanTerms
) -> None:
    catalog = ChangeSets(lambda *_: False)
    new = compile_for_aws(Sale.of(sold(first), "std", Channel.AWS), NEW_ON_AWS, None, NOON)
    if blocking(new):
        event("the first has gaps")
        return
    done = carried_out(catalog, new, after=0)
    assert done.status(NOON + TAKES) == "SUCCEEDED", done.errors
    made = {
        ENTITIES_BY_CHANGE[change.name]: done.made[place]
        for place, change in enumerate(done.changes)
        if change.name
    }
    before = LastApplied("pub_1", new.content, made)
    later = compile_for_aws(Sale.of(sold(second), "std", Channel.AWS), NEW_ON_AWS, before, NOON)
    if blocking(later):
        event("the second has gaps")
        return
    changed = carried_out(catalog, later, after=1)
    assert changed.status(NOON + 2 * TAKES) == "SUCCEEDED", changed.errors


@given(reported_plans(), reported_plans())
@settings(max_examples=200, deadline=None)
def test_microsoft_carries_out_a_plan_and_then_another_in_its_place(
    first: PlanTerms, second: PlanTerms
) -> None:
    offers = Offers()
    made: dict[str, str] = {}
    for terms in (first, second):
        compiled = compile_for_azure(Sale.of(sold(terms), "std", Channel.AZURE), ON_AZURE, None)
        if blocking(compiled):
            continue
        resources = json.loads(compiled.documents[0].body, parse_float=Decimal)["resources"]
        for resource in resources:
            resource |= (
                {"id": made[resource["resourceName"]]} if resource["resourceName"] in made else {}
            )
        kept = offers.configure(resources)
        names = [each["resourceName"] for each in body(compiled)["resources"]]
        made = {
            name: each["id"]
            for name, each in zip(names, kept, strict=True)
            if name in ("product", "plan")
        }
