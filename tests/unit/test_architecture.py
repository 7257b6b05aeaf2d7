"""Imports point inward: functions → adapters → application → domain."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "layers/common/python/meterbridge"
CODECS = {"msgspec", "zstandard"}
"""The only libraries that the whole domain may use: codecs, chosen by measurement."""
FOLD = {"fingerprint_set", "fingerprints", "identities", "measuring", "run_sums"}
"""Modules of the domain that may use numpy too: a fold goes through millions of events."""

FORBIDDEN_NAMES = {"utils", "helpers", "common", "constants", "manager", "misc"}


def modules(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*.py") if "__pycache__" not in path.parts)


def imported(path: Path) -> set[str]:
    """Full dotted names that a module imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names.add(node.module or "")
    return names


def layer_of(name: str) -> str:
    parts = name.split(".")
    return parts[1] if parts[0] == "meterbridge" and len(parts) > 1 else ""


def label(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", modules(PACKAGE / "domain"), ids=label)
def test_the_domain_imports_only_itself_the_standard_library_and_codecs(path: Path) -> None:
    for name in imported(path):
        root = name.split(".")[0]
        allowed = CODECS | ({"numpy"} if path.stem in FOLD else set())
        assert layer_of(name) == "domain" or root in sys.stdlib_module_names | allowed, name


@pytest.mark.parametrize("path", modules(PACKAGE / "domain"), ids=label)
def test_the_domain_does_no_input_or_output_and_reads_no_clock(path: Path) -> None:
    assert not imported(path) & {"os", "socket", "subprocess", "time", "random", "urllib.request"}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute):
            assert node.attr not in {"now", "utcnow", "today"} or not (
                isinstance(node.value, ast.Name) and node.value.id in {"datetime", "date"}
            ), f"{path}: reads the clock"


@pytest.mark.parametrize("path", modules(PACKAGE / "application"), ids=label)
def test_use_cases_know_the_domain_and_ports_but_no_adapter(path: Path) -> None:
    for name in imported(path):
        root = name.split(".")[0]
        allowed = layer_of(name) in {"domain", "application"}
        assert allowed or root in sys.stdlib_module_names | CODECS, name


@pytest.mark.parametrize("path", modules(PACKAGE / "adapters"), ids=label)
def test_adapters_know_nothing_of_functions_and_handlers(path: Path) -> None:
    for name in imported(path):
        assert layer_of(name) in {"", "domain", "application", "adapters"}, name
        assert name.split(".")[0] not in {p.name for p in (ROOT / "functions").iterdir()}, name


@pytest.mark.parametrize("path", modules(PACKAGE) + modules(ROOT / "functions"), ids=label)
def test_no_float_is_written_in_the_money_path(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id != "float", f"{path}:{node.lineno} calls float()"


def test_names_say_what_is_inside() -> None:
    folders = ("layers/common", "functions", "infra", "sandbox", "benchmarks", "tests")
    names = {path.stem for folder in folders for path in modules(ROOT / folder)}
    assert not names & FORBIDDEN_NAMES


@pytest.mark.parametrize(
    "path", modules(PACKAGE) + modules(ROOT / "functions") + modules(ROOT / "infra"), ids=label
)
def test_a_file_can_be_read_in_one_sitting(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 300


@pytest.mark.parametrize(("cloud", "library"), [("azure", "azure."), ("gcp", "google.")])
def test_only_a_clouds_own_function_waits_for_its_identity_library(
    cloud: str, library: str
) -> None:
    """azure-identity takes longer to import than everything else together."""
    credentials = f"meterbridge.adapters.marketplaces.{cloud}_credentials"
    paths = [*modules(PACKAGE), *modules(ROOT / "functions")]
    found = {label(path): imported(path) for path in paths}
    assert [
        path for path, names in found.items() if any(name.startswith(library) for name in names)
    ] == [label(PACKAGE / f"adapters/marketplaces/{cloud}_credentials.py")]
    publishing = ["functions/manage/azure_catalog.py"] if cloud == "azure" else []
    assert [path for path, names in found.items() if credentials in names] == [
        *publishing,
        f"functions/report_usage_{cloud}/handler.py",
    ]


def test_the_management_api_waits_for_no_identity_library_before_it_publishes() -> None:
    code = "import sys, manage.catalogs, manage.app; print('azure.identity' in sys.modules)"
    paths = [str(ROOT / "functions"), str(ROOT / "layers/common/python")]
    found = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.strip() == "False"


def reached_from(path: Path, roots: tuple[Path, ...]) -> set[str]:
    """Names that a module imports, and that the modules of the project it imports do."""
    names: set[str] = set()
    waiting = [path]
    while waiting:
        new = imported(waiting.pop()) - names
        names |= new
        places = [root / name.replace(".", "/") for root in roots for name in new]
        files = [place.with_suffix(".py") for place in places]
        files += [place / "__init__.py" for place in places]
        waiting += [file for file in files if file.exists()]
    return names


def test_only_functions_that_fold_or_list_events_wait_for_numpy_to_be_imported() -> None:
    roots = (ROOT / "layers/common/python", ROOT / "functions")
    assert {
        path.parent.name
        for path in (ROOT / "functions").glob("*/handler.py")
        if "numpy" in reached_from(path, roots)
    } == {"aggregate_usage", "close_windows", "manage"}
