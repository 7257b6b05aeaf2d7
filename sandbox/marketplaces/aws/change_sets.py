"""Change sets: taken at once, carried out later, all or nothing (contracts.md §1.3.1).

What becomes of one is decided when its time has come: the same request may be taken and then fail.
While it runs the entities it changes are locked. A client request token that was used before gets
the change set that it made.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from ..clock import format_instant, parse_instant
from ..exchange import Json
from ..journal import Fact
from .change_details import MOST_DETAILS, Change, read_change
from .errors import AwsError, validation
from .listed import ChangeError, Listings

KIND = "change_set"
_MOST_CHANGES = 20
_HISTORY = timedelta(days=90)
_PREFIXES = {"CreateProduct": "prod", "CreateOffer": "offer"}


@dataclass
class ChangeSet:
    """A change set that was taken.

    Attributes:
        digest: of the request, to tell a repeated one from another under the same token.
        made: the identifier of the entity of each change, by its place.
        errors: by place of the change; it failed where there is one.
    """

    change_set_id: str
    name: str
    token: str
    digest: str
    started_at: datetime
    ends_at: datetime
    rows: list[Any]
    changes: list[Change]
    settled: bool = False
    made: dict[int, str] = field(default_factory=dict)
    errors: dict[int, ChangeError] = field(default_factory=dict)

    def status(self, now: datetime) -> str:
        """Its status at a time."""
        if now < self.started_at + (self.ends_at - self.started_at) / 4:
            return "PREPARING"
        if now < self.ends_at:
            return "APPLYING"
        return "FAILED" if self.errors else "SUCCEEDED"

    def locked(self) -> set[str]:
        """Identifiers that nobody else may change meanwhile."""
        return {each.identifier for each in self.changes if each.identifier and not each.reference}


class ChangeSets:
    """All change sets, and what they made.

    Args:
        metered: whether a product has a metering record of a dimension.
    """

    def __init__(self, metered: Callable[[str, str], bool]) -> None:
        self.listings = Listings(metered)
        self._sets: dict[str, ChangeSet] = {}

    def clear(self) -> None:
        """Forgets change sets and everything they made."""
        self.listings.products.clear()
        self.listings.offers.clear()
        self._sets.clear()

    def start(
        self, body: Mapping[str, Any], now: datetime, takes: timedelta
    ) -> tuple[str, Fact | None]:
        """Takes a change set: its id, and what is to be kept of a new one.

        Raises:
            AwsError: it is not taken.
        """
        self._settle(now)
        token = _optional_text(body, "ClientRequestToken", 64)
        digest = hashlib.sha256(
            json.dumps(
                {name: each for name, each in body.items() if name != "ClientRequestToken"},
                sort_keys=True,
            ).encode()
        ).hexdigest()
        for known in self._sets.values():
            if token and known.token == token:
                if known.digest != digest:
                    raise validation("the ClientRequestToken was used for another request")
                return known.change_set_id, None
        fact = {
            "kind": KIND,
            "value": {
                "number": len(self._sets) + 1,
                "body": dict(body),
                "digest": digest,
                "started_at": format_instant(now),
                "ends_at": format_instant(now + takes),
            },
        }
        taken = _read(fact["value"])  # type: ignore[arg-type]
        self._admit(taken, now)
        self._sets[taken.change_set_id] = taken
        return taken.change_set_id, fact

    def put_back(self, fact: Fact) -> None:
        """Takes back a change set after a restart."""
        taken = _read(fact["value"])
        self._settle(taken.started_at)
        self._sets[taken.change_set_id] = taken

    def find(self, change_set_id: str, now: datetime) -> ChangeSet:
        """A change set as it is now.

        Raises:
            AwsError: there is none, or it is older than the history.
        """
        self._settle(now)
        found = self._sets.get(change_set_id)
        if found is None or now - found.started_at > _HISTORY:
            raise AwsError("ResourceNotFoundException", f"no change set {change_set_id}", 404)
        return found

    def all(self, now: datetime) -> list[ChangeSet]:
        """Every change set of the history, the newest first."""
        self._settle(now)
        return [each for each in self._sets.values() if now - each.started_at <= _HISTORY][::-1]

    def _admit(self, taken: ChangeSet, now: datetime) -> None:
        named: set[str] = set()
        for change in taken.changes:
            if change.reference and change.reference not in named:
                raise validation(f"no earlier change is named {change.reference!r}")
            known = self.listings.knows(change.entity_type, change.identifier)
            if change.identifier and not change.reference and not known:
                raise AwsError("ResourceNotFoundException", f"no entity {change.identifier}", 404)
            if change.name in named:
                raise validation(f"two changes are named {change.name!r}")
            named |= {change.name} - {""}
        for other in self._sets.values():
            running = now < other.ends_at
            if running and other.locked() & taken.locked():
                message = f"locked by change set {other.change_set_id}"
                raise AwsError("ResourceInUseException", message, 423)

    def _settle(self, now: datetime) -> None:
        due = [each for each in self._sets.values() if not each.settled and each.ends_at <= now]
        for change_set in sorted(due, key=lambda each: each.ends_at):
            self._carry_out(change_set)

    def _carry_out(self, change_set: ChangeSet) -> None:
        change_set.settled = True
        listings = self.listings.copied()
        made: dict[str, str] = {}
        for place, change in enumerate(change_set.changes):
            try:
                identifier = made.get(change.reference, change.identifier)
                prefix = _PREFIXES.get(change.change_type)
                if prefix is not None:
                    identifier = _identifier(prefix, change_set.change_set_id, place)
                    details = _resolved(change.details, made)
                    listings.make(change.entity_type, identifier, details)
                    made[change.name] = identifier
                else:
                    listings.carry_out(change, identifier, change_set.ends_at)
                change_set.made[place] = identifier
            except ChangeError as error:
                change_set.errors[place] = error
                change_set.made.clear()
                return
        self.listings = listings


def _resolved(details: Any, made: Mapping[str, str]) -> Json:
    """Details with the identifiers of what earlier changes made."""
    return {
        name: made.get(str(value).partition(".")[0].lstrip("$"), value)
        for name, value in details.items()
    }


def _identifier(prefix: str, change_set_id: str, place: int) -> str:
    digest = hashlib.sha256(f"{change_set_id}/{place}".encode()).hexdigest()
    return f"{prefix}-{digest[:13]}"


def _read(value: Json) -> ChangeSet:
    """A request as a change set.

    Raises:
        AwsError: 422 ValidationException.
    """
    body = value["body"]
    if body.get("Catalog") != "AWSMarketplace":
        raise validation("Catalog must be AWSMarketplace")
    if body.get("Intent", "APPLY") != "APPLY":
        raise validation("Intent VALIDATE is for AMI versions only")
    rows = body.get("ChangeSet")
    if not isinstance(rows, list) or not 1 <= len(rows) <= _MOST_CHANGES:
        raise validation(f"ChangeSet must be a list of 1 to {_MOST_CHANGES}")
    return ChangeSet(
        change_set_id=hashlib.sha256(f"change set {value['number']}".encode()).hexdigest()[:25],
        name=_optional_text(body, "ChangeSetName", 100),
        token=_optional_text(body, "ClientRequestToken", 64),
        digest=value["digest"],
        started_at=parse_instant(value["started_at"]),
        ends_at=parse_instant(value["ends_at"]),
        rows=rows,
        changes=[read_change(row, _details(row)) for row in rows],
    )


def _details(row: Any) -> Any:
    if not isinstance(row, Mapping) or not isinstance(row.get("Entity"), Mapping):
        raise validation("each change needs a ChangeType and an Entity")
    if ("Details" in row) == ("DetailsDocument" in row):
        raise validation("a change needs either Details or DetailsDocument")
    if "DetailsDocument" in row:
        return row["DetailsDocument"]
    text = row["Details"]
    if not isinstance(text, str) or len(text) > MOST_DETAILS:
        raise validation(f"Details must be a text of at most {MOST_DETAILS} characters")
    try:
        return json.loads(text)
    except ValueError as exc:
        raise validation("Details must be JSON") from exc


def _optional_text(body: Mapping[str, Any], member: str, most: int) -> str:
    value = body.get(member, "")
    if not isinstance(value, str) or len(value) > most:
        raise validation(f"{member} must be a text of at most {most} characters")
    return value
