# Everything a person runs here. Each target sets up its own .venv on a fresh machine.
#   make demo     train a penguin from 150 comparisons and show it beside the exact optimum
#   make test     run the tests
#   make check    format, lint, types, layers, tests: what has to pass before a change lands
# TORCH chooses the torch build, for example: make demo TORCH="torch --index-url https://download.pytorch.org/whl/cpu"

PYTHON ?= python3
TORCH ?= torch
VENV := .venv
BIN := $(VENV)/bin
WORKERS ?= 2
# One torch thread a process: several that share a core spin against each other.
export OMP_NUM_THREADS ?= 1

.PHONY: demo test check format setup clean

demo: setup
	$(BIN)/python -m benchmarks.demo

test: setup
	$(BIN)/python -m pytest -n $(WORKERS)

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -n $(WORKERS)

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

setup: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(TORCH)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[dev]"
	touch $@

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist
