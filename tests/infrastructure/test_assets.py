"""What is really uploaded: built, staged and imported as Lambda does."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import App

from infra import service_function
from infra.layers import UnpinnedRequirementError, refuse_unpinned
from infra.stack import MeterbridgeStack
from infra.wheel_bundling import WheelBundling, WheelBundlingError

FUNCTIONS = (
    "authorize",
    "ingest_usage",
    "aggregate_usage",
    "close_windows",
    "settle_agreements",
    "report_usage_aws",
    "report_usage_azure",
    "report_usage_gcp",
    "archive_usage",
    "issue_invoices",
    "manage",
)

AARCH64 = (183).to_bytes(2, "little")
"""e_machine in an ELF header."""

# Imports a handler with nothing on the path but the standard library, the function and its layers.
IMPORT = """
import importlib, json, os, sys
for folder in reversed(json.loads(os.environ["IMPORT_FROM"])):
    sys.path.insert(0, folder)
module, _, name = os.environ["HANDLER"].rpartition(".")
assert callable(getattr(importlib.import_module(module), name))
outside = [f for m in list(sys.modules.values()) if (f := getattr(m, "__file__", None))
           and "site-packages" in f]
assert not outside, outside
"""


@dataclass(frozen=True)
class StagedFunction:
    """A function as the template and the assembly have it."""

    handler: str
    code: Path
    layers: tuple[Path, ...]
    environment: Mapping[str, str]


@dataclass(frozen=True)
class Assembly:
    """A synthesised app, bundling done or not."""

    functions: Mapping[str, StagedFunction]

    @property
    def dependencies(self) -> Path:
        return next(iter(self.functions.values())).layers[1]


def _synthesised(stack: MeterbridgeStack) -> Assembly:
    app = stack.node.root
    assert isinstance(app, App)
    outdir = Path(app.synth().directory)
    resources: dict[str, Any] = json.loads((outdir / "Meterbridge.template.json").read_text())[
        "Resources"
    ]
    staged: dict[str, StagedFunction] = {}
    for resource in resources.values():
        if resource["Type"] != "AWS::Lambda::Function":
            continue
        properties = resource["Properties"]
        layers = [
            resources[layer["Ref"]]["Properties"]["Content"] for layer in properties["Layers"]
        ]
        staged[properties["Handler"].split(".")[0]] = StagedFunction(
            handler=properties["Handler"],
            code=_asset(outdir, properties["Code"]),
            layers=tuple(_asset(outdir, layer) for layer in layers),
            environment={
                name: value if isinstance(value, str) else f"https://example.com/{name}"
                for name, value in properties["Environment"]["Variables"].items()
            },
        )
    return Assembly(staged)


def _asset(outdir: Path, code: Mapping[str, str]) -> Path:
    return outdir / f"asset.{code['S3Key'].removesuffix('.zip')}"


@pytest.fixture(scope="module")
def local_assembly(
    build_stack: Callable[..., MeterbridgeStack],
    marketplaces: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Assembly:
    """Built for the interpreter that runs this test."""
    settings = {"stage": "local", "marketplace_endpoint": "http://127.0.0.1:8642", **marketplaces}
    outdir = tmp_path_factory.mktemp("local")
    return _synthesised(build_stack(settings, outdir=outdir, bundling=True))


@pytest.fixture(scope="module")
def production_assembly(
    build_stack: Callable[..., MeterbridgeStack], tmp_path_factory: pytest.TempPathFactory
) -> Assembly:
    """Built for Lambda."""
    outdir = tmp_path_factory.mktemp("production")
    return _synthesised(build_stack({}, outdir=outdir, bundling=True))


def test_there_is_a_function_for_every_folder_and_no_other(local_assembly: Assembly) -> None:
    folders = {path.parent.name for path in service_function.FUNCTIONS.glob("*/handler.py")}

    assert set(local_assembly.functions) == set(FUNCTIONS) == folders


@pytest.mark.parametrize("name", FUNCTIONS)
def test_an_asset_holds_its_function_and_nothing_else(local_assembly: Assembly, name: str) -> None:
    code = local_assembly.functions[name].code

    assert [path.name for path in code.iterdir()] == [name]
    assert (code / name / "handler.py").stat().st_size > 0
    assert [path for path in code.rglob("*") if path.name.endswith((".pyc", "__pycache__"))] == []


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_handler_imports_with_nothing_but_the_layers(local_assembly: Assembly, name: str) -> None:
    function = local_assembly.functions[name]
    path = [str(function.code), *(str(layer / "python") for layer in function.layers)]

    # -S leaves out the virtual environment, -I the current folder and PYTHONPATH.
    imported = subprocess.run(
        [sys.executable, "-I", "-S", "-B", "-c", IMPORT],
        env={
            **function.environment,
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "none",
            "AWS_SECRET_ACCESS_KEY": "none",
            "AWS_LAMBDA_FUNCTION_NAME": name,
            "HANDLER": function.handler,
            "IMPORT_FROM": json.dumps(path),
            "PATH": os.defpath,
        },
        capture_output=True,
        text=True,
        check=False,
    )

    assert imported.returncode == 0, imported.stderr


def test_our_own_package_comes_before_the_third_party_ones(local_assembly: Assembly) -> None:
    common, dependencies = local_assembly.functions["ingest_usage"].layers

    assert [path.name for path in common.iterdir()] == ["python"]
    assert [path.name for path in (common / "python").iterdir()] == ["meterbridge"]
    assert (dependencies / "python" / "boto3").is_dir()


def test_the_layers_fit_into_lambda(production_assembly: Assembly) -> None:
    for function in production_assembly.functions.values():
        files = [path for layer in function.layers for path in layer.rglob("*")]

        assert sum(path.stat().st_size for path in files) < 250 * 1024 * 1024


def test_only_the_archive_has_duckdb(production_assembly: Assembly) -> None:
    assert [
        name
        for name, function in production_assembly.functions.items()
        if any((layer / "python" / "duckdb").is_dir() for layer in function.layers)
    ] == ["archive_usage"]
    assert len(production_assembly.functions["archive_usage"].layers) == 3


def test_only_the_management_api_has_a_library_for_pdfs(production_assembly: Assembly) -> None:
    assert [
        name
        for name, function in production_assembly.functions.items()
        if any((layer / "python" / "reportlab").is_dir() for layer in function.layers)
    ] == ["manage"]
    assert len(production_assembly.functions["manage"].layers) == 3


def test_the_layer_for_aws_has_wheels_for_its_interpreter_and_no_other(
    production_assembly: Assembly,
) -> None:
    layers = production_assembly.functions["archive_usage"].layers
    binaries = [path for layer in layers for path in layer.rglob("*.so")]
    modules = [path for path in binaries if path.parent.suffix != ".libs"]
    abi = {path.name.split(".", 1)[1] for path in modules}
    machines = {path.read_bytes()[18:20] for path in binaries}

    # The stable ABI runs on every CPython 3, so its file name tells no machine. Libraries that a
    # wheel brings along (numpy.libs) are for no interpreter, but they are for a machine.
    assert abi == {"cpython-313-aarch64-linux-gnu.so", "abi3.so"}
    assert machines == {AARCH64}


def test_both_layers_hold_the_same_packages(
    local_assembly: Assembly, production_assembly: Assembly
) -> None:
    def packages(assembly: Assembly) -> list[str]:
        return sorted(path.name for path in assembly.dependencies.glob("python/*.dist-info"))

    assert packages(local_assembly) == packages(production_assembly)
    assert local_assembly.dependencies.name != production_assembly.dependencies.name


def test_editing_one_function_uploads_no_other(
    build_stack: Callable[..., MeterbridgeStack],
    marketplaces: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folders = tmp_path / "functions"
    shutil.copytree(service_function.FUNCTIONS, folders)
    monkeypatch.setattr(service_function, "FUNCTIONS", folders)
    before = _synthesised(build_stack(marketplaces, outdir=tmp_path / "before"))
    with (folders / "manage" / "handler.py").open("a") as handler:
        handler.write("\n# edited\n")
    after = _synthesised(build_stack(marketplaces, outdir=tmp_path / "after"))

    assert [
        name
        for name in FUNCTIONS
        if before.functions[name].code.name != after.functions[name].code.name
    ] == ["manage"]
    assert before.functions["manage"].layers[0].name == after.functions["manage"].layers[0].name


def test_a_function_without_a_handler_is_not_deployed_empty() -> None:
    with pytest.raises(FileNotFoundError):
        service_function.handler_code("nothing")


def test_a_wheel_that_cannot_be_had_stops_the_build(tmp_path: Path) -> None:
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("boto3==0.0.0\n")

    with pytest.raises(WheelBundlingError, match=r"boto3==0\.0\.0"):
        WheelBundling(requirements, ()).try_bundle(str(tmp_path / "out"))


def test_a_requirement_without_a_version_is_refused(tmp_path: Path) -> None:
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("# fine\nboto3==1.2.3  # fine\nmsgspec>=0.1\nsix\n")

    with pytest.raises(UnpinnedRequirementError) as failure:
        refuse_unpinned(requirements)

    assert str(failure.value) == "requirements.txt: msgspec>=0.1, six"
