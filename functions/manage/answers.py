"""How objects and pages are answered."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from aws_lambda_powertools.event_handler import Response
from pydantic import BaseModel, Field

from manage.fields import to_cursor
from meterbridge.application.registry_admin import Page, Versioned

T = TypeVar("T")
ViewT = TypeVar("ViewT", bound=BaseModel)
_JSON = "application/json"


class Listing(BaseModel):
    """Base of a page."""

    next_cursor: str | None = Field(
        description="Send it as `cursor` to get the next page; null on the last one"
    )


def entity(view: ViewT, version: int, status: int = 200) -> Response[ViewT]:
    """One object, with the ETag that If-Match takes."""
    return Response(status, _JSON, view, headers={"ETag": f'"{version}"'})


def listed(page: Page[T], view: Callable[[Versioned[T]], BaseModel]) -> dict[str, object]:
    """Members of a Listing."""
    return {
        "items": [view(entry) for entry in page.entries],
        "next_cursor": to_cursor(page.next_after),
    }


def gone() -> Response[None]:
    """It has been removed."""
    return Response(204, None, None)
