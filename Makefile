# clusterdns: what people type. Everything is installed into .venv, nothing outside of it.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: run test lint types unit compare test-apiserver soak bench clean

run: .venv/installed
	@$(BIN)/clusterdns -conf examples/Corefile --manifests examples --next-free-port

test: lint types unit

lint: .venv/installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: .venv/installed
	$(BIN)/mypy

unit: .venv/installed
	$(BIN)/pytest -q --ignore=tests/oracle --ignore=tests/realapi

# Asks CoreDNS the same questions; needs its binary, as $$COREDNS or on PATH.
compare: .venv/installed
	$(BIN)/pytest -q -rs tests/oracle

# Follows a real kube-apiserver; docs/testing.md tells where to get one.
test-apiserver: .venv/installed
	$(BIN)/pytest -q tests/realapi

# Random changes and faults for so many minutes; SEED=n repeats a run.
MINUTES ?= 5
soak: .venv/installed
	$(BIN)/python -m tests.soak --minutes $(MINUTES) $(if $(SEED),--seed $(SEED))

# The quick figures; bench/README.md tells of the others.
bench: .venv/installed
	$(BIN)/python -m bench.load
	$(BIN)/python -m bench.cold --in-process
	$(BIN)/python -m bench.hot

# One venv for running and testing; made again when the dependencies change.
.venv/installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "clusterdns needs Python 3.11 or newer; give it as PYTHON=...")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install -q --disable-pip-version-check --upgrade 'pip>=25.1'
	$(BIN)/pip install -q --only-binary :all: --group dev "setuptools>=77" wheel
	@PYTHONWARNINGS=ignore $(BIN)/pip install -q --no-build-isolation --editable .
	@touch $@

clean:
	rm -rf .venv build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
