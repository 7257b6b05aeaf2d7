"""The layers: our own package as it is, and third-party wheels."""

from __future__ import annotations

import re
from pathlib import Path

from aws_cdk import BundlingOptions, DockerImage
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.runtime import LambdaRuntime
from infra.wheel_bundling import WheelBundling, pip_install

_LAYERS = Path(__file__).resolve().parents[1] / "layers"
_PIN = re.compile(r"[A-Za-z0-9._-]+(\[[\w,-]+\])?==[\w.!+-]+(\s*;.*)?")


class UnpinnedRequirementError(Exception):
    """A requirement has no exact version, so the layer's hash would promise too much."""


class Layers(Construct):
    """What every function imports besides its own handler.

    Attributes:
        on_path: the layers in the order the functions get them.
        parquet: DuckDB, for the function that writes Parquet, behind the others.
        documents: ReportLab and a font, for the function that writes PDFs.
    """

    def __init__(self, scope: Construct, construct_id: str, *, runtime: LambdaRuntime) -> None:
        super().__init__(scope, construct_id)
        common = lambda_.LayerVersion(
            self,
            "Common",
            description="The meterbridge package",
            code=lambda_.Code.from_asset(
                str(_LAYERS / "common"), exclude=["**/__pycache__", "**/*.pyc", "**/.*"]
            ),
            compatible_runtimes=[runtime.runtime],
        )
        dependencies = self._wheels("Dependencies", runtime)
        self.on_path: list[lambda_.ILayerVersion] = [common, dependencies]
        self.parquet: lambda_.ILayerVersion = self._wheels("Parquet", runtime)
        self.documents: lambda_.ILayerVersion = self._wheels("Documents", runtime)

    def _wheels(self, construct_id: str, runtime: LambdaRuntime) -> lambda_.LayerVersion:
        """The layer of ``layers/<name>/requirements.txt``."""
        folder = _LAYERS / construct_id.lower()
        return lambda_.LayerVersion(
            self,
            construct_id,
            description=f"Third-party packages ({folder.name}) for {runtime.target}",
            code=lambda_.Code.from_asset(str(folder), bundling=wheel_bundling(folder, runtime)),
            compatible_runtimes=[runtime.runtime],
            compatible_architectures=[runtime.architecture],
        )


def wheel_bundling(folder: Path, runtime: LambdaRuntime) -> BundlingOptions:
    """How the wheels of a folder's requirements get into its layer.

    The asset's hash covers the source folder and these options, never the bundler itself. The
    command is not run; it is there so that other wheel flags make another hash.

    Raises:
        UnpinnedRequirementError: naming the lines that pin nothing.
    """
    requirements = folder / "requirements.txt"
    refuse_unpinned(requirements)
    command = pip_install(Path("requirements.txt"), runtime.wheel_flags, Path("python"))[1:]
    return BundlingOptions(
        image=DockerImage.from_registry("unused"),
        command=[*command, runtime.target],
        local=WheelBundling(requirements, runtime.wheel_flags),
    )


def refuse_unpinned(requirements: Path) -> None:
    """Check that every line of a requirements file is ``name==version``.

    Raises:
        UnpinnedRequirementError: naming the lines that are not.
    """
    lines = [line.split("#")[0].strip() for line in requirements.read_text().splitlines()]
    loose = [line for line in lines if line and not _PIN.fullmatch(line)]
    if loose:
        raise UnpinnedRequirementError(f"{requirements.name}: {', '.join(loose)}")
