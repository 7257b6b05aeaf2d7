"""How what a plan charges for is reported: data, per channel."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from meterbridge.domain.channels import Channel, QuantityKind
from meterbridge.domain.usage import GroupKey


class ReportingMode(StrEnum):
    """NATIVE: in metered units, the marketplace holds the price. CURRENCY: the charge itself."""

    NATIVE = "native"
    CURRENCY = "currency"


@dataclass(frozen=True, slots=True)
class Source:
    """What a reported dimension reports: a charge's code, one step of its waterfall, one group."""

    code: str
    step: str = ""
    group: GroupKey | None = None

    def takes(self, code: str, group: GroupKey) -> bool:
        """Whether it reports the charge of a code and group, or a step of it."""
        return code == self.code and self.group in (None, group)


@dataclass(frozen=True, slots=True)
class ReportedDimension:
    """A marketplace's dimension and what is reported as its quantity.

    Attributes:
        units_per_quantity: metered quantity, or money, in one of its units: 0.01 bills cents.
    """

    code: str
    mode: ReportingMode
    sources: tuple[Source, ...]
    units_per_quantity: Decimal = Decimal(1)
    quantity_kind: QuantityKind = QuantityKind.INTEGER


@dataclass(frozen=True, slots=True)
class ChannelReporting:
    """How a plan is reported through one channel.

    Attributes:
        billed_apart: codes that are not metered there: the listing's own flat fee, an invoice.
    """

    channel: Channel
    dimensions: tuple[ReportedDimension, ...]
    billed_apart: frozenset[str] = frozenset()
