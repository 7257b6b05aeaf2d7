"""The same pipeline in one process with a strict Azure to report to."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from killing import Fused
from meterbridge.adapters.marketplaces.azure import AzureMarketplace
from meterbridge.domain.agreements import AzureBuyerReference
from meterbridge.domain.metering_record import RecordKey, RecordState
from meterbridge.domain.offerings import Channel
from meterbridge.domain.statement import Bucket
from sandbox.marketplaces.azure.catalog import Offer, Subscription
from sandbox.marketplaces.billed import BilledRecord
from world import DIMENSIONS, SUBJECTS, World
from worlds.azure_side import StrictAzure, Token, resource_number
from worlds.pipeline import unpaced


def resource_of(subject: str) -> str:
    return resource_number(SUBJECTS.index(subject))


class AzureWorld(World):
    """A world whose two customers bought on Azure."""

    def __init__(self, now: datetime, **_: str) -> None:
        super().__init__(now)
        self.marketplace = AzureMarketplace(
            Fused(self.remote, self.fuse, "request"),  # type: ignore[arg-type]
            Token(),
            unpaced(),
        )

    def terms(self, subject: str) -> dict[str, Any]:
        buyer = AzureBuyerReference("std", resource_id=resource_of(subject))
        return {"channel": Channel.AZURE, "aws": None, "azure": buyer}

    def _list_there(self, start: datetime) -> None:
        self.remote = StrictAzure(self.clock)
        plan = dict.fromkeys((each.code for each in DIMENSIONS), None)
        self.remote.metering.offers["llm"] = Offer("llm", {"std": plan})
        for subject in SUBJECTS:
            bought = Subscription(resource_of(subject), "llm", "std")
            self.remote.metering.subscriptions[bought.key] = bought

    def bill(self, subject: str) -> dict[tuple[str, datetime], Decimal]:
        return {(row.dimension, row.hour): row.quantity for row in self._rows(subject)}

    def _rows(self, subject: str) -> list[BilledRecord]:
        rows = self.remote.metering.bill.values()
        return [row for row in rows if row.agreement == resource_of(subject)]

    def report_by_hand(self, subject: str, dimension: str, hour: datetime, quantity: str) -> None:
        """Somebody else of the seller's reports for an hour, past us."""
        self.remote.report_by_hand(resource_of(subject), dimension, hour, Decimal(quantity))

    def check_adopted_books(self) -> None:
        """However hours were taken by others: balanced, and every unit accepted, carried or in doubt.

        Raises:
            AssertionError: a unit was lost, or committed otherwise than it is on the bill.
        """
        for subject in SUBJECTS:
            statements = self.statements(subject)
            bill, used = self.bill(subject), self.used(subject)
            for position, one in enumerate(DIMENSIONS):
                lines = [each.lines[position] for each in statements]
                assert all(line.balanced for line in lines)
                found = {bucket: sum(line.buckets[bucket] for line in lines) for bucket in Bucket}
                places = (Bucket.ACCEPTED, Bucket.CONFLICTED, Bucket.CARRIED)
                assert {bucket for bucket in Bucket if found[bucket]} <= set(places)
                assert sum(found[bucket] for bucket in places) == used[one.code]
                known = [
                    record
                    for record in self.real_ledger.records(f"agr_{subject}")
                    if record.key.dimension == one.code
                    and (record.state is RecordState.ACCEPTED or record.absorbed)
                ]
                on_the_bill = sum(
                    (bill.get(_place(record.key), Decimal(0)) for record in known), Decimal(0)
                )
                assert found[Bucket.ACCEPTED] == on_the_bill * one.units_per_quantity


def _place(key: RecordKey) -> tuple[str, datetime]:
    return key.dimension, key.hour
