# make run    sets up .venv and runs the main job: attention ablations on embedded images, ending in a table
# make test   sets up .venv and passes the tests
# make test-faults    kills, damaged files, changed data, all of it with counts (below 20 minutes on two cores)
# make test-browser   the live and static pages in a headless Chromium
#
# Each in an environment of its own below .venvs, where pins may clash with those of the rest:
# make test-plugins   jobs by submitit, as under SLURM, and Optuna's sweeper
# make test-ray       a Ray cluster on this machine
# make test-hydra14   sweeps and configuration on the newest hydra-core 1.4
# make test-timm      timm's networks and weights in ours
# make test-extras    W&B workspaces, and papers and pages where pdflatex and Chromium are installed
# make test-real DATA=FOLDER   what needs the real data sets, each in a folder of its own below FOLDER
# make test-lowest    the lowest versions that pyproject.toml allows, on Python 3.10 (PYTHON_LOWEST)
# make test-newest    the newest versions of everything, on the newest Python that torch supports (PYTHON_NEWEST)
# make docs           the documentation as a site in build/site, without warnings
# make bench          what was written to be fast against plain twins, into docs/performance.md (some minutes)
# make bench-gpu    what only a GPU can show: ResNet-50 beside timm's, small cells packed, several devices
# make bench-sweep    12 cells by separate commands, Hydra's launchers and ours

PYTHON ?= python3
PYTHON_LOWEST ?= python3.10
PYTHON_NEWEST ?= python3.13
BIN := .venv/bin
# Compiled once, not again in each of the hundreds of processes that the tests start.
export PYTHONDONTWRITEBYTECODE :=
READY := .venv/.ready

.PHONY: run test test-fast test-slow test-browser test-faults test-lowest test-newest test-plugins test-ray test-hydra14 test-extras test-timm test-real
.PHONY: docs bench bench-gpu bench-sweep lint help clean

help:
	@sed -n '/^PYTHON/q;s/^# //p' Makefile

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

test-browser: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m slow -rs tests/watch/test_watch_browser.py

test-faults: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m 'slow or not slow' -n 2 --dist loadfile --durations=5 tests/faults

test-lowest: .venvs/lowest/.ready
	OMP_NUM_THREADS=1 .venvs/lowest/bin/python -m pytest -n auto

test-newest: .venvs/newest/.ready
	OMP_NUM_THREADS=1 .venvs/newest/bin/python -m pytest -n auto

test-plugins: .venvs/plugins/.ready
	OMP_NUM_THREADS=1 .venvs/plugins/bin/python -m pytest -m 'slow or not slow' tests/sweep/test_slurm.py tests/sweep/test_optuna.py tests/cells/test_own_code.py tests/plugins/test_notebook.py

test-ray: .venvs/ray/.ready
	OMP_NUM_THREADS=1 .venvs/ray/bin/python -m pytest -m 'slow or not slow' tests/sweep/test_ray.py 'tests/plugins/test_notebook.py::test_the_notebook_runs_elsewhere[ray]'

test-hydra14: .venvs/hydra14/.ready
	OMP_NUM_THREADS=1 .venvs/hydra14/bin/python -m pytest tests/options tests/sweep

# What is left out is printed with its reason: pdflatex and Chromium come with the machine.
test-extras: .venvs/extras/.ready
	OMP_NUM_THREADS=1 .venvs/extras/bin/python -m pytest -rs -m extras

# An environment of its own: timm brings torchvision, which a torch built for the CPU alone does not fit.
test-timm: .venvs/timm/.ready
	OMP_NUM_THREADS=1 .venvs/timm/bin/python -m pytest -rs -m timm tests/tasks/test_pretrained.py

test-real: $(READY)
	@test -d "$(DATA)" || { echo 'make test-real DATA=FOLDER: name the folder of the data sets' >&2; exit 2; }
	OMP_NUM_THREADS=1 EXP_TEST_DATA="$(abspath $(DATA))" $(BIN)/python -m pytest -rs -m real

docs: .venvs/docs/.ready
	NO_MKDOCS_2_WARNING=1 .venvs/docs/bin/mkdocs build --strict --quiet

bench: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/all.py
	$(BIN)/python benchmarks/render.py

bench-gpu: .venvs/timm/.ready
	OMP_NUM_THREADS=1 .venvs/timm/bin/python benchmarks/gpu.py

bench-sweep: .venvs/plugins/.ready
	OMP_NUM_THREADS=1 .venvs/plugins/bin/python benchmarks/sweep.py

clean:
	rm -rf .venv .venvs build dist

# torch comes first and by its exact version, so that a build for the CPU at hand is taken where there is one.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "exp needs Python 3.10 or newer: make PYTHON=python3.11 ...")'
	@echo 'setting up .venv: torch, Lightning, Hydra and the tools of the tests, 2 GB, a few minutes'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $$(grep '^torch==' constraints.txt)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $(READY)

# The lowest version of each dependency, its newest patch: "torch>=2.6" becomes torch==2.6.*
.venvs/lowest/.ready: pyproject.toml
	$(PYTHON_LOWEST) -m venv .venvs/lowest
	sed -n '/^dependencies/,/^]/s/.*"\([a-z0-9-]*\)>=\([0-9.]*\).*/\1==\2.*/p' pyproject.toml > .venvs/lowest/constraints.txt
	.venvs/lowest/bin/python -m pip install --quiet --disable-pip-version-check $$(grep '^torch==' .venvs/lowest/constraints.txt)
	.venvs/lowest/bin/python -m pip install --quiet --disable-pip-version-check -c .venvs/lowest/constraints.txt -e '.[dev]'
	touch $@

.venvs/newest/.ready: pyproject.toml
	$(PYTHON_NEWEST) -m venv .venvs/newest
	.venvs/newest/bin/python -m pip install --quiet --disable-pip-version-check torch
	.venvs/newest/bin/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $@

NEEDS_plugins := -e '.[dev,slurm,optuna]' hydra-joblib-launcher cmaes
NEEDS_docs := -e . 'mkdocs-material>=9.7,<10'
NEEDS_ray := -e '.[dev,ray]'
NEEDS_extras := -e '.[dev,dashboard]' tensorboard
NEEDS_hydra14 := -e '.[dev,slurm]' 'hydra-core>=1.4.0rc3,<1.5'
UNPINNED_hydra14 := hydra-core|omegaconf

# "===" takes the very build that torchvision's is made for, and none for the CPU alone.
.venvs/timm/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venvs/timm
	.venvs/timm/bin/python -m pip install --quiet --disable-pip-version-check $$(sed -n 's/^torch==/torch===/p' constraints.txt) torchvision
	.venvs/timm/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,timm]'
	touch $@

.venvs/%/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venvs/$*
	grep -v -E '^($(or $(UNPINNED_$*),none))==' constraints.txt > .venvs/$*/constraints.txt
	.venvs/$*/bin/python -m pip install --quiet --disable-pip-version-check $$(grep '^torch==' constraints.txt)
	.venvs/$*/bin/python -m pip install --quiet --disable-pip-version-check -c .venvs/$*/constraints.txt $(NEEDS_$*)
	touch $@
