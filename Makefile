.DEFAULT_GOAL := help
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
OPENLIT := .venvs/openlit
PHOENIX := .venvs/phoenix
CLIENTS := $(patsubst tests/clients/requirements/%.txt,.venvs/clients/%/.installed,$(wildcard tests/clients/requirements/*.txt))
NODE_CLIENTS := $(patsubst tests/clients/requirements/%/package.json,.venvs/clients/%/.npm,$(wildcard tests/clients/requirements/*/package.json))
# The clients that install quickly are part of `make test`.
QUICK_CLIENTS := .venvs/clients/langfuse_2/.installed .venvs/clients/langfuse_5/.installed
PIP_FLAGS := --quiet --disable-pip-version-check
PYTHON_FILES := src tests bench examples proto_fixtures setup.py
CONFIG ?= config.example.yaml

help: ## Show the verbs
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  make %-18s %s\n", $$1, $$2}'

run: $(BIN)/.installed ## Start the collector on config.example.yaml (another one: make run CONFIG=my.yaml)
	$(BIN)/genai-collector run --config $(CONFIG)

example: $(OPENLIT)/.installed ## Run the example app (OpenLIT + OpenAI client) against the running collector
	OTEL_EXPORTER_OTLP_ENDPOINT=$${OTEL_EXPORTER_OTLP_ENDPOINT:-http://localhost:4318} $(OPENLIT)/bin/python examples/openlit/app.py

test: $(BIN)/.dev $(OPENLIT)/.installed $(QUICK_CLIENTS) ## Run the tests
	CLIENTS_REQUIRED=1 $(BIN)/python -m pytest -q

lint: $(BIN)/.dev ## Check format, style and types
	$(BIN)/ruff format --check $(PYTHON_FILES)
	$(BIN)/ruff check $(PYTHON_FILES)
	$(BIN)/mypy

check: lint test ## All that must be clean before every push: lint and test

fmt: $(BIN)/.dev ## Format and repair what can be repaired
	$(BIN)/ruff format $(PYTHON_FILES)
	$(BIN)/ruff check --fix $(PYTHON_FILES)

cover: $(BIN)/.dev $(OPENLIT)/.installed ## Run the tests and show what they do not reach
	$(BIN)/python -m pytest -q --cov --cov-report=term-missing:skip-covered

fuzz: $(BIN)/.dev ## Throw mutated requests at every route for FUZZ_SECONDS (default 60), and as long at the decoders of OTLP
	$(BIN)/python -m tests.fuzz.fuzz_routes
	$(BIN)/python -m tests.fuzz.fuzz_otlp

attacks: $(BIN)/.dev ## Attack a running collector in every way of docs/security.md and print the table
	$(BIN)/python -m tests.attacks

crash: $(BIN)/.dev ## Kill the collector, its destinations and its disk, and look for losses (CRASH_KILLS, default 60; CRASH_SEED)
	$(BIN)/python -m tests.crash $(if $(CRASH_KILLS),--kills $(CRASH_KILLS)) $(if $(CRASH_SEED),--seed $(CRASH_SEED))

soak: $(BIN)/.dev ## Send at the highest rate for SOAK_SECONDS (default 600) and watch memory, tasks and losses
	$(BIN)/python -m bench.soak

bench: $(BIN)/.dev ## Measure CPU per span, as ratios inside one run
	$(BIN)/python -m bench

compile: $(BIN)/.dev ## Compile the busiest modules with mypyc (needs a C compiler; undo: make interpreted)
	@command -v $${CC:-cc} >/dev/null || { echo "make compile needs a C compiler (gcc or clang, or set CC); the collector runs without, only slower" >&2; exit 1; }
	@$(BIN)/python -c 'import setuptools' 2>/dev/null || $(BIN)/pip install $(PIP_FLAGS) 'setuptools>=65'
	GENAI_COLLECTOR_COMPILE=1 $(BIN)/python setup.py --quiet build_ext --inplace
	@$(BIN)/python -c 'import genai_collector.formats.langfuse.events as m; print("compiled:", m.__file__)'

interpreted: ## Remove the compiled modules again
	find src -name '*.so' -delete -o -name '*.pyd' -delete
	rm -rf build

test-backends: $(BIN)/.dev $(PHOENIX)/.installed ## Send through the collector into a real backend (Arize Phoenix)
	PHOENIX_BIN=$(abspath $(PHOENIX)/bin/phoenix) $(BIN)/python -m pytest -q -m backend tests/backends

test-clients: $(BIN)/.dev $(CLIENTS) ## Run real Python clients (Langfuse, LiteLLM, ...) against the collector
	CLIENTS_REQUIRED=1 $(BIN)/python -m pytest -q -m "not node_client" tests/clients

test-clients-node: $(BIN)/.dev $(NODE_CLIENTS) ## The same for Node (Langfuse's JavaScript SDKs)
	CLIENTS_REQUIRED=1 $(BIN)/python -m pytest -q -m node_client tests/clients

clean: interpreted ## Remove the environments and what tools left behind
	rm -rf .venv .venvs build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis src/*.egg-info

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv $(VENV)

$(BIN)/.installed: $(BIN)/python pyproject.toml constraints.txt
	$(BIN)/pip install $(PIP_FLAGS) -c constraints.txt -e .
	@touch $@

$(BIN)/.dev: $(BIN)/.installed
	$(BIN)/pip install $(PIP_FLAGS) -c constraints.txt -e '.[dev]'
	@touch $@

$(OPENLIT)/.installed: examples/openlit/requirements.txt
$(PHOENIX)/.installed: tests/backends/phoenix.txt
$(CLIENTS): .venvs/clients/%/.installed: tests/clients/requirements/%.txt
.venvs/%/.installed:
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/pip install $(PIP_FLAGS) -r $<
	@touch $@

$(NODE_CLIENTS): .venvs/clients/%/.npm: tests/clients/requirements/%/package.json
	mkdir -p $(@D)
	cp $< $(@D)
	cd $(@D) && npm install --silent --ignore-scripts --no-audit --no-fund --no-package-lock --legacy-peer-deps
	@touch $@

.PHONY: help run example test lint check fmt cover fuzz attacks crash soak bench compile interpreted test-backends test-clients test-clients-node clean
