# Every target sets up what it needs; `make setup` alone does nothing the second time.
PYTHON ?= python3
BIN := .venv/bin
CDK := node_modules/.bin/cdk
PINS := $(BIN)/uv pip compile --quiet --no-header --no-emit-index-url --python-version 3.11 --universal
# Settings for deploy and synth: make deploy CONTEXT="-c alarm_email=me@example.com"
CONTEXT ?=

export PIP_CACHE_DIR := $(CURDIR)/.local/pip-cache
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export NPM_CONFIG_CACHE := $(CURDIR)/.local/npm-cache
export CDK_HOME := $(CURDIR)/.local/cdk-home
export CDK_DISABLE_CLI_TELEMETRY := true
export JSII_RUNTIME_PACKAGE_CACHE_ROOT := $(CURDIR)/.local/jsii-cache
export JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION := 20
export JSII_SILENCE_WARNING_UNTESTED_NODE_VERSION := 1

.DEFAULT_GOAL := help
.PHONY: help setup demo up down test lint format faults bench synth deploy pins

help:
	@echo "make demo    run the whole system on this machine, on real usage, and prove the result"
	@echo "make test    check everything"
	@echo "make up      start the system on this machine and leave it running; make down ends it"
	@echo "make faults  run random schedules of usage, kills and outages against an oracle"
	@echo "make bench   measure, into benchmarks/results.json"
	@echo "make deploy  deploy to AWS; settings: CONTEXT=\"-c name=value\""

setup: .local/python.stamp
	@$(BIN)/python -m sandbox.local_cloud setup

.local/python.stamp: requirements.txt layers/dependencies/requirements.txt layers/parquet/requirements.txt layers/documents/requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed")'
	@echo "installing the Python packages into .venv …"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --requirement requirements.txt
	@mkdir -p .local && touch $@

demo: setup
	@$(BIN)/python -m sandbox.demo

up: setup
	@$(BIN)/python -m sandbox.local_cloud up

down:
	@test ! -x $(BIN)/python || $(BIN)/python -m sandbox.local_cloud down

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy layers/common/python/meterbridge infra app.py sandbox/local_cloud

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The end-to-end tests share one deployed stack, so they run in one process, after the others.
test: lint
	$(BIN)/pytest tests --ignore tests/e2e --numprocesses 2 --dist loadfile
	$(BIN)/pytest tests/e2e

# Random schedules with faults; repeat a run by its seed: make faults SCHEDULES=2000 SEED=7. Play one
# schedule again: make faults REPLAY=file. Plant a fault to see it found: make faults PLANT=no-mark
faults: setup
	@PYTHONPATH=tests:.:functions:layers/common/python $(BIN)/python -m campaign \
	    --schedules $(or $(SCHEDULES),2000) $(if $(SEED),--seed $(SEED)) \
	    $(if $(PLANT),--plant $(PLANT)) $(if $(REPLAY),--replay '$(REPLAY)')

bench: setup
	@$(BIN)/python -m benchmarks

synth: setup
	$(CDK) synth --quiet --no-notices $(CONTEXT)

deploy: setup
	$(CDK) deploy --no-notices $(CONTEXT)

# Write the exact versions again, after a change in a requirements.in.
pins: setup
	$(BIN)/python -m pip install --quiet uv==0.13.9
	$(PINS) layers/dependencies/requirements.in --output-file layers/dependencies/requirements.txt
	$(PINS) layers/parquet/requirements.in --output-file layers/parquet/requirements.txt
	$(PINS) layers/documents/requirements.in --output-file layers/documents/requirements.txt
	$(PINS) requirements.in --output-file requirements.txt
