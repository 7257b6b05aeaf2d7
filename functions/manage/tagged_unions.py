"""Unions that one member tells apart, with faults where a reader of the body finds them."""

from __future__ import annotations

from typing import Any

from pydantic import Field, ValidationError, ValidatorFunctionWrapHandler, WrapValidator
from pydantic.fields import FieldInfo
from pydantic_core import InitErrorDetails, PydanticCustomError


def _untagged(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    """pydantic puts the tag into the place of a fault; a JSON pointer has no such step."""
    try:
        return handler(value)
    except ValidationError as exc:
        faults = [
            InitErrorDetails(
                type=PydanticCustomError(each["type"], each["msg"]),  # type: ignore[arg-type]
                loc=each["loc"][1:],
                input=each["input"],
            )
            for each in exc.errors(include_url=False)
        ]
        raise ValidationError.from_exception_data(exc.title, faults) from exc


def told_by(member: str) -> tuple[FieldInfo, WrapValidator]:
    """Annotations of a union whose members differ in this member's value."""
    discriminated: FieldInfo = Field(discriminator=member)
    return discriminated, WrapValidator(_untagged)
