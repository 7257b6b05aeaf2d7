"""The sandbox as a product of its own: installed from a checkout, away from this project."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from sandbox import marketplaces

PACKAGE = Path(marketplaces.__file__ or "").parent
FIRST_CALLS = Path(__file__).with_name("first_calls.py")


@pytest.fixture(scope="module")
def environment() -> Mapping[str, str]:
    """Ours, without what would let the installed package see this project."""
    return {name: text for name, text in os.environ.items() if not name.startswith("PYTHON")}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory, environment: Mapping[str, str]) -> Path:
    """The folder of programs of a fresh environment that holds the sandbox and nothing else."""
    venv = tmp_path_factory.mktemp("seller") / "venv"
    for command in (
        [sys.executable, "-m", "venv", "--without-pip", venv],
        [sys.executable, "-m", "pip", "--python", venv, "install", "--quiet", PACKAGE],
    ):
        subprocess.run(command, cwd=venv.parent, env=dict(environment), check=True)
    return venv / "bin"


def test_it_brings_nothing_else_along(installed: Path, environment: Mapping[str, str]) -> None:
    listing = [sys.executable, "-m", "pip", "--python", installed.parent, "list", "--format=json"]
    found = subprocess.run(
        listing, cwd=installed, env=dict(environment), check=True, capture_output=True
    )
    assert [each["name"] for each in json.loads(found.stdout)] == [
        "meterbridge-marketplace-sandbox"
    ]


def test_a_first_call_to_each_cloud_is_billed(
    installed: Path, environment: Mapping[str, str], tmp_path: Path
) -> None:
    with subprocess.Popen(
        [installed / "marketplace-sandbox", "--state", tmp_path / "state.jsonl"],
        cwd=tmp_path,
        env=dict(environment),
        stdout=subprocess.PIPE,
        text=True,
    ) as sandbox:
        try:
            assert sandbox.stdout is not None
            url = sandbox.stdout.readline().split()[-1]
            called = subprocess.run(
                [installed / "python", "-P", FIRST_CALLS, url],
                cwd=tmp_path,
                env=dict(environment),
                capture_output=True,
                text=True,
                check=False,
            )
        finally:
            sandbox.terminate()
    assert called.returncode == 0, called.stderr
    assert json.loads(called.stdout) == {"aws": "1.5", "azure": "2.5", "gcp": "3"}
    assert sandbox.returncode == 0
