"""An AWS account on this machine, with the real stack deployed into it by the real CDK CLI."""
