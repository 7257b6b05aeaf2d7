"""A world whose two customers bought on AWS.

An independent oracle knows what was used: each fact once, in plain sums.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from builders import LICENSE_ARN, agreement, dimension, offering, product
from killing import Fused
from meterbridge.adapters.marketplaces.aws import AwsMarketplace
from meterbridge.domain.agreements import AwsBuyerReference, Customer
from meterbridge.domain.events import UsageEvent
from meterbridge.domain.metering_record import RecordState
from meterbridge.domain.meters import Aggregation, Meter
from meterbridge.domain.offerings import QuantityKind
from meterbridge.domain.statement import Bucket
from sandbox.marketplaces.aws.catalog import Agreement as SandboxAgreement
from sandbox.marketplaces.aws.metering import AwsMetering
from sandbox.marketplaces.aws.settings import AwsSettings
from worlds.aws_side import PRODUCT_CODE, StrictAws, listed_product, usage_record
from worlds.pipeline import HISTORY, Pipeline, unpaced

SUBJECTS = ("acme", "globex")


METERS = (
    Meter("mtr_requests", "prd_llm", "requests", "llm.request", Aggregation.COUNT),
    Meter("mtr_tokens", "prd_llm", "tokens", "llm.request", Aggregation.SUM, value_path="tokens"),
)
DIMENSIONS = (
    dimension(),
    dimension(code="tokens_k", meter_id="mtr_tokens", units_per_quantity=Decimal(1000)),
    dimension(code="tokens", meter_id="mtr_tokens", quantity_kind=QuantityKind.DECIMAL),
)


def license_of(subject: str) -> str:
    return f"{LICENSE_ARN}{SUBJECTS.index(subject)}"


def account_of(subject: str) -> str:
    return f"11112222333{SUBJECTS.index(subject)}"


class World(Pipeline):
    """Two customers on AWS, or on a marketplace that a subclass puts in its place."""

    def __init__(
        self,
        now: datetime,
        *,
        identical_resend: str = "Success",
        marketplace: type[AwsMarketplace] = AwsMarketplace,
    ) -> None:
        """A world at a moment.

        Args:
            identical_resend: what AWS answers to a record that it has already; its texts disagree.
            marketplace: the adapter, or a double of it with a fault planted.
        """
        super().__init__(now)
        self.aws = StrictAws(
            self.clock, AwsMetering(AwsSettings(identical_resend=identical_resend))
        )
        self.remote: Any = self.aws
        self.marketplace: Any = marketplace(
            Fused(self.aws, self.fuse, "batch_meter_usage"), unpaced()
        )
        self.facts: dict[tuple[str, str, str], UsageEvent] = {}
        self.reported_elsewhere: set[tuple[str, str, datetime]] = set()
        self._set_up()

    @property
    def marketplaces(self) -> Sequence[Any]:  # type: ignore[override]
        """The one to report to."""
        return (self.marketplace,)

    def _set_up(self) -> None:
        registry, start = self.real_registry, self.started_at - HISTORY
        registry.add_product(product())
        for meter in METERS:
            registry.add_meter(meter)
        versions = {meter.id: registry.meter_entry(meter.id).version for meter in METERS}
        registry.add_offering(offering(*DIMENSIONS), versions)
        for subject in SUBJECTS:
            registry.add_customer(Customer(subject))
            registry.add_agreement(
                agreement(
                    id=f"agr_{subject}",
                    customer_id=subject,
                    starts_at=start,
                    **self.terms(subject),
                )
            )
        self._list_there(start)

    def terms(self, subject: str) -> dict[str, Any]:
        """Channel and buyer of a customer's agreement."""
        return {"aws": AwsBuyerReference(account_of(subject), license_of(subject))}

    def _list_there(self, start: datetime) -> None:
        self.aws.metering.products[PRODUCT_CODE] = listed_product(DIMENSIONS)
        for subject in SUBJECTS:
            self.aws.metering.agreements[license_of(subject)] = SandboxAgreement(
                product_code=PRODUCT_CODE,
                account_id=account_of(subject),
                license_arn=license_of(subject),
                start=start,
            )

    def send(self, events: Sequence[UsageEvent]) -> None:
        """What a client saw acknowledged is a fact; so is what was stored before a kill."""
        self.store(events)
        for event in events:
            self.facts.setdefault((event.subject, event.source, event.id), event)

    def report_elsewhere(self, subject: str, quantity: int) -> None:
        """Another program of the seller meters requests of the last full hour, if it comes first."""
        before = set(self.aws.metering.bill)
        hour = self.clock.now().replace(minute=0, second=0, microsecond=0) - timedelta(hours=1)
        self.aws.meter_elsewhere(
            usage_record(account_of(subject), license_of(subject), "requests", hour, quantity)
        )
        self.reported_elsewhere |= {
            (subject, key.dimension, key.hour) for key in set(self.aws.metering.bill) - before
        }

    def used(self, subject: str) -> dict[str, Decimal]:
        """The oracle: each fact once, in plain sums, by dimension code in metered quantity."""
        own = [event for event in self.facts.values() if event.subject == subject]
        tokens = sum((Decimal(event.values["tokens"]) for event in own), Decimal(0))
        return {"requests": Decimal(len(own)), "tokens_k": tokens, "tokens": tokens}

    def check_books(self, *, doubts: bool = False) -> None:
        """Every statement balances, and what the marketplace billed is what the records say.

        Args:
            doubts: whether records may have stayed in doubt.

        Raises:
            AssertionError: a unit was lost or billed twice.
        """
        for subject in SUBJECTS:
            self._check_records(subject, doubts=doubts)
            statements = self.statements(subject)
            used = self.used(subject)
            for position, one in enumerate(DIMENSIONS):
                lines = [each.lines[position] for each in statements]
                assert [line.difference for line in lines] == [0] * len(lines)
                assert [line.logged for line in lines] == [line.metered for line in lines]
                assert sum(line.metered for line in lines) == used[one.code]
                found = {bucket: sum(line.buckets[bucket] for line in lines) for bucket in Bucket}
                places = {Bucket.ACCEPTED, Bucket.CONFLICTED, Bucket.CARRIED}
                assert {bucket for bucket in Bucket if found[bucket]} <= places
                assert sum(found[bucket] for bucket in places) == used[one.code]
                step = 1 if one.quantity_kind is QuantityKind.INTEGER else Decimal("0.000001")
                assert 0 <= found[Bucket.CARRIED] < step * one.units_per_quantity

    def bill(self, subject: str) -> dict[tuple[str, datetime], Decimal]:
        """What the marketplace holds of a customer's, by dimension and hour."""
        return {
            (row.dimension, row.hour): row.quantity
            for row in self.aws.metering.bill.values()
            if row.agreement == license_of(subject)
        }

    def _check_records(self, subject: str, *, doubts: bool) -> None:
        """Record by record: accepted ones are on the bill, refused ones are not, nothing else is."""
        bill = self.bill(subject)
        others = {key for key in bill if (subject, *key) in self.reported_elsewhere}
        records = self.real_ledger.records(f"agr_{subject}")
        for record in records:
            key = (record.key.dimension, record.key.hour)
            billed = bill.pop(key, None)
            if record.state is RecordState.ACCEPTED:
                # AWS does not tell whose quantity it has. After a lost answer a duplicate is taken
                # for our own, though somebody else may have reported the hour: the seller's matter.
                assert billed == record.quantity or (doubts and key in others)
            elif record.state is RecordState.CONFLICTED:
                assert doubts
                told = record.accepted_quantity
                expected = (None, record.quantity) if told is None else (told,)
                assert key in others or billed in expected
            else:
                assert record.state in (RecordState.REJECTED, RecordState.EXPIRED)
                assert billed is None
        assert bill.keys() <= others
