"""Draw price models, each kind as often as any other."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from random import Random

from campaign.deals import MODELS
from meterbridge.domain.pricing.models import (
    Dimensional,
    Flat,
    GroupPrice,
    Package,
    Percentage,
    PerUnit,
    PriceModel,
    SimpleModel,
    Waterfall,
    WaterfallStep,
)
from meterbridge.domain.pricing.tiers import (
    Graduated,
    GraduatedPercentage,
    PercentTier,
    Tier,
    Volume,
)

D = Decimal


def drawn_model(random: Random, code: str, size: int) -> PriceModel:
    """A price for a code whose quantities are about ten sizes.

    What is grouped has a price by group; other things have none.
    """
    models = _Models(random, D(size))
    if code == "models":
        named = random.sample(MODELS, random.randint(1, 2))
        prices = tuple(GroupPrice((name,), models.simple()) for name in named)
        return Dimensional(prices, models.simple())
    if code == "volume" and random.random() < 0.15:
        steps = (
            WaterfallStep("first", D(random.randint(1, 8)) * size, PerUnit(models.price())),
            WaterfallStep("rest", None, PerUnit(models.price())),
        )
        return Waterfall(steps)
    return models.simple()


class _Models:
    def __init__(self, random: Random, size: Decimal) -> None:
        self.random, self.size = random, size

    def simple(self) -> SimpleModel:
        made: list[Callable[[], SimpleModel]] = [
            self._per_unit,
            self._per_unit,
            lambda: Graduated(self._tiers()),
            lambda: Volume(self._tiers()),
            lambda: Package(self.random.choice([D(1), D("2.5")]) * self.size, self._amount(3)),
            self._percentage,
            lambda: GraduatedPercentage(self._shares()),
            lambda: Flat(self._amount(20), self.random.random() < 0.5),
        ]
        return self.random.choice(made)()

    def price(self) -> Decimal:
        """Of one unit: up to 2 for a size."""
        return (D(self.random.randint(0, 200)) / 100 / self.size).normalize()

    def _amount(self, most: int) -> Decimal:
        return D(self.random.randint(0, most * 100)) / 100

    def _per_unit(self) -> PerUnit:
        if self.random.random() < 0.3:
            return PerUnit(self._amount(3), self.random.choice([D(3), D(10)]) * self.size)
        return PerUnit(self.price())

    def _bounds(self) -> list[Decimal | None]:
        found = sorted(self.random.sample(range(1, 12), self.random.randint(0, 2)))
        return [*(D(bound) * self.size for bound in found), None]

    def _tiers(self) -> tuple[Tier, ...]:
        flats = [D(0), D(0), self._amount(3)]
        return tuple(
            Tier(bound, self.price(), self.random.choice(flats)) for bound in self._bounds()
        )

    def _shares(self) -> tuple[PercentTier, ...]:
        return tuple(PercentTier(bound, self._percent(), D(0)) for bound in self._bounds())

    def _percent(self) -> Decimal:
        return D(self.random.randint(0, 500)) / 100 / min(self.size, D(10))

    def _percentage(self) -> Percentage:
        draw = self.random
        least = draw.choice([None, None, self._amount(5)])
        most = draw.choice([None, None, D(5) + self._amount(10)])
        return Percentage(
            self._percent(),
            draw.choice([D(0), D("0.3")]),
            D(draw.randint(0, 3)),
            draw.choice([D(0), self.size]),
            least,
            most,
        )
