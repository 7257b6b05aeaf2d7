"""The one pin of interpreter, architecture and wheel platform."""

from __future__ import annotations

import platform
import sys
from dataclasses import dataclass

from aws_cdk import aws_lambda as lambda_

from infra.config import Stage


@dataclass(frozen=True, slots=True)
class LambdaRuntime:
    """What the functions run on, and so what their wheels are chosen for.

    Attributes:
        runtime: the Lambda runtime.
        architecture: the Lambda architecture.
        wheel_flags: what pip is told, so that it picks wheels for this target and no other.
        target: a name for the target; part of the layer's hash.
    """

    runtime: lambda_.Runtime
    architecture: lambda_.Architecture
    wheel_flags: tuple[str, ...]
    target: str


def wheels_for(python: str, machine: str) -> tuple[str, ...]:
    """pip flags that select wheels for CPython `python` on Linux `machine`.

    Without ``--python-version`` the developer's own interpreter would decide. Lambda's Python 3.12
    and later run on Amazon Linux 2023 (glibc 2.34), so manylinux_2_28 is safe.
    """
    return (
        "--implementation=cp",
        f"--python-version={python}",
        f"--platform=manylinux_2_28_{machine}",
        f"--platform=manylinux2014_{machine}",
    )


def runtime_of(stage: Stage) -> LambdaRuntime:
    """Python 3.13 on arm64 in AWS; locally whatever runs this, because the emulator runs that too."""
    if stage is Stage.PRODUCTION:
        return LambdaRuntime(
            runtime=lambda_.Runtime.PYTHON_3_13,
            architecture=lambda_.Architecture.ARM_64,
            wheel_flags=wheels_for("3.13", "aarch64"),
            target="cp313-linux-aarch64",
        )
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    machine = platform.machine().lower()
    return LambdaRuntime(
        runtime=lambda_.Runtime(f"python{version}", lambda_.RuntimeFamily.PYTHON),
        architecture=(
            lambda_.Architecture.ARM_64
            if machine in {"arm64", "aarch64"}
            else lambda_.Architecture.X86_64
        ),
        wheel_flags=(),
        target=f"{sys.implementation.cache_tag}-{sys.platform}-{machine}",
    )
