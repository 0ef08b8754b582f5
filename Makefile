# Two commands matter: `make run` and `make test`. Everything is installed into .venv from hashes.
PYTHON ?= python3
BIN := .venv/bin
UV_COMPILE = $(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-annotate \
	--no-header --quiet --extra build

.PHONY: help run test test-runs test-parts install lint check bench soak stack lock generated system

help: ## what can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: install ## the main job against the embedded twin: 20 users, 60 s, a report
	$(BIN)/avaload run

test: .venv/.dev system ## the whole test suite: two halves side by side, then what needs the machine for itself
	$(MAKE) --no-print-directory --jobs=2 --output-sync=target test-runs test-parts
	$(BIN)/python -m pytest -m quiet

test-runs:
	$(BIN)/python -m pytest -m "not quiet" tests/e2e

test-parts:
	$(BIN)/python -m pytest -m "not quiet" --ignore=tests/e2e

install: .venv/.base ## create .venv and install what a run needs, nothing else

lint: .venv/.dev ## formatting, lint, types, import contracts, generated files up to date
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m exporters.metrics_page | diff -u METRICS.md -
	$(BIN)/python -m pytest -q tests/dashboards -k as_generated

check: lint test ## lint and test

bench: .venv/.dev ## speed and accuracy against their bars, into docs/benchmarks.md; 25 minutes, nothing else running
	$(BIN)/python -m tests.benchmarks

soak: .venv/.dev ## the long ones: half an hour at 200 sessions, and a million sessions at the twin
	$(BIN)/python -m tests.benchmarks.soak
	$(BIN)/python -m tests.benchmarks.twin_soak

stack: install ## this machine's Prometheus and Alertmanager beside a run, on loopback, until Ctrl-C
	$(BIN)/python -m dashboards.stack

generated: .venv/.dev ## write generated files anew
	$(BIN)/python -m exporters.metrics_page > METRICS.md
	$(BIN)/python -m dashboards.boards
	$(BIN)/python -m dashboards.rules

lock: .venv/.dev ## resolve the dependencies anew
	$(BIN)/python -m pip install --quiet uv
	$(UV_COMPILE) --output-file requirements.lock
	$(UV_COMPILE) --extra dev --extra webrtc --extra daily --output-file requirements-dev.lock

.venv/.created:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "avaload needs Python 3.11 or newer")'
	$(PYTHON) -m venv .venv
	@touch $@

.venv/.base: requirements.lock pyproject.toml | .venv/.created
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

.venv/.dev: requirements-dev.lock .venv/.base
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@

# Debian's servers and browser for the tests that use the real ones; without root those tests are skipped, by name.
# RUNLEVEL=1 keeps the packages from starting services.
system:
	@if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && \
	    ! { command -v promtool && command -v prometheus-alertmanager && command -v chromium && command -v npm; } \
	    >/dev/null; then \
	  apt-get update -qq && RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
	    --no-install-recommends prometheus prometheus-alertmanager chromium nodejs npm >/dev/null; \
	fi || echo "could not install prometheus, alertmanager, chromium and node: the tests that need them are skipped"
