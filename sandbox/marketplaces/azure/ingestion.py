"""Configure jobs: taken at once, carried out later, and asked about (contracts.md §2.3)."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl, unquote

from ..clock import format_instant, parse_instant
from ..exchange import Json, Request
from ..journal import Fact
from .errors import AzureError
from .events import read_json
from .offers import CONFIGURE, Offers, ResourceError, kind_of

BASE = "/rp/product-ingestion"
GRAPH = "https://graph.microsoft.com"
"""Audience of a token for it."""

KIND = "configure"
_JOB = re.compile(r"/configure/(?P<job>[^/]+)(?P<status>/status)?")
_NEVER = "0001-01-01T00:00:00"
_NAMESPACE = uuid.UUID("3f6d2a66-2f0c-5a8e-8e07-0a9a3b1e7d11")
_STATUS_SCHEMA = "https://schema.mp.microsoft.com/schema/configure-status/2022-03-01-preview2"


@dataclass
class Job:
    """A configure request that was taken.

    Attributes:
        products: external ids that it makes or changes.
        kept: its resources as they are kept, once it succeeded.
    """

    job_id: str
    body: Json
    started_at: datetime
    ends_at: datetime
    products: frozenset[str]
    settled: bool = False
    kept: list[Json] = field(default_factory=list)
    error: ResourceError | None = None


class Ingestion:
    """The Product Ingestion API."""

    def __init__(self) -> None:
        self._offers = Offers()
        self._jobs: dict[str, Job] = {}

    @staticmethod
    def claims(path: str) -> bool:
        """Whether a path is its own."""
        return path.startswith(f"{BASE}/")

    @staticmethod
    def operation(request: Request) -> str:
        """What a request asks for, as `configure` or `configure-status`."""
        path = request.path.removeprefix(BASE)
        if request.method == "POST":
            return "configure"
        return "configure-status" if _JOB.fullmatch(path) else "query"

    def clear(self) -> None:
        """Forgets offers and jobs."""
        self._offers = Offers()
        self._jobs.clear()

    def serve(
        self, request: Request, now: datetime, takes: timedelta
    ) -> tuple[int, Json, Fact | None]:
        """Serves one call: status, body, and what is to be kept.

        Raises:
            AzureError: it is refused.
        """
        self._settle(now)
        path = unquote(request.path.removeprefix(BASE))
        query = dict(parse_qsl(request.query, keep_blank_values=True))
        if not query.get("$version"):
            raise AzureError(400, "badRequest", "The query parameter $version is required.")
        if (request.method, path) == ("POST", "/configure"):
            return self._configure(request.body, now, takes)
        if request.method != "GET":
            raise AzureError(404, "notFound", "The method is not served there.")
        job = _JOB.fullmatch(path)
        if job is not None:
            return 200, self._told(job["job"], now, whole=not job["status"]), None
        return 200, self._asked(path, query), None

    def put_back(self, fact: Fact) -> None:
        """Takes back a job after a restart."""
        self._take(fact["value"])

    def _configure(self, body: bytes, now: datetime, takes: timedelta) -> tuple[int, Json, Fact]:
        request = read_json(body)
        if not isinstance(request, dict) or kind_of(request) != CONFIGURE:
            raise AzureError(400, "badRequest", "The body is no configure request.", "$schema")
        resources = request.get("resources")
        if not isinstance(resources, list) or not resources:
            raise AzureError(400, "badRequest", "There are no resources.", "resources")
        for resource in resources:
            if kind_of(resource) == CONFIGURE:
                raise AzureError(400, "badRequest", "A configure request is no resource.")
        value: Json = {
            "number": len(self._jobs) + 1,
            "body": body.decode(),
            "started_at": format_instant(now),
            "ends_at": format_instant(now + takes),
        }
        products = _products_of(request)
        for other in self._jobs.values():
            if now < other.ends_at and other.products & products:
                message = f"Job {other.job_id} of the same product is running."
                raise AzureError(409, "conflict", message)
        job = self._take(value)
        return 202, self._status(job, now), {"kind": KIND, "value": value}

    def _take(self, value: Json) -> Job:
        request = json.loads(value["body"], parse_float=Decimal)
        job = Job(
            job_id=str(uuid.uuid5(_NAMESPACE, str(value["number"]))),
            body=request,
            started_at=parse_instant(value["started_at"]),
            ends_at=parse_instant(value["ends_at"]),
            products=_products_of(request),
        )
        self._settle(job.started_at)
        self._jobs[job.job_id] = job
        return job

    def _settle(self, now: datetime) -> None:
        due = [each for each in self._jobs.values() if not each.settled and each.ends_at <= now]
        for job in sorted(due, key=lambda each: each.ends_at):
            job.settled = True
            offers = self._offers.copied()
            try:
                job.kept = offers.configure(job.body["resources"])
            except ResourceError as error:
                job.error = error
            else:
                self._offers = offers

    def _told(self, job_id: str, now: datetime, *, whole: bool) -> Json:
        job = self._jobs.get(job_id)
        if job is None:
            raise AzureError(404, "notFound", f"There is no job {job_id}.")
        status = self._status(job, now)
        return {**status, "resources": job.kept} if whole else status

    def _status(self, job: Job, now: datetime) -> Json:
        done = job.settled and now >= job.ends_at
        halfway = job.started_at + (job.ends_at - job.started_at) / 2
        result = "failed" if job.error is not None else "succeeded"
        errors = []
        if done and job.error is not None:
            errors = [
                {
                    "code": job.error.code,
                    "message": job.error.message,
                    "resourceId": job.error.resource,
                    "details": [],
                }
            ]
        return {
            "$schema": _STATUS_SCHEMA,
            "jobId": job.job_id,
            "jobStatus": "completed" if done else "running" if now >= halfway else "notStarted",
            "jobResult": result if done else "pending",
            "jobStart": format_instant(job.started_at),
            "jobEnd": format_instant(job.ends_at) if done else _NEVER,
            "errors": errors,
        }

    def _asked(self, path: str, query: Mapping[str, str]) -> Json:
        if path in ("/product", "/plan"):
            kind = path.removeprefix("/")
            if kind == "plan" and "product" not in query:
                raise AzureError(400, "badRequest", "The product is required.", "product")
            found = self._offers.found(kind, query.get("externalID", ""), query.get("product", ""))
            return {"value": [] if found is None else [found]}
        if path.startswith("/resource-tree/"):
            root = path.removeprefix("/resource-tree/")
            if root not in self._offers.resources:
                raise AzureError(404, "notFound", f"There is no {root}.")
            tree = [
                each
                for each in self._offers.resources.values()
                if root in (each["id"], each.get("product"))
            ]
            return {"root": root, "target": {"targetType": "draft"}, "resources": tree}
        found = self._offers.resources.get(path.removeprefix("/"))
        if found is None:
            raise AzureError(404, "notFound", f"There is no {path}.")
        return found


def _products_of(request: Mapping[str, Any]) -> frozenset[str]:
    """External ids of the products that a request is about, as far as it names them so."""
    found = set()
    for resource in request["resources"]:
        reference = resource.get("product")
        named = resource.get("identity", {}) if "product" not in resource else reference
        if isinstance(named, Mapping) and "externalId" in named:
            found.add(str(named["externalId"]))
    return frozenset(found)
