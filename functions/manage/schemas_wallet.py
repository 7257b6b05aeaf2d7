"""Credits and thresholds of an agreement: what is answered."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, Field

from manage.answers import Listing
from manage.schemas_agreed import Grant
from meterbridge.application.thresholds import HourThreshold
from meterbridge.application.wallet import GrantBalance, GrantStanding, Wallet
from meterbridge.domain.money import plain
from meterbridge.domain.pricing.credit_history import CreditFlow, Movement, WalletGrant
from meterbridge.domain.pricing.rated import Watched


class GrantBalanceView(Grant):
    """A grant of the agreement, as it stands now."""

    standing: GrantStanding
    balance: str = Field(description="What is left of it, and of what it rolled over into")

    @classmethod
    def of_balance(cls, found: GrantBalance) -> GrantBalanceView:
        sent = Grant.of(found.grant).model_dump(mode="json")
        return cls.model_validate(
            {**sent, "standing": found.standing, "balance": plain(found.balance)}
        )


class GrantList(Listing):
    """All grants of an agreement; those of its plan are in the wallet."""

    items: list[GrantBalanceView]


class WalletGrantView(BaseModel):
    """A grant in the wallet: granted = spent + expired + rolled_over + balance."""

    id: str = Field(description="Of the agreement's grant, or made from its plan's rule and hour")
    granted: str
    spent: str
    expired: str
    rolled_over: str
    balance: str
    effective_at: datetime | None = Field(description="Null, as what follows, once it is over")
    expires_at: datetime | None
    priority: int | None
    codes: list[str]

    @classmethod
    def of(cls, grant: WalletGrant) -> WalletGrantView:
        held = grant.held
        return cls(
            id=grant.id,
            granted=plain(grant.granted),
            spent=plain(grant.spent),
            expired=plain(grant.expired),
            rolled_over=plain(grant.rolled_over),
            balance=plain(grant.balance),
            effective_at=held and held.effective_at,
            expires_at=held and held.expires_at,
            priority=held and held.priority,
            codes=list(held.codes) if held else [],
        )


class MovementView(BaseModel):
    """Credits that came into the wallet or left it with an hour."""

    hour: datetime
    flow: CreditFlow
    grant_id: str
    code: str = Field(description='What they paid for; "" where they were not spent')
    amount: str = Field(description="Negative where a charge gave credits back")

    @classmethod
    def of(cls, movement: Movement) -> MovementView:
        return cls(
            hour=movement.hour,
            flow=movement.flow,
            grant_id=movement.grant_id,
            code=movement.code,
            amount=plain(movement.amount),
        )


class WalletView(Listing):
    """An agreement's credits over [start, end), with a page of what moved them."""

    agreement_id: str
    start: datetime
    end: datetime
    currency: str
    balance: str
    grants: list[WalletGrantView] = Field(
        description="Held at the start, or come since; each as of the end"
    )
    movements: list[MovementView]

    @classmethod
    def of(
        cls, agreement_id: str, wallet: Wallet, movements: list[Movement], next_cursor: str | None
    ) -> WalletView:
        return cls(
            agreement_id=agreement_id,
            start=wallet.start,
            end=wallet.end,
            currency=wallet.currency,
            balance=plain(wallet.balance),
            grants=[WalletGrantView.of(grant) for grant in wallet.grants],
            movements=[MovementView.of(movement) for movement in movements],
            next_cursor=next_cursor,
        )


class ThresholdView(BaseModel):
    """A share of a limit that was reached in an hour."""

    hour: datetime
    watched: Watched
    code: str = Field(description='The dimension of an entitlement; "" of credits and the cap')
    percent: str
    used: str = Field(description="Quantity or amount when it was reached, of the limit")
    limit: str

    @classmethod
    def of(cls, found: HourThreshold) -> ThresholdView:
        passed = found.passed
        return cls(
            hour=found.hour,
            watched=passed.watched,
            code=passed.code,
            percent=plain(passed.percent),
            used=plain(passed.used),
            limit=plain(passed.limit),
        )


class ThresholdList(Listing):
    """A page of thresholds, oldest first."""

    items: list[ThresholdView]
