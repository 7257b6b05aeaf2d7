"""The rules of `BatchMeterUsage` over what is registered and what was billed; `now` comes from outside.

A call is judged whole before anything is recorded, so a call that fails records nothing.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from ..billed import BilledRecord
from .allocations import check_allocations
from .catalog import Agreement, Product
from .errors import (
    invalid_customer,
    invalid_dimension,
    invalid_license,
    invalid_product,
    timestamp_out_of_bounds,
    validation,
)
from .records import Batch, UsageRecord
from .settings import AwsSettings
from .windows import check_window

_RECORD_IDS = uuid.UUID("5f0c8f6e-6f0b-4a57-9d43-5d5c7d2b1a10")


class Status(StrEnum):
    """What became of one record; UNPROCESSED is not a status of AWS's but a list of its own."""

    SUCCESS = "Success"
    DUPLICATE_RECORD = "DuplicateRecord"
    CUSTOMER_NOT_SUBSCRIBED = "CustomerNotSubscribed"
    UNPROCESSED = "Unprocessed"


@dataclass(frozen=True)
class Result:
    """The fate of one record; `billed` is the row of the bill that it met or made."""

    record: UsageRecord
    status: Status
    billed: BilledRecord | None = None

    @property
    def record_id(self) -> str:
        """The MeteringRecordId to answer; empty unless this very quantity is on the bill."""
        return self.billed.record_id if self.billed and self.status is Status.SUCCESS else ""


@dataclass(frozen=True)
class RecordKey:
    """What makes two records the same one (contracts.md §1.1.7).

    Detection is per region. A record with a LicenseArn never meets one of the legacy style:
    using both for one buyer and hour bills twice.
    """

    region: str
    agreement: str
    buyer: str
    dimension: str
    hour: datetime


@dataclass(frozen=True)
class _Buyer:
    """Whose usage it is; without an agreement the buyer is not subscribed."""

    product: Product
    reference: str
    account_id: str
    agreement: Agreement | None


@dataclass(frozen=True)
class _Judged:
    record: UsageRecord
    key: RecordKey
    product: Product
    agreement: Agreement | None


class AwsMetering:
    """Products, agreements and the bill of one seller account."""

    def __init__(self, settings: AwsSettings | None = None) -> None:
        self.settings = settings or AwsSettings()
        self.products: dict[str, Product] = {}
        self.agreements: dict[str, Agreement] = {}
        self.bill: dict[RecordKey, BilledRecord] = {}

    def meter(
        self,
        batch: Batch,
        *,
        region: str,
        now: datetime,
        unprocessed: frozenset[int] = frozenset(),
    ) -> list[Result]:
        """Serves one call: one result per record, in order.

        Args:
            batch: The checked request.
            region: Where the call was made.
            now: The present.
            unprocessed: Indexes of records to leave undone, as AWS does in a passing fault.

        Raises:
            AwsError: The whole call fails and nothing is recorded (contracts.md §1.1.4).
        """
        judged = [self._judge(record, batch, region, now) for record in batch.records]
        if len({entry.product.code for entry in judged}) > 1:
            raise invalid_license("the records of one call must belong to one product")
        return [
            Result(entry.record, Status.UNPROCESSED)
            if index in unprocessed
            else self._record(entry, now)
            for index, entry in enumerate(judged)
        ]

    def _judge(self, record: UsageRecord, batch: Batch, region: str, now: datetime) -> _Judged:
        if batch.product_code and record.license_arn and self.settings.mixed_styles == "refuse":
            raise validation("productCode cannot be specified with a licenseArn")
        check_window(record.used_at, now, self.settings)
        buyer = (
            self._licensed(record, now)
            if record.license_arn
            else self._legacy(record, batch.product_code, now)
        )
        _check_dimension(record, buyer.product)
        check_allocations(record)
        key = RecordKey(region, buyer.reference, buyer.account_id, record.dimension, record.hour)
        return _Judged(record, key, buyer.product, buyer.agreement)

    def _licensed(self, record: UsageRecord, now: datetime) -> _Buyer:
        if not record.account_id:
            raise validation("customerAWSAccountId is required with a licenseArn")
        agreement = self.agreements.get(record.license_arn)
        if agreement is None:
            raise invalid_license(f"the license {record.license_arn} does not exist")
        if agreement.account_id != record.account_id:
            raise invalid_license("the license does not belong to this customer")
        if not agreement.covers(record.used_at):
            raise invalid_license("the usage is outside of the license's activation period")
        return _Buyer(
            product=self.products[agreement.product_code],
            reference=agreement.license_arn,
            account_id=agreement.account_id,
            agreement=agreement if self._open(agreement, now) else None,
        )

    def _legacy(self, record: UsageRecord, product_code: str, now: datetime) -> _Buyer:
        product = self.products.get(product_code)
        if product is None:
            raise invalid_product(f"the product code {product_code!r} does not exist")
        account_id = record.account_id or self._account_of(record.customer_identifier)
        agreements = [
            agreement
            for agreement in self.agreements.values()
            if agreement.product_code == product_code and agreement.account_id == account_id
        ]
        if agreements and all(record.used_at < agreement.start for agreement in agreements):
            raise timestamp_out_of_bounds("the usage is before the start of the subscription")
        covering = (
            agreement
            for agreement in agreements
            if agreement.covers(record.used_at) and self._open(agreement, now)
        )
        return _Buyer(product, product_code, account_id, next(covering, None))

    def _account_of(self, customer_identifier: str) -> str:
        if not customer_identifier:
            raise validation("customerIdentifier or customerAWSAccountId is required")
        for agreement in self.agreements.values():
            if agreement.customer_identifier == customer_identifier:
                return agreement.account_id
        raise invalid_customer(f"the customer {customer_identifier!r} does not exist")

    def _open(self, agreement: Agreement, now: datetime) -> bool:
        final_window = self.settings.seconds("final_window")
        ended = agreement.end is not None and now >= agreement.end + final_window
        return not ended and not agreement.suspended

    def _record(self, entry: _Judged, now: datetime) -> Result:
        if entry.agreement is None:
            return Result(entry.record, Status.CUSTOMER_NOT_SUBSCRIBED)
        billed = self.bill.get(entry.key)
        quantity = entry.record.quantity.value
        if billed is None:
            billed = _bill(entry, entry.agreement, now)
            status = Status.SUCCESS
        elif billed.quantity == quantity:
            status = Status(self.settings.identical_resend)
        else:
            status = Status.DUPLICATE_RECORD
            refused = (*billed.refused_quantities, quantity)
            billed = replace(billed, refused_quantities=refused)
        billed = replace(billed, answers=_counted(billed.answers, status))
        self.bill[entry.key] = billed
        return Result(entry.record, status, billed)

    def put_back(self, billed: BilledRecord) -> None:
        """Takes back a row of the bill that was kept over a restart."""
        key = RecordKey(
            billed.region, billed.agreement, billed.buyer, billed.dimension, billed.hour
        )
        self.bill[key] = billed

    def warnings(self) -> list[str]:
        """Hours that are billed twice, once by licence and once by product code."""
        licensed: dict[tuple[str, str, str, datetime], int] = {}
        for record in self.bill.values():
            place = (record.product, record.buyer, record.dimension, record.hour)
            by_product = record.agreement == record.product
            licensed[place] = licensed.get(place, 0) | (2 if by_product else 1)
        return [
            f"billed twice, by LicenseArn and by ProductCode: {product} {buyer} {dimension} "
            f"{hour.isoformat()}"
            for (product, buyer, dimension, hour), styles in sorted(licensed.items())
            if styles == 3
        ]


def _check_dimension(record: UsageRecord, product: Product) -> None:
    dimension = product.dimensions.get(record.dimension)
    if dimension is None:
        raise invalid_dimension(f"{product.code} has no dimension {record.dimension!r}")
    quantity = record.quantity.value
    # No text of AWS's names the error of a fraction on a whole-number dimension.
    if not dimension.allow_decimal and quantity != quantity.to_integral_value():
        raise validation(f"the dimension {dimension.key!r} takes whole numbers only")


def _bill(entry: _Judged, agreement: Agreement, now: datetime) -> BilledRecord:
    key = entry.key
    name = "\n".join((key.region, key.agreement, key.buyer, key.dimension, key.hour.isoformat()))
    return BilledRecord(
        marketplace="aws",
        region=key.region,
        agreement=key.agreement,
        buyer=key.buyer,
        product=entry.product.code,
        dimension=key.dimension,
        hour=key.hour,
        used_at=entry.record.used_at,
        quantity=entry.record.quantity.value,
        record_id=str(uuid.uuid5(_RECORD_IDS, name)),
        received_at=now,
        unit_price=entry.product.dimensions[key.dimension].unit_price,
        billable=key.dimension not in agreement.unpriced_dimensions,
    )


def _counted(answers: Mapping[str, int], status: Status) -> dict[str, int]:
    return {**answers, status.value: answers.get(status.value, 0) + 1}
