# Each target makes .venv where there is none and installs what it needs.
PYTHON ?= python3
SEED ?= 1
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo test lint typecheck clean

# Evolves until six of sixteen replicates have solved the maze; leaves solution.png in the run folder.
demo: .venv/examples.installed
	$(BIN)/python examples/evolve.py breadcrumb-hard-maze --operator SM-G-SUM --runs 16 --seed $(SEED) \
		--max-evaluations 30000 --solutions 6

test: .venv/tests.installed
	$(BIN)/python -m pytest

lint: .venv/tests.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

typecheck: .venv/tests.installed
	$(BIN)/mypy gym_safemaze/src safe_mutation/src examples

# torch comes first and exactly: any looser requirement would pull in gigabytes of CUDA libraries.
.venv/examples.installed: constraints.txt examples/requirements.txt gym_safemaze/pyproject.toml safe_mutation/pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(PIP) torch==2.13.0
	$(PIP) -e "./gym_safemaze[render]" -e ./safe_mutation -r examples/requirements.txt
	touch $@

.venv/tests.installed: .venv/examples.installed tests/requirements.txt
	$(PIP) -r tests/requirements.txt
	touch $@

clean:
	rm -rf .venv runs
