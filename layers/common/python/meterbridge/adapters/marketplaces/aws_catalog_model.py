"""Whether a change set is what AWS's own service model takes, before anybody is asked.

botocore checks types, members and minimums itself. Maximums and patterns stand in the model too and
are checked here, but for three patterns that AWS's own examples break: an entity's type has a version
(`Offer@1.0`), a change's name is longer than one letter, and an identifier may name what an earlier
change makes (`$CreateOfferChange.Entity.Identifier`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from botocore.exceptions import ParamValidationError
from botocore.model import ListShape, OperationModel, Shape, StringShape, StructureShape
from botocore.session import get_session
from botocore.validate import ParamValidator

from meterbridge.domain.pricing.faults import Fault

SERVICE = "marketplace-catalog"
_NOT_AS_WRITTEN = frozenset({"EntityType", "ChangeName"})
# Java's \p classes, of tags only, which we do not send.
_FOREIGN = re.compile(r"\\p\{")
_REFERENCE = re.compile(r"\$(?P<change>[A-Za-z0-9]+)\.Entity\.Identifier")


@cache
def operation(name: str) -> OperationModel:
    """An operation of the service model; it is loaded once, which takes some milliseconds."""
    return get_session().get_service_model(SERVICE).operation_model(name)


def change_set_faults(body: str) -> tuple[Fault, ...]:
    """All that is wrong with a StartChangeSet request, with pointers into it."""
    request: dict[str, Any] = json.loads(body)
    shape = operation("StartChangeSet").input_shape
    if not isinstance(shape, StructureShape):
        return (Fault("", "no_model", "the service model has no StartChangeSet"),)
    report = ParamValidator().validate(request, shape)
    if report.has_errors():
        detail = str(ParamValidationError(report=report.generate_report()))
        return (Fault("", "not_in_service_model", detail),)
    return (*_limit_faults("", request, shape), *_reference_faults(request["ChangeSet"]))


def _reference_faults(change_set: Sequence[Mapping[str, Any]]) -> Iterator[Fault]:
    """References to what no earlier change makes."""
    named: set[str] = set()
    for number, change in enumerate(change_set):
        reference = _REFERENCE.fullmatch(change["Entity"].get("Identifier", ""))
        if reference is not None and reference["change"] not in named:
            detail = f"no change before it is named {reference['change']}"
            yield Fault(f"/ChangeSet/{number}/Entity/Identifier", "unknown_change", detail)
        named.add(change.get("ChangeName", ""))


def _limit_faults(at: str, value: Any, shape: Shape) -> Iterator[Fault]:
    if isinstance(shape, StructureShape):
        if shape.is_document_type:
            return
        for name, member in shape.members.items():
            if name in value:
                yield from _limit_faults(f"{at}/{name}", value[name], member)
    elif isinstance(shape, ListShape):
        yield from _length_faults(at, len(value), shape)
        for number, each in enumerate(value):
            yield from _limit_faults(f"{at}/{number}", each, shape.member)
    elif isinstance(shape, StringShape):
        yield from _length_faults(at, len(value), shape)
        if shape.enum and value not in shape.enum:
            yield Fault(at, "not_in_service_model", f"{value!r} is none of {shape.enum}")
        pattern = shape.metadata.get("pattern", "")
        checked = shape.name not in _NOT_AS_WRITTEN and not _FOREIGN.search(pattern)
        if shape.name == "Identifier" and _REFERENCE.fullmatch(value):
            return
        if checked and pattern and not re.search(pattern, value, re.ASCII):
            yield Fault(at, "not_in_service_model", f"{value!r} does not match {pattern}")


def _length_faults(at: str, length: int, shape: Shape) -> Iterator[Fault]:
    most = shape.metadata.get("max")
    if most is not None and length > most:
        yield Fault(at, "not_in_service_model", f"{length} are more than {most}")
