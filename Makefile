# make run    sets up .venv and runs the main job: attention ablations on embedded images, ending in a table
# make test   sets up .venv and passes the tests

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: run test test-fast test-slow lint help clean

help:
	@sed -n 's/^# //p' Makefile

run: $(READY)
	$(BIN)/python -m exp --multirun att=none,triplet,tripletca,ca,lka

test: lint test-fast

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test-fast: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto

test-slow: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m slow

clean:
	rm -rf .venv .venvs build dist

# torch comes first and by its exact version, so that a build for the CPU at hand is taken where there is one.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "exp needs Python 3.10 or newer: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $$(grep '^torch==' constraints.txt)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $(READY)
