from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]


def test_the_app_synthesises_without_credentials_docker_or_network(tmp_path: Path) -> None:
    context = {"aws:cdk:bundling-stacks": [], "stage": "production"}
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "CDK_OUTDIR": str(tmp_path / "out"),
        "CDK_CONTEXT_JSON": json.dumps(context),
        "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": "20",
        "DOCKER_HOST": "unix:///nowhere",
        "HTTP_PROXY": "http://127.0.0.1:9",
        "HTTPS_PROXY": "http://127.0.0.1:9",
    }
    subprocess.run([sys.executable, PROJECT / "app.py"], env=environment, cwd=PROJECT, check=True)

    assert (tmp_path / "out" / "Meterbridge.template.json").is_file()


def test_a_wrong_setting_stops_the_app_with_its_name(tmp_path: Path) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "CDK_CONTEXT_JSON": json.dumps({"stage": "staging"}),
    }
    app = subprocess.run(
        [sys.executable, PROJECT / "app.py"],
        env=environment,
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert app.returncode == 1
    assert "ConfigError: stage must be production or local, not 'staging'" in app.stderr
