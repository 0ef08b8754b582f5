# Two commands matter: `make run` and `make test`. Everything is installed into .venv from hashes.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check
# Says what is being installed, and how long it took.
timed = printf 'installing %s … ' "$(1)"; began=$$(date +%s); $(2) && echo "$$(( $$(date +%s) - began )) s"
# A test that failed is tried once more, with nothing beside it: what is wrong fails again, a machine that was too busy
# does not. Both are printed. Any other end than by failed tests (1) is one.
tried = $(BIN)/python -m pytest --cache-clear $(1) || { [ $$? -eq 1 ] || exit 1; echo 'what failed is tried once more, with nothing beside it:'; \
	$(BIN)/python -m pytest -v --last-failed --last-failed-no-failures none; }
TOOLS := .venv/tools/bin
UV_COMPILE = $(TOOLS)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-annotate \
	--no-header --quiet

# An environment works only where it was made: of a checkout that was moved or copied it is made anew.
ifneq ($(shell cat .venv/.created 2>/dev/null),$(CURDIR))
CLEAR := $(if $(wildcard .venv/.created),--clear)
$(shell rm -f .venv/.base .venv/.dev .venv/tools/.made)
.PHONY: .venv/.created
endif

.PHONY: help run test install lint check bench contract soak image-test lowest stack lock generated docs pictures corpus system roots audit sbom

help: ## what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: install ## the main job against the embedded twin: 20 users, 60 s, a report
	$(BIN)/avaload run

test: .venv/.dev system ## the whole test suite: three files at a time, for most of them wait; two that are judged; one that measures
	$(call tried,-n 3 --dist loadfile -m "not quiet and not alone")
	$(call tried,-n 2 --dist loadfile -m quiet)
	$(call tried,-m alone)

install: .venv/.base ## create .venv and install what a run needs, nothing else

lint: .venv/.dev ## formatting, lint, types, import contracts, documents, generated files up to date
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m exporters.metrics.metrics_page | diff -u METRICS.md -
	$(BIN)/python -m docs.generator --check
	$(BIN)/python -m pytest -q tests/test_documents.py
	$(BIN)/python -m pytest -q tests/dashboards -k as_generated

check: lint test ## lint and test

bench: .venv/.dev ## speed and accuracy against their bars, into docs/benchmarks.md; 25 minutes, nothing else running
	$(BIN)/python -m tests.benchmarks

contract: .venv/.dev system ## what others wrote, each in its newest version, into docs/compatibility.md; 15 minutes
	$(BIN)/python -m tests.contract.newest

soak: .venv/.dev ## the long ones: half an hour at 200 sessions, a million sessions at the twin, small quotas with 20 seeds each, one quota told in three ways, hostile answers by the million
	$(BIN)/python -m tests.benchmarks.soak
	$(BIN)/python -m tests.benchmarks.twin_soak
	$(BIN)/python -m tests.benchmarks.small_quotas
	AVALOAD_SOAK=1 $(BIN)/python -m pytest -q tests/e2e/test_capacity.py -k however_it_is_told
	AVALOAD_FUZZ=20 $(BIN)/python -m pytest -q tests/hostile/test_fuzz.py
	for seed in 1 2 3 4 5; do AVALOAD_PLANTED_SEED=$$seed $(BIN)/python -m pytest -q tests/e2e/test_every_output.py || exit 1; done

roots: ## make test in fresh Debian roots, as root with mmdebstrap; an hour
	bash tests/roots.sh

# As root with mmdebstrap; EXTRAS="parquet webrtc" are those of the build.
image-test: .venv/.dev ## the Dockerfile's steps in a fresh root of Debian, and runs in what comes of them; minutes
	EXTRAS="$(EXTRAS)" $(BIN)/python -m pytest -q -s tests/image/built.py

lowest: .venv/tools/.made ## the fast half of the tests with the lowest versions that pyproject.toml allows; minutes
	$(TOOLS)/uv pip compile --quiet --resolution lowest-direct --no-annotate --extra build --extra dev --extra webrtc --extra daily --extra parquet \
		--output-file .venv/lowest.txt pyproject.toml
	$(TOOLS)/uv venv --quiet --clear .venv/lowest && $(TOOLS)/uv pip install --quiet --python .venv/lowest -r .venv/lowest.txt
	$(TOOLS)/uv pip install --quiet --python .venv/lowest --no-deps --no-build-isolation -e .
	.venv/lowest/bin/python -m pytest -q -n 2 --dist loadfile -m "not quiet and not alone" --ignore=tests/e2e \
		--deselect "tests/test_documents.py::test_generated_pages_are_as_generated[docs/licences.md]"

stack: install ## this machine's Prometheus and Alertmanager beside a run, on loopback, until Ctrl-C
	$(BIN)/python -m dashboards.stack

generated: .venv/.dev ## write generated files anew
	$(BIN)/python -m exporters.metrics.metrics_page > METRICS.md
	$(BIN)/python -m docs.generator
	$(BIN)/python -m loadtest.twin.command_line.page --write TWIN.md
	$(BIN)/python -m dashboards.generate

docs: .venv/.dev ## the documents as a site, in site/; a link that leads nowhere is an error
	$(BIN)/python -m docs.generator.website site

pictures: .venv/.dev system ## the pictures of the documents anew, of a real run against the twin; two minutes
	$(BIN)/python -m tests.pictures

corpus: .venv/.dev system ## the clips that are shipped anew, of tests/corpus/corpus.toml
	$(BIN)/python -m tests.corpus

lock: .venv/tools/.made ## resolve the dependencies anew
	$(UV_COMPILE) --extra build --output-file requirements.lock pyproject.toml
	$(UV_COMPILE) --extra build --extra dev --extra webrtc --extra daily --extra parquet --output-file requirements-dev.lock pyproject.toml
	for extra in webrtc daily parquet; do $(UV_COMPILE) --extra $$extra --constraints requirements-dev.lock \
		$$(sed -nE 's/^([a-z0-9.-]+)==.*/--no-emit-package \1/p' requirements.lock | sort -u) \
		--output-file requirements-$$extra.lock pyproject.toml; done
	$(UV_COMPILE) --output-file requirements-tools.lock requirements-tools.in

# Asks a service of known faults about each locked package: of OSV's form at OSV_URL (a mirror, say), else the package index.
audit: .venv/tools/.made ## is a package that a run installs, or an extra of it, known to be faulty? needs the network, or a mirror at OSV_URL
	@$(TOOLS)/pip-audit --require-hashes --disable-pip --strict $(if $(OSV_URL),--vulnerability-service osv --osv-url $(OSV_URL)) \
		$(foreach lock,$(filter-out %-dev.lock %-tools.lock,$(wildcard requirements*.lock)),-r $(lock)) || \
		{ echo "make audit: a line above that begins with ERROR means that nobody could be asked, which is no finding:" \
		"the public index itself is needed, not a mirror of its packages, or a mirror of OSV: make audit OSV_URL=https://HOST/v1" >&2; exit 1; }

sbom: .venv/tools/.made ## dist/avaload.cdx.json: what a run installs, as CycloneDX
	mkdir -p dist
	$(TOOLS)/cyclonedx-py requirements requirements.lock --pyproject pyproject.toml --output-reproducible \
		--of JSON -o dist/avaload.cdx.json

.venv/.created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "avaload needs Python 3.11 or newer")'
	@$(call timed,a virtual environment in .venv,$(PYTHON) -m venv $(CLEAR) .venv)
	@printf '%s\n' '$(CURDIR)' > $@

.venv/.base: requirements.lock pyproject.toml | .venv/.created
	@$(call timed,what a run needs ($(words $(shell grep -oE '^[a-z0-9-]+==' requirements.lock)) packages),$(PIP) --require-hashes -r requirements.lock)
	@$(call timed,avaload itself,$(PIP) --no-deps --no-build-isolation -e .)
	@touch $@

.venv/.dev: requirements-dev.lock .venv/.base
	@$(call timed,what tests and checks need,$(PIP) --require-hashes -r requirements-dev.lock)
	@touch $@

.venv/tools/.made: requirements-tools.lock | .venv/.created
	@$(PYTHON) -m venv .venv/tools
	@$(call timed,what locks and audits,$(TOOLS)/python -m pip install -qq --disable-pip-version-check --require-hashes -r $<)
	@touch $@

# The programs of tests/programs.txt that are missing, each by itself.
system:
	@sh tests/install_programs.sh
