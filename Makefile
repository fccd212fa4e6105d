# Everything a person runs here; `make help` lists it. Each target sets up its own .venv on a new machine.

PYTHON ?= python3
# The torch build, for example: make demo TORCH="torch --index-url https://download.pytorch.org/whl/cpu"
TORCH ?= torch
# Tests that run at the same time.
WORKERS ?= 2
VENV := .venv
NEWEST := .venv-newest
LOCK := requirements.lock
BIN := $(VENV)/bin
# Errors only: pip's warnings about a machine's own settings would hide what matters.
PIP_INSTALL := -m pip install --quiet --quiet --disable-pip-version-check
# What torch needs for a GPU; which of it is wanted is up to TORCH.
TORCH_PACKAGES := ^(torch|triton|nvidia|cuda)[-=a-z0-9]*=
# One torch thread a process: several that share a core spin against each other.
export OMP_NUM_THREADS ?= 1

.DEFAULT_GOAL := help
.PHONY: help demo test test-fast check format setup lock newest newest-setup newest-smoke clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 22

demo: setup ## train a penguin from 150 comparisons and show it beside the exact optimum
	$(BIN)/python -m benchmarks.demo

test: setup ## run all tests
	$(BIN)/python -m pytest -n $(WORKERS)

test-fast: setup ## run the tests that are not marked slow: under two minutes on two quiet cores
	$(BIN)/python -m pytest -n $(WORKERS) -m "not slow"

check: setup ## format, lint, types, layers, all tests: what has to pass before a change lands
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -n $(WORKERS)

format: setup ## format the code and mend what ruff can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

setup: $(VENV)/.installed ## make .venv: torch as TORCH says, all else as requirements.lock says

$(VENV)/.installed: pyproject.toml $(LOCK)
	@echo "installing prefrl and what it needs into $(VENV); the first time takes some minutes"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python $(PIP_INSTALL) $(TORCH)
	@$(BIN)/python $(PIP_INSTALL) --requirement $(LOCK)
	@$(BIN)/python $(PIP_INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

lock: ## write requirements.lock anew: the newest packages that pyproject.toml allows
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python $(PIP_INSTALL) uv
	.venv-lock/bin/uv pip compile --quiet --universal --python-version 3.10 --extra dev --no-header --no-annotate \
		--upgrade pyproject.toml --output-file .venv-lock/all.txt
	( echo "# Written by \`make lock\`. torch and its GPU packages are left to TORCH, see Makefile."; \
		grep -E '^[a-z0-9]' .venv-lock/all.txt | grep -vE '$(TORCH_PACKAGES)' ) > .venv-lock/new.txt
	mv .venv-lock/new.txt $(LOCK)
	rm -r .venv-lock

newest: newest-setup ## the whole check against the newest packages that pyproject.toml allows
	@$(MAKE) --no-print-directory check VENV=$(NEWEST) && failed= || failed=1; $(COMPARE_VERSIONS)

newest-smoke: newest-setup ## each entry point against the newest packages, a minute or two
	@$(NEWEST)/bin/python -m pytest -n $(WORKERS) tests/packaging/test_entry_points.py && failed= || failed=1; \
		$(COMPARE_VERSIONS)

# The last lines say what is newer than the lock, and so what to look at first.
COMPARE_VERSIONS = $(NEWEST)/bin/python tests/packaging/compare_versions.py $(LOCK) && test -z "$$failed"

newest-setup:
	@echo "installing the newest packages into $(NEWEST)"
	@rm -rf $(NEWEST)
	@$(PYTHON) -m venv $(NEWEST)
	@$(NEWEST)/bin/python $(PIP_INSTALL) $(TORCH)
	@$(NEWEST)/bin/python $(PIP_INSTALL) --editable ".[dev]"
	@touch $(NEWEST)/.installed

clean: ## remove all that the other targets made but runs/
	rm -rf .venv .venv-newest .venv-lock .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
