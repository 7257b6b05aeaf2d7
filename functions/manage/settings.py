"""/v1/settings"""

from __future__ import annotations

from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body

from manage.answers import entity
from manage.fields import IfMatch, expected_version
from manage.resolver import Resolver
from manage.schemas_keys import NewShards, ShardPlanView
from manage.services import Services
from meterbridge.application.manage_catalog import changed
from meterbridge.application.refusals import ForbiddenError

TAGS = ["Settings"]


def add_settings(app: Resolver, services: Services) -> None:
    """Add the routes of settings. They are the deployment's, not one product's."""
    registry = services.registry

    @app.get("/v1/settings/usage-log", tags=TAGS, summary="Read the usage log's shards")
    def get_usage_log_settings() -> Response[ShardPlanView]:
        entry = registry.shard_plan_entry()
        return entity(ShardPlanView.of(entry), entry.version)

    @app.put("/v1/settings/usage-log", tags=TAGS, summary="Change the usage log's shards")
    def put_usage_log_settings(
        body: Annotated[NewShards, Body()], if_match: IfMatch = None
    ) -> Response[ShardPlanView]:
        if app.caller.products is not None:
            raise ForbiddenError("this key is bound to some products; the usage log is of all")
        entry = changed(
            registry.shard_plan_entry,
            registry.set_shard_plan,
            lambda plan: plan.changed(body.shards, body.effective_from, services.clock.now()),
            expected_version(if_match),
        )
        return entity(ShardPlanView.of(entry), entry.version)
