"""The architecture on one screen."""

from __future__ import annotations

from aws_cdk import CfnOutput, CliCredentialsStackSynthesizer, Stack
from constructs import Construct

from infra.aggregation import Aggregation
from infra.api import Api
from infra.archive import Archive
from infra.config import DeploymentConfig
from infra.ingest import Ingest
from infra.invoicing import Invoicing
from infra.layers import Layers
from infra.management import Management
from infra.monitoring import Monitoring
from infra.reporting import Reporting, ReportingAws, ReportingAzure, ReportingGcp
from infra.runtime import runtime_of
from infra.service_function import Platform
from infra.storage import Storage


class MeterbridgeStack(Stack):
    """Usage in over HTTP, exact metering records out at the marketplace."""

    def __init__(self, scope: Construct, construct_id: str, *, config: DeploymentConfig) -> None:
        super().__init__(
            scope,
            construct_id,
            description="Meterbridge: marketplace metering and billing",
            termination_protection=not config.is_local,
            # The emulator enforces IAM but refuses the bootstrap roles.
            synthesizer=CliCredentialsStackSynthesizer() if config.is_local else None,
        )
        runtime = runtime_of(config.stage)
        platform = Platform(config, runtime, Layers(self, "Layers", runtime=runtime))
        storage = Storage(self, "Storage", config=config)

        api = Api(self, "Api", platform=platform, storage=storage)
        ingest = Ingest(self, "Ingest", platform=platform, storage=storage, api=api)
        aggregation = Aggregation(self, "Aggregation", platform=platform, storage=storage)
        reporting: dict[str, Reporting] = {
            "Aws": ReportingAws(self, "ReportingAws", platform=platform, storage=storage)
        }
        if config.azure_client_id:
            reporting["Azure"] = ReportingAzure(
                self, "ReportingAzure", platform=platform, storage=storage
            )
        if config.reports_to_gcp:
            reporting["Gcp"] = ReportingGcp(
                self, "ReportingGcp", platform=platform, storage=storage
            )
        archive = Archive(self, "Archive", platform=platform, storage=storage)
        reporters = [each.function for each in reporting.values()]
        management = Management(
            self,
            "Management",
            platform=platform,
            storage=storage,
            settle_queue=aggregation.settle_queue,
            api=api,
            archive_bucket_name=archive.bucket.bucket_name,
        )
        invoicing = Invoicing(self, "Invoicing", platform=platform, storage=storage)

        functions = [
            api.authorizer,
            ingest.function,
            aggregation.aggregate_usage,
            aggregation.close_windows,
            aggregation.settle_agreements,
            *reporters,
            archive.function,
            invoicing.function,
            management.function,
        ]
        tables = {
            "UsageLog": storage.usage_log,
            "Usage": storage.usage,
            "Ledger": storage.ledger,
            "Registry": storage.registry,
            "Invoices": storage.invoices,
        }
        Monitoring(
            self,
            "Monitoring",
            config=config,
            functions=functions,
            scheduled=[aggregation.close_windows, *reporters],
            hourly=[archive.function, invoicing.function],
            stream_reader=aggregation.aggregate_usage,
            api=api.http_api,
            dead_letters={
                "LostBatches": aggregation.lost_batches,
                "LostClosings": aggregation.lost_wake_ups,
                "UnsettledAgreements": aggregation.unsettled,
                "LostArchivings": archive.lost_wake_ups,
                "LostInvoicings": invoicing.lost_wake_ups,
                **{f"LostReports{name}": each.lost_wake_ups for name, each in reporting.items()},
            },
            tables=tables,
        )

        CfnOutput(self, "ApiUrl", value=api.http_api.api_endpoint)
        CfnOutput(self, "ApiId", value=api.http_api.api_id)
        CfnOutput(self, "SettleQueueUrl", value=aggregation.settle_queue.queue_url)
        CfnOutput(self, "ArchiveBucketName", value=archive.bucket.bucket_name)
        CfnOutput(self, "UsageLogMapping", value=aggregation.stream_mapping_id)
        for function in functions:
            CfnOutput(self, f"{function.node.id}FunctionName", value=function.function_name)
        for name, table in tables.items():
            CfnOutput(self, f"{name}TableName", value=table.table_name)
