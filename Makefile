# Two commands do all the set-up on a fresh machine with Python 3.11-3.13 and make: `make sweep` and `make test`.
PYTHON ?= python3
# cpu or gpu: which TensorFlow build is installed.
DEVICE ?= cpu
VENV := .venv
BIN := $(VENV)/bin
RUNTIME := $(VENV)/.installed-$(DEVICE)
DEVTOOLS := $(VENV)/.installed-$(DEVICE)-dev
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --require-hashes
PORT ?= 5000

.PHONY: help sweep test test-slow faults cluster-test lint ui bench stack lock
help:
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

sweep: $(RUNTIME)  ## run a sweep: make sweep ARGS="method=unit seeds=[0,1]"
	$(BIN)/python sweeps/run.py $(or $(ARGS),method=importance)

test: $(DEVTOOLS)  ## run the test suite (leaves out the group `slow`: make test-slow)
	$(BIN)/python -m $(if $(ARGS),pytest,tests.helpers.side_by_side) -m "not slow" $(ARGS)
	@echo "left out: the tests marked slow (full datasets, long sweeps); run them with: make test-slow"

test-slow: $(DEVTOOLS)  ## run the tests that need full datasets or many minutes
	$(BIN)/python -m pytest -m slow $(ARGS)

faults: $(DEVTOOLS)  ## the long set of faults, about half an hour (FAULTS_KILLS=50 FAULTS_SEED=... in the environment)
	$(BIN)/python -m pytest -s -m slow tests/faults $(ARGS)

cluster-test: $(DEVTOOLS)  ## sweeps on several hosts (Linux namespaces, as root), through the loss of each: half an hour and more
	$(BIN)/python -m pytest -s tests/cluster $(ARGS)

lint: $(DEVTOOLS)  ## ruff, mypy, the import contract, licences and known vulnerabilities
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pip-licenses >/dev/null
	$(BIN)/python requirements/audit.py

ui: $(RUNTIME)  ## open the MLflow UI on loopback: make ui PORT=5000
	$(BIN)/python -m sweeps.ui --port $(PORT)

bench: $(DEVTOOLS)  ## measure the service against a plain loop and a straightforward script
	$(BIN)/python -m tests.benchmarks $(ARGS)

stack: $(DEVTOOLS)  ## the stack of docker/compose.yaml without containers: make stack ARGS="method=importance"
	$(BIN)/python docker/stack $(ARGS)

# Sources in the lock (antlr4-python3-runtime) are built with the locked setuptools, not with one fetched unhashed.
$(RUNTIME): requirements/build.txt requirements/$(DEVICE).txt
	@$(PYTHON) -c 'import sys; sys.exit(None if (3, 11) <= sys.version_info < (3, 14) else "Python 3.11, 3.12 or 3.13 is needed, $(PYTHON) is " + sys.version.split()[0] + ": name another one with make PYTHON=python3.12")'
	@echo "setting up $(VENV) from requirements/$(DEVICE).txt (once, a few minutes)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(PIP) -r requirements/build.txt
	@$(PIP) --no-build-isolation -r requirements/$(DEVICE).txt
	@$(BIN)/python -m pip --disable-pip-version-check install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(DEVTOOLS): $(RUNTIME) requirements/dev.txt
	@$(PIP) -r requirements/dev.txt
	@touch $@

# Needs uv (https://docs.astral.sh/uv). The lock files hold for every Python and platform that pyproject.toml allows; all
# are resolved together first, so that they can be installed side by side.
UV_COMPILE := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate
TOGETHER := requirements/.together.txt
lock:  ## resolve the dependencies again into requirements/
	$(UV_COMPILE) --extra cpu --group dev pyproject.toml -o $(TOGETHER)
	$(UV_COMPILE) --extra cpu pyproject.toml -c $(TOGETHER) -o requirements/cpu.txt
	$(UV_COMPILE) --extra gpu pyproject.toml -c $(TOGETHER) -o requirements/gpu.txt
	$(UV_COMPILE) --group dev -c $(TOGETHER) -o requirements/dev.txt
	$(UV_COMPILE) --group server -c $(TOGETHER) -o requirements/server.txt
	printf 'setuptools\nwheel\n' | $(UV_COMPILE) - -c $(TOGETHER) -o requirements/build.txt
	rm $(TOGETHER)
