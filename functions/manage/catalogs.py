"""Where publications are applied to, and what their documents are checked by."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

from meterbridge.adapters.marketplaces.aws_catalog import AwsCatalog
from meterbridge.adapters.marketplaces.aws_catalog_model import change_set_faults
from meterbridge.adapters.marketplaces.aws_seller_account import catalog_client
from meterbridge.application.publication_ports import MarketplaceCatalog, Validator
from meterbridge.domain.channels import Channel
from meterbridge.domain.publishing.azure_checks import configure_faults
from meterbridge.lambda_runtime.settings import one_of, variable


@dataclass(frozen=True, slots=True)
class PublishingSettings:
    """What publishing needs. Switched off, plans are compiled and checked, and nothing is applied.

    Attributes:
        role_arn, external_id: of the seller's AWS account; without a role we publish as ourselves.
        client_id: of the app at Microsoft; without one nothing is applied there.
        secret_arn: of that app; without one AWS vouches for us to Entra.
        endpoint, authority: other addresses of Microsoft's; a sandbox, usually.
    """

    publishing: str = variable("PUBLISHING", one_of("true", "false"), default="false")
    role_arn: str = variable("MARKETPLACE_ROLE_ARN", default="")
    external_id: str = variable("MARKETPLACE_EXTERNAL_ID", default="")
    tenant_id: str = variable("AZURE_TENANT_ID", default="")
    client_id: str = variable("AZURE_CLIENT_ID", default="")
    secret_arn: str = variable("AZURE_SECRET_ARN", default="")
    endpoint: str = variable("MARKETPLACE_ENDPOINT", default="")
    authority: str = variable("AZURE_AUTHORITY", default="")


def validators() -> Mapping[Channel, Validator]:
    """By channel; Google has no model to go by."""
    return {
        Channel.AWS: lambda document: change_set_faults(document.body),
        Channel.AZURE: lambda document: configure_faults(document.body),
    }


def catalogs(settings: PublishingSettings) -> Mapping[Channel, Callable[[], MarketplaceCatalog]]:
    """What is switched on; each is made when it is first needed, and once."""
    if settings.publishing != "true":
        return {}

    @cache
    def aws() -> MarketplaceCatalog:
        return AwsCatalog(
            catalog_client(role_arn=settings.role_arn, external_id=settings.external_id)
        )

    @cache
    def azure() -> MarketplaceCatalog:
        # azure-identity takes longer to import than everything else together.
        from manage.azure_catalog import azure_catalog

        return azure_catalog(
            settings.tenant_id,
            settings.client_id,
            settings.secret_arn,
            endpoint=settings.endpoint,
            authority=settings.authority,
        )

    return {Channel.AWS: aws, **({Channel.AZURE: azure} if settings.client_id else {})}
