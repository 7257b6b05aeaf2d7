"""Reads the context, builds the stack, writes the template. Needs no network and no credentials."""

from __future__ import annotations

import aws_cdk as cdk

from infra.config import DeploymentConfig
from infra.stack import MeterbridgeStack

SETTINGS = tuple(DeploymentConfig.__dataclass_fields__)


def main() -> None:
    app = cdk.App()
    context = {name: app.node.try_get_context(name) for name in SETTINGS}
    MeterbridgeStack(app, "Meterbridge", config=DeploymentConfig.from_context(context))
    app.synth()


if __name__ == "__main__":
    main()
