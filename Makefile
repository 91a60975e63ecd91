# Each target makes .venv where there is none and installs what it needs.
PYTHON ?= python3
SEED ?= 1
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo test coverage lint typecheck clean

# Evolves until six of sixteen replicates have solved the maze; leaves solution.png in the run folder.
demo: .venv/examples.installed
	$(BIN)/python examples/evolve.py breadcrumb-hard-maze --operator SM-G-SUM --runs 16 --seed $(SEED) \
		--max-evaluations 30000 --solutions 6

test: .venv/tests.installed
	$(BIN)/python -m pytest -n auto --dist worksteal

# The tests, two to three times slower, and what they cover: of this process, compiled kernels left out.
coverage: .venv/tests.installed
	$(BIN)/python -m pytest --cov

lint: .venv/tests.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# Tests pass wrong arguments and stand-ins on purpose; there only the other rules are checked. With other rules
# mypy reads torch anew: each set of them keeps what it has read in a folder of its own.
typecheck: .venv/tests.installed
	$(BIN)/mypy gym_safemaze/src safe_mutation/src examples benchmarks
	$(BIN)/mypy --cache-dir=.mypy_cache/tests --follow-imports=silent --allow-untyped-defs --disable-error-code=arg-type \
		--disable-error-code=call-overload --disable-error-code=union-attr --disable-error-code=index \
		--disable-error-code=operator --disable-error-code=misc --disable-error-code=var-annotated \
		--disable-error-code=assignment --disable-error-code=list-item --no-warn-unused-ignores \
		--exclude=tests/typed tests

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
