"""The deploy-time settings, read once from the CDK context."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import TypeVar

from aws_cdk import aws_logs as logs

_ROLE_ARN = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]+")
_SECRET_ARN = re.compile(r"arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:\d{12}:secret:[\w/+=.@-]+")
_AUDIENCE = re.compile(
    r"//iam\.googleapis\.com/projects/\d+/locations/global"
    r"/workloadIdentityPools/[a-z0-9-]+/providers/[a-z0-9-]+"
)
_SERVICE_ACCOUNT = re.compile(r"[a-z0-9-]+@[a-z0-9.-]+\.gserviceaccount\.com")
_GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-\d")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_PRINTED = re.compile(r"[^\x00-\x1f\x7f]{1,500}")
_PREFIX = re.compile(r"[A-Za-z0-9][A-Za-z0-9_./-]{0,19}")
_URL = re.compile(r"https?://[^\s/]+(/\S*)?")


class Stage(StrEnum):
    """Where the stack is deployed to."""

    PRODUCTION = "production"
    LOCAL = "local"


class ReportingMode(StrEnum):
    """Whether pending records are really submitted to the marketplace."""

    LIVE = "live"
    DRY_RUN = "dry-run"


class BillingAdjustments(StrEnum):
    """Who asks AWS for an approved correction: a person, or the function that reports usage."""

    BY_HAND = "by-hand"
    API = "api"


class UserLabels(StrEnum):
    """What Google is told about a record besides what it bills by."""

    NONE = "none"
    AGREEMENT = "agreement"


_Choice = TypeVar("_Choice", bound=Enum)


class ConfigError(Exception):
    """The context has faults; the message names each of them."""


@dataclass(frozen=True, slots=True)
class DeploymentConfig:
    """What the person who deploys decides.

    Attributes:
        stage: ``production`` keeps data when the stack goes and is protected from deletion;
            ``local`` is for an emulator on one machine and leaves nothing behind.
        schedule_minutes: how often hours are closed and records reported.
        grace_minutes: how long after its end an hour stays open for late events.
        marketplace_endpoint: another address for the marketplaces; a sandbox, usually.
        marketplace_role_arn: the seller account's role that may report usage; without it this
            account is the seller account.
        marketplace_external_id: the external id which that role's trust policy demands.
        marketplace_region: where the metering service is called. AWS Marketplace is in us-east-1.
        aws_billing_adjustments: ``api`` submits approved corrections through AWS's Agreement API.
        azure_tenant_id: the directory of the app that reports to Azure Marketplace.
        azure_client_id: that app, as the offers name it; without one nothing is reported there.
        azure_secret_arn: the secret in Secrets Manager with the app's client secret or certificate
            (PEM with private key); without one the app must trust the function's AWS identity.
        gcp_audience: the workload identity provider at Google that trusts the function's AWS role:
            ``//iam.googleapis.com/projects/…/workloadIdentityPools/…/providers/…``.
        gcp_service_account: the service account, linked to the products, that the role acts as.
        gcp_secret_arn: in place of both, the secret in Secrets Manager with a service account's JSON
            key. Without either nothing is reported to Google Cloud Marketplace.
        gcp_user_labels: ``agreement`` puts the agreement's id on every report, which shows in the
            buyer's own cost table.
        publishing: whether the management API may change listings at AWS and, with an app there,
            at Microsoft; without it plans are compiled and checked only.
        reporting_mode: ``dry-run`` builds and logs submissions but sends none.
        seller_name: who invoices; without it no invoice becomes final.
        seller_address: as it is printed, its lines set apart by ``|``.
        seller_tax_id: as it is printed: ``VAT DE123456789``.
        seller_email: whom the buyer may write to.
        invoice_prefix: what the invoices' numbers begin with; another one begins a series at 1.
        invoice_days: how many days after a period's end its invoice becomes final.
        alarm_email: who is told about an alarm.
        log_retention: how long logs are kept, by the CDK's name: ``THREE_MONTHS``.
    """

    stage: Stage
    schedule_minutes: int
    grace_minutes: int
    marketplace_endpoint: str | None
    marketplace_role_arn: str | None
    marketplace_external_id: str | None
    marketplace_region: str
    aws_billing_adjustments: BillingAdjustments
    azure_tenant_id: str | None
    azure_client_id: str | None
    azure_secret_arn: str | None
    gcp_audience: str | None
    gcp_service_account: str | None
    gcp_secret_arn: str | None
    gcp_user_labels: UserLabels
    publishing: bool
    reporting_mode: ReportingMode
    seller_name: str | None
    seller_address: str | None
    seller_tax_id: str | None
    seller_email: str | None
    invoice_prefix: str
    invoice_days: int
    alarm_email: str | None
    log_retention: logs.RetentionDays

    @property
    def is_local(self) -> bool:
        """Whether this is a deployment into an emulator, which may be thrown away."""
        return self.stage is Stage.LOCAL

    @property
    def reports_to_gcp(self) -> bool:
        """Whether there is a way to sign in to Google."""
        return bool(self.gcp_secret_arn or self.gcp_audience)

    @classmethod
    def from_context(cls, context: Mapping[str, object]) -> DeploymentConfig:
        """Parse the context.

        Args:
            context: CDK context by key; values given with ``-c`` are strings.

        Raises:
            ConfigError: naming every setting that is missing or wrong, not only the first.
        """
        parser = _Parser(context)
        config = cls(
            stage=parser.choice("stage", Stage, Stage.PRODUCTION),
            schedule_minutes=parser.integer("schedule_minutes", default=5, low=1, high=60),
            grace_minutes=parser.integer("grace_minutes", default=15, low=0, high=180),
            marketplace_endpoint=parser.text("marketplace_endpoint", _URL, "an http(s) URL"),
            marketplace_role_arn=parser.text("marketplace_role_arn", _ROLE_ARN, "a role ARN"),
            marketplace_external_id=parser.text(
                "marketplace_external_id", re.compile(r"[\w+=,.@:/-]{2,1224}"), "an external id"
            ),
            marketplace_region=parser.text("marketplace_region", _REGION, "a region")
            or "us-east-1",
            aws_billing_adjustments=parser.choice(
                "aws_billing_adjustments", BillingAdjustments, BillingAdjustments.BY_HAND
            ),
            azure_tenant_id=parser.text("azure_tenant_id", _GUID, "a GUID"),
            azure_client_id=parser.text("azure_client_id", _GUID, "a GUID"),
            azure_secret_arn=parser.text("azure_secret_arn", _SECRET_ARN, "a secret's ARN"),
            gcp_audience=parser.text(
                "gcp_audience", _AUDIENCE, "a workload identity provider's full name"
            ),
            gcp_service_account=parser.text(
                "gcp_service_account", _SERVICE_ACCOUNT, "a service account's e-mail address"
            ),
            gcp_secret_arn=parser.text("gcp_secret_arn", _SECRET_ARN, "a secret's ARN"),
            gcp_user_labels=parser.choice("gcp_user_labels", UserLabels, UserLabels.NONE),
            publishing=parser.flag("publishing"),
            reporting_mode=parser.choice("reporting_mode", ReportingMode, ReportingMode.LIVE),
            seller_name=parser.text("seller_name", _PRINTED, "a name"),
            seller_address=parser.text("seller_address", _PRINTED, "an address, lines set by |"),
            seller_tax_id=parser.text("seller_tax_id", _PRINTED, "a tax id"),
            seller_email=parser.text("seller_email", _EMAIL, "an e-mail address"),
            invoice_prefix=parser.text(
                "invoice_prefix", _PREFIX, "up to 20 letters, digits and -_./"
            )
            or "MB-",
            invoice_days=parser.integer("invoice_days", default=3, low=1, high=31),
            alarm_email=parser.text("alarm_email", _EMAIL, "an e-mail address"),
            log_retention=parser.choice(
                "log_retention", logs.RetentionDays, logs.RetentionDays.THREE_MONTHS
            ),
        )
        if config.marketplace_external_id and not config.marketplace_role_arn:
            parser.faults.append("marketplace_external_id needs marketplace_role_arn")
        if bool(config.azure_client_id) != bool(config.azure_tenant_id):
            parser.faults.append("azure_client_id and azure_tenant_id need each other")
        if config.azure_secret_arn and not config.azure_client_id:
            parser.faults.append("azure_secret_arn needs azure_client_id")
        if bool(config.gcp_audience) != bool(config.gcp_service_account):
            parser.faults.append("gcp_audience and gcp_service_account need each other")
        if config.gcp_secret_arn and config.gcp_audience:
            parser.faults.append("gcp_secret_arn and gcp_audience exclude each other")
        if config.marketplace_endpoint and not config.is_local:
            parser.faults.append("marketplace_endpoint is for the local stage only")
        if parser.faults:
            raise ConfigError("; ".join(parser.faults))
        return config


class _Parser:
    """Reads settings one by one and collects what is wrong with them."""

    def __init__(self, context: Mapping[str, object]) -> None:
        self._context = context
        self.faults: list[str] = []

    def text(self, key: str, pattern: re.Pattern[str], meaning: str) -> str | None:
        value = self._context.get(key)
        if value is None or value == "":
            return None
        if isinstance(value, str) and pattern.fullmatch(value):
            return value
        self.faults.append(f"{key} must be {meaning}, not {value!r}")
        return None

    def integer(self, key: str, *, default: int, low: int, high: int) -> int:
        value = self._context.get(key)
        if value is None or value == "":
            return default
        if isinstance(value, int | str) and re.fullmatch(r"\d{1,6}", str(value)):
            number = int(value)
            if low <= number <= high:
                return number
        self.faults.append(f"{key} must be a whole number from {low} to {high}, not {value!r}")
        return default

    def flag(self, key: str) -> bool:
        value = self._context.get(key)
        if value in (None, "", False, "false"):
            return False
        if value in (True, "true"):
            return True
        self.faults.append(f"{key} must be true or false, not {value!r}")
        return False

    def choice(self, key: str, kind: type[_Choice], default: _Choice) -> _Choice:
        value = self._context.get(key)
        if value is None or value == "":
            return default
        for member in kind:
            if member.value == value:
                return member
        allowed = " or ".join(str(member.value) for member in kind)
        self.faults.append(f"{key} must be {allowed}, not {value!r}")
        return default
