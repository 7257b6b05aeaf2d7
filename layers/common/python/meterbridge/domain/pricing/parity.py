"""Parity: how each thing that a plan promises is kept on a channel, or why it cannot be."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from meterbridge.domain.channels import Channel
from meterbridge.domain.pricing.channel_faults import Broken, broken_promises
from meterbridge.domain.pricing.channel_reporting import ChannelReporting
from meterbridge.domain.pricing.derived_reporting import derived_reporting
from meterbridge.domain.pricing.faults import Fault
from meterbridge.domain.pricing.kept_promises import Parity, Setting, kept
from meterbridge.domain.pricing.listing_limits import LISTING_LIMITS, OURS
from meterbridge.domain.pricing.plan_terms import PlanTerms
from meterbridge.domain.pricing.promises import Promise, listing_promises, plan_promises


@dataclass(frozen=True, slots=True)
class ParityLine:
    """How one promise is kept.

    Attributes:
        how: it is kept, or why it cannot be, for a person.
        source: of the marketplace's rule that decides it; Meterbridge where there is none.
        faults: of the terms that make it impossible; none otherwise.
    """

    promise: Promise
    parity: Parity
    how: str
    source: str
    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True, slots=True)
class ChannelParity:
    """A plan on one channel.

    Attributes:
        declared: the terms say how it is reported there; otherwise so it would be.
        lines: one for each promise.
    """

    channel: Channel
    reporting: ChannelReporting
    declared: bool
    lines: tuple[ParityLine, ...]

    @property
    def possible(self) -> bool:
        """Whether every promise can be kept."""
        return all(line.parity is not Parity.IMPOSSIBLE for line in self.lines)

    @property
    def billed_apart(self) -> frozenset[str]:
        """Codes that are on another bill; none where everything is on the channel's own invoice."""
        listed = self.channel in LISTING_LIMITS
        return self.reporting.billed_apart if listed else frozenset()


def channel_parity(plan: PlanTerms, channel: Channel, moment: datetime) -> ChannelParity:
    """How a plan is kept on a channel by the rules of a moment."""
    told = [each.channel for each in plan.reporting]
    declared = channel in told
    number = told.index(channel) if declared else len(told)
    reporting = plan.reporting[number] if declared else derived_reporting(plan, channel)
    setting = Setting(plan, reporting, f"/reporting/{number}", moment)
    broken = list(broken_promises(plan, reporting, setting.at))
    promises = (*plan_promises(plan), *listing_promises(reporting, setting.at))
    lines = tuple(_line(setting, promise, broken) for promise in promises)
    return ChannelParity(channel, reporting, declared, lines)


def _line(setting: Setting, promise: Promise, broken: list[Broken]) -> ParityLine:
    limits = setting.limits
    source = OURS if limits is None else limits.source(promise.kind)
    faults = tuple(each.fault for each in broken if promise.pointer in each.promises)
    if faults:
        why = "; ".join(dict.fromkeys(fault.detail for fault in faults))
        return ParityLine(promise, Parity.IMPOSSIBLE, why, source, faults)
    parity, how = kept(setting, promise)
    return ParityLine(promise, parity, how, source)
