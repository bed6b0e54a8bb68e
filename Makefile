# Everything lives in .venv in this checkout; nothing else is installed anywhere. `make help` lists the targets.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

BIN := .venv/bin
ARGS ?=
# One more than there are cores: most of what takes time here waits for servers.
WORKERS ?= $(shell expr $$(nproc) + 1)
SEEDS := tests/simulation/test_seeds.py
PYTEST := $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1

.PHONY: help up test seeds test-long bench bench-peers lint types imports unit lock lock-peers clean install

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | awk -F'\t' '{printf "  make %-10s %s\n", $$1, $$2}'

install: ## make .venv from requirements.lock (plain python3 >= 3.11, pip, every hash checked)
	@.ci/install

up: install ## start real servers, a sidecar and three bots, and show what they read: make up ARGS="--seconds 20"
	@exec $(BIN)/trimtab up $(ARGS)

lint: install ## ruff: rules and format
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: install ## mypy and pyright, both strict
	@$(BIN)/mypy
	@$(BIN)/pyright

imports: install ## the floors: who may import whom
	@$(BIN)/lint-imports --no-cache

unit: install ## the tests that need no server
	@$(PYTEST) tests/unit $(ARGS)

test: lint imports ## all checks and tests, with branch coverage: about twelve minutes on two cores
	@$(MAKE) -j2 --output-sync=target types seeds
	@mkdir -p .cache
	@$(PYTEST) --cov --cov-report=term:skip-covered --ignore=$(SEEDS) $(if $(ARGS),$(ARGS),--cov-fail-under=92)

seeds: install ## thousands of simulated runs; without coverage, which would make them five times slower
	@$(PYTEST) $(SEEDS)

test-long: install ## what takes long: more seeds and storms, disasters with each server, many more examples of properties
	@$(PYTEST) -m long --timeout 3600 $(ARGS)
	@TRIMTAB_HYPOTHESIS=long $(PYTEST) -m "hypothesis and not long" --timeout 3600 $(ARGS) tests/unit

bench: install ## measure, the alternatives beside us in the same run
	@exec $(BIN)/python -m benchmarks $(ARGS)

bench-peers: ## measure us beside what people use instead; their packages go into .cache/peers only
	@.ci/install-peers
	@exec .cache/peers/bin/python -m benchmarks.peers $(ARGS)

lock: install ## write requirements.lock anew (takes uv from PyPI into .cache, for this only)
	@test -x .cache/uv/bin/uv || { $(BIN)/python -m venv .cache/uv; .cache/uv/bin/python -m pip install --quiet uv; }
	@.cache/uv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-emit-find-links --no-annotate --all-extras --no-header \
		--output-file requirements.lock pyproject.toml $(ARGS)

lock-peers: install ## the same for the peers: requirements-peers.lock, what we need ourselves as requirements.lock has it
	@test -x .cache/uv/bin/uv || { $(BIN)/python -m venv .cache/uv; .cache/uv/bin/python -m pip install --quiet uv; }
	@.cache/uv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-emit-find-links --no-annotate --no-header --constraints requirements.lock \
		--extra store --extra sidecar --extra servers --group peers \
		--output-file requirements-peers.lock pyproject.toml $(ARGS)

clean: ## remove what the tools made; .venv and data directories stay
	@rm -rf .cache build dist .coverage* .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	@find . -name __pycache__ -type d -not -path './.venv/*' -prune -exec rm -rf {} +
