"""Powertools' resolver, taught exact JSON, 405, and our errors."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from decimal import Decimal
from http import HTTPStatus
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError as RouteNotFoundError
from aws_lambda_powertools.event_handler.openapi.exceptions import RequestValidationError

from manage.errors import MalformedBodyError, MediaTypeError, UnauthenticatedError, problem_of
from meterbridge.application.authorize_call import needed_scope
from meterbridge.application.refusals import ForbiddenError
from meterbridge.domain.api_keys import Caller
from meterbridge.domain.errors import StoreUnavailableError
from meterbridge.domain.pricing.faults import Fault as DomainFault
from meterbridge.lambda_runtime.callers import caller_of
from meterbridge.lambda_runtime.problems import CONTENT_TYPE, SECURITY_HEADERS, Fault, Problem

_JSON = re.compile(r"application/json\s*(;.*)?", re.IGNORECASE)
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})


MoreFaults = Callable[..., Iterable[DomainFault]]
"""Takes a body that is not of the right form, and the named groups of the path's pattern."""


class Resolver(APIGatewayHttpResolver):
    """Routes of the management API. Nothing that is sent makes it answer 5xx.

    Args:
        logger: for what nobody expected, with its stack; the answer only says that it happened.
    """

    def __init__(self, logger: Logger) -> None:
        super().__init__(
            enable_validation=True, serializer=json.dumps, json_body_deserializer=exact_json
        )
        self._logger = logger
        self._more_faults: list[tuple[re.Pattern[str], MoreFaults]] = []
        self.exception_handler(Exception)(self._answer_error)
        self.not_found(self._answer_no_route)

    def resolve(self, event: Mapping[str, Any], context: Any) -> dict[str, Any]:
        """Check the caller and the body's form, then route."""
        try:
            caller = _authorized(event)
            prepared = _with_text_body(event)
        except (UnauthenticatedError, ForbiddenError, MalformedBodyError, MediaTypeError) as error:
            return self._problem(error).response()
        self.append_context(caller=caller)
        answer = super().resolve(prepared, context)
        answer["headers"] = {**SECURITY_HEADERS, **answer["headers"]}
        return answer

    @property
    def caller(self) -> Caller:
        """Who calls."""
        caller: Caller = self.context["caller"]
        return caller

    def allowed_methods(self, path: str) -> list[str]:
        """Methods with a route on a path."""
        routes = self._static_routes + self._dynamic_routes
        return sorted({route.method for route in routes if route.rule.match(path)})

    def operations(self) -> list[tuple[str, str]]:
        """(method, path) of all routes."""
        routes = self._static_routes + self._dynamic_routes
        return sorted((route.method, route.openapi_path) for route in routes)

    @staticmethod
    def _compile_regex(rule: str, base_regex: str = "^{}$") -> re.Pattern[str]:
        """A customer's id is the seller's own and may hold anything, slashes too."""
        prefix, found, suffix = rule.partition("<customer_id>")
        if not found:
            return APIGatewayHttpResolver._compile_regex(rule, base_regex)
        pattern = f"{re.escape(prefix)}(?P<customer_id>.+){re.escape(suffix)}"
        return re.compile(base_regex.format(pattern))

    def _answer_no_route(self, _: RouteNotFoundError) -> Response[str]:
        methods = self.allowed_methods(self.current_event.path)
        if methods:
            allow = {"Allow": ", ".join(methods)}
            return _response(Problem(405, "method_not_allowed", "See Allow", headers=allow))
        return _response(Problem(404, "not_found", "There is nothing at this path"))

    def _answer_error(self, error: Exception) -> Response[str]:
        return _response(self._problem(error))

    def tell_more_faults(self, pattern: str, faults: MoreFaults) -> None:
        """Have faults told together with those of a body's form, which is checked before a route.

        Args:
            pattern: of the paths whose POST takes such a body.
        """
        self._more_faults.append((re.compile(pattern), faults))

    def _problem(self, error: Exception) -> Problem:
        problem = problem_of(error)
        if isinstance(error, RequestValidationError):
            problem = self._with_more_faults(error)
        if problem is None:
            self._logger.exception("unexpected error", exc_info=error)
            return Problem(500, "internal_error", "It is logged and nothing you sent is shown here")
        if problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            self._logger.warning("answered with an error", exc_info=error)
        return problem

    def _with_more_faults(self, error: RequestValidationError) -> Problem | None:
        problem, event = problem_of(error), self.current_event
        for pattern, more_faults in self._more_faults:
            match = pattern.fullmatch(event.path)
            if problem is None or match is None or event.http_method.upper() != "POST":
                continue
            try:
                found = more_faults(event.json_body, **match.groupdict())
                more = [Fault(each.pointer, each.code, each.detail) for each in found]
            except StoreUnavailableError as unavailable:
                return problem_of(unavailable)
            problem = replace(problem, errors=[*problem.errors, *more])
        return problem


def exact_json(text: str | None) -> Any:
    """JSON with exact numbers; None for no body.

    Raises:
        MalformedBodyError: not JSON (RFC 8259), NaN, a repeated name, numbers or nesting beyond use.
    """
    if not text:
        return None
    try:
        found = json.loads(
            text,
            parse_float=Decimal,
            parse_constant=_refuse_constant,
            object_pairs_hook=_object_of_unique_names,
        )
    except ValueError as exc:
        raise MalformedBodyError("malformed_json", f"The body is not JSON: {exc}") from exc
    except RecursionError as exc:
        raise MalformedBodyError("malformed_json", "The body is nested too deeply") from exc
    if not isinstance(found, dict):
        raise MalformedBodyError("not_an_object", "The body must be a JSON object")
    return found


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number of JSON")


def _object_of_unique_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name is there twice")
    return found


def _authorized(event: Mapping[str, Any]) -> Caller:
    """The caller, checked again: the routes do not rely on a correctly wired authorizer."""
    caller = caller_of(event)
    if caller is None:
        raise UnauthenticatedError("An API key is needed: Authorization: Bearer mb_…")
    scope = needed_scope(event["requestContext"]["http"]["method"].upper(), event["rawPath"])
    if not caller.allows(scope):
        raise ForbiddenError(f"This key has no scope {scope}")
    return caller


def _with_text_body(event: Mapping[str, Any]) -> dict[str, Any]:
    """The event with a text for a body, JSON by its media type.

    API Gateway encodes bodies whose media type it does not know as text.
    """
    headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
    body = event.get("body") or ""
    if event.get("isBase64Encoded"):
        try:
            body = base64.b64decode(body, validate=True).decode()
        except (binascii.Error, ValueError) as exc:
            raise MalformedBodyError("malformed_json", "The body is not UTF-8") from exc
    method = event["requestContext"]["http"]["method"].upper()
    if body and method in _WITH_BODY and not _JSON.fullmatch(headers.get("content-type", "")):
        raise MediaTypeError("unsupported_media_type", "The body must be application/json")
    headers["content-type"] = "application/json"
    return {**event, "headers": headers, "body": body, "isBase64Encoded": False}


def _response(problem: Problem) -> Response[str]:
    return Response(problem.status, CONTENT_TYPE, problem.text(), headers=problem.headers)
