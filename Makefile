# The one door: every target sets up what it needs. `make help` lists them.
PYTHON ?= python3
PORT ?= 8000
DATA ?=
# Tests run in so many processes, each file in one.
JOBS ?= 2

BIN := .venv/bin
STATE := .reco
# A data set is known by its path, so that each has bundles and an event log of its own.
NAME := $(if $(DATA),$(notdir $(patsubst %/,%,$(DATA)))-$(shell printf %s '$(abspath $(DATA))' | cksum | cut -d' ' -f1),sample)
DATASET := $(if $(DATA),$(DATA),$(STATE)/sample)
HOME_DIR := $(STATE)/$(NAME)
# The sample's network is so small that a second thread costs more than it gives: 4 s against 2 s.
FIT_THREADS := $(if $(DATA),,OMP_NUM_THREADS=1)

.DEFAULT_GOAL := help
.PHONY: help install serve test check bench audit deploy-test image-test compose-test clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 20

install: .venv/installed ## Create .venv with everything in it

.venv/installed: pyproject.toml constraints.txt
	@echo "Setting up .venv …"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@# torch first and pinned: a looser wish may fetch gigabytes of CUDA libraries.
	@$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt torch numpy
	@$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[cpu,training,dev]'
	@touch $@

serve: install ## Train once (sample data, or DATA=path), then serve on 127.0.0.1:8000 (PORT=…)
	@test -n "$(DATA)" -o -d $(DATASET) || $(BIN)/python -m training synth $(DATASET)
	@test -f $(HOME_DIR)/bundles/CURRENT || $(FIT_THREADS) $(BIN)/python -m training fit $(DATASET) --out $(HOME_DIR)/bundles --run $(HOME_DIR)/run
	@exec $(BIN)/python -m service serve --bundles $(HOME_DIR)/bundles --port $(PORT) \
		--event-log sqlite:///$(HOME_DIR)/events.db --example $(HOME_DIR)/new-video.json

test: install ## Run all tests, JOBS=2 at once
	@OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses $(JOBS) --dist loadfile

check: install ## Lint, types, import contracts, dependencies, YAML, Dockerfile
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/deptry .
	@$(BIN)/yamllint --strict .
	@if test -x $(BIN)/hadolint; then $(BIN)/hadolint Dockerfile; else echo 'no hadolint for this machine: Dockerfile not checked'; fi

deploy-test: install ## Manifests, alerts and dashboards, the last two by a real Prometheus
	@OMP_NUM_THREADS=1 $(BIN)/pytest tests/deploy

image-test: install ## Build the images and run them; needs a Docker engine
	@OMP_NUM_THREADS=1 $(BIN)/pytest tests/deploy/test_images.py tests/deploy/test_running_images.py

compose-test: install ## Bring the whole of docker-compose.yml up; needs a Docker engine
	@OMP_NUM_THREADS=1 $(BIN)/pytest tests/deploy/test_compose.py tests/deploy/test_running_compose.py

# Tools of their own environment: what they need themselves is not to be audited.
audit: install ## Known vulnerabilities of what is installed; a bill of materials in .reco/sbom.json
	@test -x $(STATE)/audit/bin/pip-audit || $(PYTHON) -m venv $(STATE)/audit
	@$(STATE)/audit/bin/pip install --quiet --disable-pip-version-check pip-audit cyclonedx-bom
	@$(STATE)/audit/bin/cyclonedx-py environment $(BIN)/python --output-file $(STATE)/sbom.json
	@# Strict: a package whose advisories cannot be read is a fault, not a clean bill.
	@$(STATE)/audit/bin/pip-audit --strict --skip-editable --path $$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')

bench: install ## Measure the claims that depend on the machine, into FIGURES=docs/benchmarks.json if that is said
	@$(BIN)/python -m benchmarks
	@$(BIN)/python -m benchmarks.serving $(if $(FIGURES),--json $(FIGURES))
	@$(BIN)/python -m benchmarks.fusion $(if $(FIGURES),--json $(FIGURES))
	@$(BIN)/python -m benchmarks.loading
	@$(BIN)/python -m benchmarks.arriving
	@$(BIN)/python -m benchmarks.ingesting $(if $(FIGURES),--json $(FIGURES))
	@$(BIN)/python -m benchmarks.booting
	@$(BIN)/python -m benchmarks.searching
	@$(BIN)/python -m benchmarks.churning
	@$(BIN)/python -m benchmarks.replaying
	@$(BIN)/python -m benchmarks.overload
	@$(if $(FIGURES),$(BIN)/python -m benchmarks.record $(FIGURES))

clean: ## Remove the sample, bundles and event logs (not .venv)
	@rm -rf $(STATE)
