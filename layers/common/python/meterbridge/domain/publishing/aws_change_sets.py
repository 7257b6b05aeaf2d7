"""A plan as an AWS Marketplace Catalog change set (contracts.md §1.3).

One StartChangeSet request makes or changes a SaaS product with one offer of it, and the offer of a
free trial beside it. A change refers to what an earlier one makes by `$<ChangeName>.Entity.…`. All of
it happens, or nothing does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from meterbridge.domain.money import plain
from meterbridge.domain.publishing.aws_details import (
    delivery_option,
    dimensions,
    entity_type,
    information,
    legal_terms,
    targeting,
)
from meterbridge.domain.publishing.aws_listing_checks import (
    aws_listing_gaps,
    dimension_keys,
    left_dimension_gaps,
)
from meterbridge.domain.publishing.aws_terms import (
    has_own_trial,
    payment_schedule,
    trial_term,
    unit_prices,
    upfront_charges,
    upfront_gaps,
    upfront_term,
    usage_term,
)
from meterbridge.domain.publishing.compiled import (
    Compiled,
    Document,
    Gap,
    Json,
    LastApplied,
    flattened,
)
from meterbridge.domain.publishing.gaps import plan_gaps, private_offering_gaps
from meterbridge.domain.publishing.listings import AwsListing
from meterbridge.domain.publishing.price_changes import price_move_gaps, price_moves
from meterbridge.domain.publishing.sale import Sale

CALL = "StartChangeSet"
_CREATED = {
    "product": "CreateProductChange",
    "offer": "CreateOfferChange",
    "trial_offer": "CreateTrialOfferChange",
}
ENTITIES_BY_CHANGE = {change: entity for entity, change in _CREATED.items()}
"""What a named change makes."""


def compile_for_aws(
    sale: Sale,
    listing: AwsListing,
    before: LastApplied | None,
    now: datetime,
    siblings: Sequence[LastApplied] = (),
) -> Compiled:
    """The change set that brings a product and an offer to what a plan says.

    Args:
        siblings: publications of the same offering for others or of other plans: they share the
            product with its dimensions.
    """
    return _Compilation(sale, listing, before, now, siblings).compiled()


class _Compilation:
    def __init__(
        self,
        sale: Sale,
        listing: AwsListing,
        before: LastApplied | None,
        now: datetime,
        siblings: Sequence[LastApplied],
    ) -> None:
        self._sale, self._listing, self._before, self._now = sale, listing, before, now
        self._family = (*((before,) if before is not None else ()), *siblings)
        made = before.entities if before is not None else {}
        products = [each.entities["product"] for each in self._family if "product" in each.entities]
        self._existing = {
            "product": listing.product_id or next(iter(products), ""),
            # A private offer never changes once it is released: each publication makes another.
            "offer": listing.offer_id or ("" if listing.private else made.get("offer", "")),
            "trial_offer": listing.trial_offer_id or made.get("trial_offer", ""),
        }
        self._upfront = upfront_charges(sale, listing.private)
        self._prices = unit_prices(sale)
        self._wanted = dimensions(sale, self._upfront, listing.units)
        self._charged = {**self._prices, **{each.code: each.price for each in self._upfront}}
        self._moves = price_moves(before, self._charged)

    def compiled(self) -> Compiled:
        change_set: list[Json] = [*self._product_changes(), *self._offer_changes()]
        trial = has_own_trial(self._sale) and self._listing.private is None
        if trial:
            change_set += self._trial_changes()
        if self._listing.make_public:
            change_set.append(
                self._change("UpdateVisibility", "product", {"TargetVisibility": "Public"})
            )
        body: Json = {
            "Catalog": "AWSMarketplace",
            "ChangeSet": change_set,
            "ChangeSetName": f"{self._sale.offering.id} v{self._sale.offering.version}",
            "Intent": "APPLY",
        }
        return Compiled(
            documents=(Document.of("change_set", CALL, body),),
            gaps=tuple(self._gaps()),
            steps=tuple(self._steps()),
            content=flattened(self._content(trial)),
            raises_prices=bool(self._moves.raised),
            entities={entity: each for entity, each in self._existing.items() if each},
        )

    def _product_changes(self) -> Iterator[Json]:
        listing, new = self._listing, not self._existing["product"]
        if new:
            title = listing.information.title if listing.information else self._sale.offering.name
            yield self._creation("CreateProduct", "product", {"ProductTitle": title})
        if listing.information is not None:
            yield self._change("UpdateInformation", "product", information(listing.information))
        if listing.limited_to:
            yield self._change("UpdateTargeting", "product", targeting(listing.limited_to))
        if new and listing.fulfillment_url:
            option = delivery_option(listing.fulfillment_url)
            yield self._change("AddDeliveryOptions", "product", option)
        wanted = self._wanted
        known = self._known()
        added: list[Json] = [wanted[key] for key in wanted if key not in known]
        if added:
            yield self._change("AddDimensions", "product", added)
        changed: list[Json] = [wanted[key] for key in wanted if self._says_otherwise(key)]
        if changed:
            yield self._change("UpdateDimensions", "product", changed)
        if new:
            yield self._change("ReleaseProduct", "product", {})

    def _offer_changes(self) -> Iterator[Json]:
        sale, listing, new = self._sale, self._listing, not self._existing["offer"]
        private = listing.private
        if new:
            yield self._creation("CreateOffer", "offer", {"ProductId": self._id_of("product")})
        information: Json = {"Name": sale.title, "Description": sale.offering.name}
        yield self._change("UpdateInformation", "offer", information)
        if private is not None:
            yield self._change("UpdateTargeting", "offer", targeting(private.buyer_accounts))
        pricing: Json = {"PricingModel": self._pricing_model(), "Terms": self._terms()}
        yield self._change("UpdatePricingTerms", "offer", pricing)
        if private is not None:
            validity: Json = {
                "Type": "ValidityTerm",
                "AgreementDuration": private.agreement_duration,
            }
            yield self._change("UpdateValidityTerms", "offer", {"Terms": [validity]})
            if private.payments:
                schedule: Json = {"Terms": [payment_schedule(sale.terms, private)]}
                yield self._change("UpdatePaymentScheduleTerms", "offer", schedule)
        yield self._change("UpdateLegalTerms", "offer", legal_terms(self._listing.eula_url))
        if listing.refund_policy:
            support: Json = {"Type": "SupportTerm", "RefundPolicy": listing.refund_policy}
            yield self._change("UpdateSupportTerms", "offer", {"Terms": [support]})
        if private is not None:
            end: Json = {"AvailabilityEndDate": private.available_until.isoformat()}
            yield self._change("UpdateAvailability", "offer", end)
        if new:
            yield self._change("ReleaseOffer", "offer", {})

    def _trial_changes(self) -> Iterator[Json]:
        new = not self._existing["trial_offer"]
        if new:
            product: Json = {"ProductId": self._id_of("product")}
            yield self._creation("CreateOffer", "trial_offer", product)
        name: Json = {"Name": f"{self._sale.title}: free trial", "Description": "Free trial"}
        yield self._change("UpdateInformation", "trial_offer", name)
        terms: Json = {"PricingModel": "Free", "Terms": [trial_term(self._sale)]}
        yield self._change("UpdatePricingTerms", "trial_offer", terms)
        yield self._change("UpdateLegalTerms", "trial_offer", legal_terms(self._listing.eula_url))
        if new:
            yield self._change("ReleaseOffer", "trial_offer", {})

    def _terms(self) -> list[Json]:
        found: list[Json] = [usage_term(self._prices)] if self._prices else []
        if self._upfront:
            found.append(upfront_term(self._sale.terms, self._upfront, self._listing.private))
        return found

    def _pricing_model(self) -> str:
        return "Contract" if self._upfront else "Usage"

    def _known(self) -> set[str]:
        """Keys that the product has: told so, or made by the publications before."""
        return set(self._listing.known_dimensions) | {
            key
            for each in self._family
            if each.entities.get("product") == self._existing["product"]
            for key in dimension_keys(each)
        }

    def _says_otherwise(self, key: str) -> bool:
        if self._before is None or key not in self._known():
            return False
        place = f"/dimensions/{key}"
        old = {p: t for p, t in self._before.content.items() if p.startswith(f"{place}/")}
        return bool(old) and old != flattened(self._wanted[key], place)

    def _content(self, trial: bool) -> Json:
        listing = self._listing
        content: dict[str, Json] = {
            "dimensions": self._wanted,
            "prices": {key: plain(price) for key, price in self._charged.items()},
            "pricing_model": self._pricing_model(),
            "terms": {_type_of(term): term for term in self._terms() if not _is_usage(term)},
            "offer_name": self._sale.title,
            "legal": legal_terms(self._listing.eula_url),
            "refund_policy": listing.refund_policy,
        }
        if trial:
            content["trial"] = trial_term(self._sale)
        if listing.information is not None:
            content["information"] = information(listing.information)
        private = listing.private
        if private is not None:
            content["buyer_accounts"] = list(private.buyer_accounts)
            content["available_until"] = private.available_until.isoformat()
            content["agreement_duration"] = private.agreement_duration
            if private.payments:
                content["payments"] = payment_schedule(self._sale.terms, private)
        return content

    def _gaps(self) -> Iterator[Gap]:
        sale, listing = self._sale, self._listing
        buyers = listing.private.buyer_accounts if listing.private else ()
        yield from plan_gaps(sale, {each.code for each in self._upfront})
        yield from private_offering_gaps(sale, "/aws/private_offer", buyers)
        yield from aws_listing_gaps(sale, listing, self._upfront, new=not self._existing["product"])
        yield from upfront_gaps(sale, self._upfront, listing.private)
        yield from left_dimension_gaps(self._before, self._wanted)
        if self._existing["offer"]:
            yield from price_move_gaps(self._before, self._moves, self._now)
            yield from self._model_gaps()

    def _model_gaps(self) -> Iterator[Gap]:
        """A product's model stays once it is released (contracts.md §1.2.6)."""
        model = self._pricing_model()
        known = self._before.content.get("/pricing_model") if self._before is not None else None
        if known is not None and known != f'"{model}"':
            detail = f"AWS keeps a released offer's pricing model: it is {known}, not {model}"
            yield Gap("/fees", "pricing_model_changes", detail, blocks=True)

    def _steps(self) -> Iterator[str]:
        if not self._existing["product"]:
            yield (
                "Buy the product once with an account it is limited to, and report usage of every "
                "dimension: AWS makes no product public without a metering record of each."
            )
            yield "Publish again with make_public when it works; AWS reviews it."
        if self._listing.private is not None:
            yield "Send the buyer the offer's link; renewal is set in the management portal."
        else:
            yield "Buyers on a private offer pay nothing for a new dimension: give them a new offer."

    def _id_of(self, entity: str) -> str:
        return self._existing[entity] or f"${_CREATED[entity]}.Entity.Identifier"

    def _creation(self, kind: str, entity: str, details: Json) -> Json:
        return {
            "ChangeType": kind,
            "Entity": {"Type": entity_type(entity)},
            "ChangeName": _CREATED[entity],
            "DetailsDocument": details,
        }

    def _change(self, kind: str, entity: str, details: Json) -> Json:
        return {
            "ChangeType": kind,
            "Entity": {"Type": entity_type(entity), "Identifier": self._id_of(entity)},
            "DetailsDocument": details,
        }


def _type_of(term: Json) -> str:
    return str(term["Type"]) if isinstance(term, dict) else ""


def _is_usage(term: Json) -> bool:
    return _type_of(term) == "UsageBasedPricingTerm"
