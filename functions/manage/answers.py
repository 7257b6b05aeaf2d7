"""How objects and pages are answered."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from aws_lambda_powertools.event_handler import Response
from pydantic import BaseModel, Field

from manage.fields import to_cursor
from meterbridge.application.registry_admin import Page, Versioned
from meterbridge.domain.errors import InvalidInputError

T = TypeVar("T")
ViewT = TypeVar("ViewT", bound=BaseModel)
_JSON = "application/json"

MAX_ANSWER_BYTES = 4 << 20
"""A Lambda function answers at most 6 MB."""


class Listing(BaseModel):
    """Base of a page."""

    next_cursor: str | None = Field(
        description="Send it as `cursor` to get the next page; null on the last one"
    )


def entity(view: ViewT, version: int, status: int = 200) -> Response[ViewT]:
    """One object, with the ETag that If-Match takes."""
    return Response(status, _JSON, view, headers={"ETag": f'"{version}"'})


def listed(
    page: Page[T],
    view: Callable[[Versioned[T]], BaseModel],
    key: Callable[[Versioned[T]], str] = lambda entry: entry.value.id,  # type: ignore[attr-defined]
) -> dict[str, object]:
    """Members of a Listing, shorter than the page if the entries are large.

    Args:
        key: where the list continues after an entry.
    """
    items = [view(entry) for entry in page.entries]
    count = fitting(items)
    after = page.next_after if count == len(items) else key(page.entries[count - 1])
    return {"items": items[:count], "next_cursor": to_cursor(after)}


def fitting(items: Sequence[BaseModel]) -> int:
    """How many of these fit in one answer; at least one."""
    size = 0
    for count, item in enumerate(items):
        size += len(item.model_dump_json().encode())
        if size > MAX_ANSWER_BYTES and count:
            return count
    return len(items)


def refuse_too_large(view: BaseModel, pointer: str) -> None:
    """Raises InvalidInputError for an answer of one object that is too large to be given.

    Args:
        pointer: what asked for so much.
    """
    if len(view.model_dump_json().encode()) > MAX_ANSWER_BYTES:
        detail = f"the answer would have more than {MAX_ANSWER_BYTES >> 20} MB"
        raise InvalidInputError("answer_too_large", detail, pointer)


def gone() -> Response[None]:
    """It has been removed."""
    return Response(204, None, None)
