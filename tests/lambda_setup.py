"""A Lambda context, and the metrics that a handler emitted."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest


@dataclass
class Context:
    """A Lambda context with time left."""

    remaining: int = 300_000
    function_name: str = "report_usage"
    memory_limit_in_mb: int = 1024
    invoked_function_arn: str = "arn:aws:lambda:us-east-1:123456789012:function:report_usage"
    aws_request_id: str = "52fdfc07-2182-154f-163f-5f0f9a621d72"

    def get_remaining_time_in_millis(self) -> int:
        return self.remaining


def emitted(capsys: pytest.CaptureFixture[str]) -> dict[str, float]:
    """The metrics of the one EMF line."""
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (emf,) = [line for line in lines if "_aws" in line]
    definition = emf["_aws"]["CloudWatchMetrics"][0]
    assert (definition["Namespace"], emf["service"]) == ("Meterbridge", "meterbridge")
    names = [metric["Name"] for metric in definition["Metrics"]]
    return {name: emf[name][0] for name in names}
