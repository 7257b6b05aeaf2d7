"""Is every unit where it should be? After each step, and against the oracle at the end."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from decimal import Decimal
from typing import Any

from campaign.deal_checks import Due, check_deal
from campaign.oracle import Oracle
from campaign.schedule import SUBJECTS
from meterbridge.domain.agreements import AgreementState, RecoveryPolicy
from meterbridge.domain.metering_record import MeteringRecord, RecordKey, RecordState
from meterbridge.domain.offerings import Channel, Dimension, QuantityKind
from meterbridge.domain.statement import Bucket, Statement, StatementLine
from worlds.trouble import FAULT, FAULT_BOOKED, LOST, PARTIAL, SILENT, TIMEOUT

_UNKNOWN_OUTCOME = frozenset({LOST, TIMEOUT, FAULT, FAULT_BOOKED, SILENT})
DOUBTFUL = {
    # AWS lists what it left undone, so that nothing is unknown of it.
    Channel.AWS: _UNKNOWN_OUTCOME,
    Channel.AZURE: _UNKNOWN_OUTCOME | {PARTIAL},
    Channel.GCP: _UNKNOWN_OUTCOME | {PARTIAL},
}
"""Trouble after which a marketplace may have booked what it did not confirm."""

_Place = tuple[str, datetime]


class Checks:
    """Watches a world.

    Attributes:
        disturbed: whether a step was killed, failed or overlapped since the last check.
    """

    def __init__(self, world: Any, oracle: Oracle) -> None:
        self.world = world
        self.oracle = oracle
        self.disturbed = False
        self._steps = 0
        self._states: dict[RecordKey, RecordState] = {}
        self._doubted: set[RecordKey] = set()

    def after_step(self) -> None:
        """The books balance at any moment, and there is no doubt that nothing has caused."""
        self.after_calls()
        self._steps += 1
        # Two customers at each step, in turn; all of them at the end.
        for subject in list(SUBJECTS)[self._steps % 3 :: 3]:
            for each in self.world.books(subject):
                assert each.balanced, f"{subject} {each.period}: the books do not balance"

    def after_calls(self) -> None:
        """There is no doubt that nothing has caused."""
        for subject in SUBJECTS:
            for record in self.world.real_ledger.records(f"agr_{subject}"):
                self._follow(record)
        for side in self.world.sides.values():
            side.trouble.happened.clear()
        self.disturbed = False

    def _follow(self, record: MeteringRecord) -> None:
        key, state = record.key, record.state
        before = self._states.get(key)
        if state is before:
            return
        self._states[key] = state
        happened = self.world.sides[record.channel].trouble.happened
        if state is RecordState.SUBMITTED:
            caused = self.disturbed or happened & DOUBTFUL[record.channel]
            assert caused, f"{key} is in doubt, and nothing has happened to its call"
            self._doubted.add(key)
        if state is RecordState.CONFLICTED:
            caused = self.disturbed or key in self._doubted or self.world.is_other(key)
            assert caused, f"{key} is in conflict ({record.reason}), and nobody has caused it"

    def is_well(self, subject: str) -> bool:
        """Whether nothing that is known keeps a customer's usage from being reported."""
        trouble = self.world.side(subject).trouble
        down = trouble.down_until is not None and self.world.clock.now() < trouble.down_until
        records = self.world.real_ledger.records(f"agr_{subject}")
        overdue = any(record.state is RecordState.SUBMITTED for record in records)
        suspended = subject in self.world.suspended
        return not (down or trouble.script or overdue or suspended)

    def flushed(self, subject: str) -> None:
        """An agreement has ended an hour ago, undisturbed: nothing whole was left behind."""
        for dimension, lines in _lines_of(self.world.books(subject)):
            left = sum(line.buckets[Bucket.UNBILLABLE] for line in lines)
            assert left < _smallest(dimension), f"{subject} {dimension.code}: {left} not flushed"

    def at_the_end(self) -> None:
        """Every unit that the oracle knows of is on the bill once, or where it says why not."""
        for subject in SUBJECTS:
            records = self.world.real_ledger.records(f"agr_{subject}")
            self._check_records(subject, records)
            statements = self.world.statements(subject)
            due = self._due(subject, statements)
            for dimension, lines in _lines_of(statements):
                own = [each for each in records if each.key.dimension == dimension.code]
                self._check_line(subject, statements, lines, own, due[dimension.code])

    def _bill(self, subject: str) -> dict[_Place, Decimal]:
        rows = self.world.side(subject).rows(subject)
        times = Counter((row.dimension, row.hour) for row in rows)
        twice = [place for place, count in times.items() if count > 1]
        assert not twice, f"{subject} was billed twice for {twice}"
        return {(row.dimension, row.hour): row.quantity for row in rows}

    def _check_records(self, subject: str, records: list[MeteringRecord]) -> None:
        bill = self._bill(subject)
        for record in records:
            key = record.key
            other = self.world.is_other(key)
            billed = bill.pop((key.dimension, key.hour), None)
            what = f"{key}: {record.state}, {record.quantity} sent and {billed} billed"
            match record.state:
                case RecordState.ACCEPTED:
                    # AWS does not tell whose quantity it has: after a lost answer a duplicate is
                    # taken for our own, though somebody else may have reported the hour.
                    # A doubt that began and ended within one step was seen by nobody else here.
                    doubted = key in self._doubted or record.attempts > 1
                    mistaken = other and record.channel is Channel.AWS and doubted
                    assert billed == record.quantity or mistaken, what
                case RecordState.CONFLICTED:
                    told = record.accepted_quantity
                    expected = (None, record.quantity) if told is None else (told,)
                    assert other or billed in expected, what
                    assert record.reason, what
                case RecordState.EXPIRED | RecordState.REJECTED:
                    assert billed is None or other, what
                    assert record.reason, what
                case _:
                    suspended = self._is(subject, AgreementState.SUSPENDED)
                    assert suspended, f"{what}: still open"
        strangers = {place for place in bill if (subject, *place) not in self.world.others}
        assert not strangers, f"{subject}: {strangers} on the bill and not in the books"

    def _is(self, subject: str, *states: AgreementState) -> bool:
        return self.world.agreement(subject).state in states

    def _due(self, subject: str, statements: list[Statement]) -> dict[str, Due]:
        """By dimension; what was rated is compared on the way."""
        if subject in self.oracle.dealt:
            return check_deal(subject, self.world, self.oracle, statements)
        used = self.oracle.used(subject)
        for dimension, lines in _lines_of(statements):
            code = dimension.code
            assert sum(line.metered for line in lines) == used[code], f"{subject} {code}"
        extra = self.oracle.overtaken.get(subject, Decimal(0))
        return {
            code: Due(amount, most=amount + (extra if code != "requests" else 0))
            for code, amount in used.items()
        }

    def _check_line(
        self,
        subject: str,
        statements: list[Statement],
        lines: list[StatementLine],
        records: list[MeteringRecord],
        due: Due,
    ) -> None:
        dimension = lines[0].dimension
        found = {bucket: sum(line.buckets[bucket] for line in lines) for bucket in Bucket}
        what = f"{subject} {dimension.code}: {due.amount} due, {_shown(found)}"
        assert all(line.balanced for line in lines), what
        assert sum(line.rated for line in lines) == due.amount, what
        assert sum(found.values()) == due.amount, what
        assert found.pop(Bucket.UNSETTLED) == due.not_closed, what
        others = {place for place in self.world.others if place[:2] == (subject, dimension.code)}
        self._check_bill(subject, dimension, records, found, what, due, others=bool(others))
        self._check_rest(subject, dimension, found, what, due, others=bool(others))
        unbillable = [
            each
            for each, line in zip(statements, lines, strict=True)
            if line.buckets[Bucket.UNBILLABLE]
        ]
        assert all(each.unbillable_reason for each in unbillable), what

    def _check_bill(
        self,
        subject: str,
        dimension: Dimension,
        records: list[MeteringRecord],
        found: dict[Bucket, Any],
        what: str,
        due: Due,
        *,
        others: bool,
    ) -> None:
        """The marketplace's own total is what the books say, and never more than is due."""
        per_unit, bill = dimension.units_per_quantity, self._bill(subject)
        ours = {
            record.key: bill[record.key.dimension, record.key.hour] * per_unit
            for record in records
            if (record.key.dimension, record.key.hour) in bill
            and not self.world.is_other(record.key)
        }
        total = sum(ours.values())
        assert due.most is None or total <= due.most, f"{what}: {total} were billed"
        if not others:
            doubtful = {each.key for each in records if each.state is RecordState.CONFLICTED}
            sure = sum(amount for key, amount in ours.items() if key not in doubtful)
            assert sure == found[Bucket.ACCEPTED], f"{what}: {sure} were billed"
            assert total - sure <= found[Bucket.CONFLICTED], what

    def _check_rest(
        self,
        subject: str,
        dimension: Dimension,
        found: dict[Bucket, Any],
        what: str,
        due: Due,
        *,
        others: bool,
    ) -> None:
        """What is not billed is where its agreement's state says."""
        agreement = self.world.agreement(subject)
        suspended = agreement.state is AgreementState.SUSPENDED
        places = {Bucket.ACCEPTED, Bucket.CONFLICTED}
        if suspended or agreement.state is AgreementState.ENDED:
            places |= {Bucket.UNBILLABLE, Bucket.CARRIED}
        else:
            places |= {Bucket.CARRIED}
        if suspended:
            places |= {Bucket.IN_FLIGHT, Bucket.RELEASED}
        if agreement.recovery is RecoveryPolicy.MANUAL:
            places |= {Bucket.EXPIRED}
        if agreement.recovery is RecoveryPolicy.NEVER:
            places |= {Bucket.WRITTEN_OFF}
        assert {bucket for bucket, amount in found.items() if amount} <= places, what
        if agreement.state is AgreementState.ACTIVE:
            assert found[Bucket.CARRIED] < _smallest(dimension), f"{what}: not billed"
        if not (others or self.oracle.overtaken.get(subject) or due.most is None):
            assert found[Bucket.CARRIED] + found[Bucket.UNBILLABLE] >= 0, f"{what}: over-billed"


def _lines_of(statements: list[Statement]) -> list[tuple[Dimension, list[StatementLine]]]:
    """Of each dimension, its lines of all periods."""
    by_dimension = zip(*(each.lines for each in statements), strict=True)
    return [(lines[0].dimension, list(lines)) for lines in by_dimension]


def _smallest(dimension: Dimension) -> Decimal:
    """The metered quantity of the smallest record."""
    whole = dimension.quantity_kind is QuantityKind.INTEGER
    return (Decimal(1) if whole else Decimal("0.000001")) * dimension.units_per_quantity


def _shown(found: dict[Bucket, Any]) -> str:
    return ", ".join(f"{amount} {bucket}" for bucket, amount in found.items() if amount)
