"""Settings are read whole or refused with every fault."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import pytest

from meterbridge.domain.errors import SettingsError
from meterbridge.lambda_runtime.settings import load, minutes, one_of, variable


@dataclass(frozen=True, slots=True)
class Settings:
    table: str = variable("USAGE_TABLE")
    mode: str = variable("REPORTING_MODE", one_of("live", "dry-run"))
    grace: timedelta = variable("GRACE_MINUTES", minutes, default=timedelta(minutes=15))
    role: str = variable("ROLE_ARN", default="")


def test_variables_become_typed_fields() -> None:
    environ = {"USAGE_TABLE": "Usage", "REPORTING_MODE": "dry-run", "GRACE_MINUTES": "0"}
    assert load(Settings, environ) == Settings(
        table="Usage", mode="dry-run", grace=timedelta(0), role=""
    )


def test_an_empty_variable_counts_as_missing() -> None:
    environ = {"USAGE_TABLE": "Usage", "REPORTING_MODE": "live", "GRACE_MINUTES": " "}
    assert load(Settings, environ).grace == timedelta(minutes=15)


def test_every_fault_is_named_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        load(Settings, {"REPORTING_MODE": "maybe", "GRACE_MINUTES": "-5"})
    assert str(caught.value) == (
        "USAGE_TABLE is missing; "
        "REPORTING_MODE must be one of live, dry-run, not 'maybe'; "
        "GRACE_MINUTES must be a whole number of minutes, not '-5'"
    )
