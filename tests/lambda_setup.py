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
    """The metrics written, by name; those with more dimensions than `service` as well."""
    return {name: value for (name, _), value in measured(capsys).items()}


def measured(
    capsys: pytest.CaptureFixture[str],
) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """The metrics written, each once, by name and dimensions other than `service`."""
    found: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}
    for line in map(json.loads, capsys.readouterr().out.splitlines()):
        for definition in line.get("_aws", {}).get("CloudWatchMetrics", []):
            assert (definition["Namespace"], line["service"]) == ("Meterbridge", "meterbridge")
            (names,) = definition["Dimensions"]
            dimensions = tuple((name, line[name]) for name in sorted(names) if name != "service")
            for metric in definition["Metrics"]:
                key = metric["Name"], dimensions
                assert key not in found
                found[key] = line[metric["Name"]][0]
    return found
