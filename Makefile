# Everything that autoclf needs to be set up, tried and tested. `make demo` is the place to begin.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
CURVES ?= ../shared/curves

.PHONY: install demo test test-slow test-all fuzz check bench bench-search clean

install: $(STAMP)  ## make .venv and install autoclf into it

demo: $(STAMP)  ## install, search the handwritten digits, show what was found
	$(BIN)/autoclf search --space digits --data-dir data

test: $(STAMP)  ## the tests that take seconds, two at a time
	$(BIN)/python -m pytest -n 2 --dist worksteal

test-slow: $(STAMP)  ## the slow ones: kills, full searches, locked databases, statistics
	$(BIN)/python -m pytest -m slow -n 2 --dist worksteal $(PYTEST)

fuzz: $(STAMP)  ## broken images and requests for a minute each, at a real server
	AUTOCLF_FUZZ_SECONDS=60 $(BIN)/python -m pytest -m slow -s tests/serving/server/test_endurance.py

test-all: test test-slow  ## both

check: $(STAMP)  ## what a commit must pass beside the tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_architecture.py

bench: $(STAMP)  ## the tables of docs/speed.md; with PHOTOGRAPHS=FOLDER WEIGHTS=FILE those of transfer, too
	$(BIN)/python -m benchmarks.training_speed --data-dir $(or $(AUTOCLF_DATA_DIR),data)
	$(BIN)/python -m benchmarks.augmentation_cost
	$(BIN)/python -m benchmarks.networks --data-dir $(or $(AUTOCLF_DATA_DIR),data) \
		$(if $(PHOTOGRAPHS),--photographs $(PHOTOGRAPHS) --weights $(WEIGHTS))

bench-search: $(STAMP)  ## search strategies on the recorded learning curves of CURVES=FOLDER; fewer with SEEDS=N or OURS=1, more with VARIANTS=1
	$(BIN)/python -m benchmarks.recorded --curves $(CURVES) $(if $(SEEDS),--seeds $(SEEDS)) $(if $(VARIANTS),--variants) $(if $(OURS),--ours)

clean:  ## remove the environment; stores and data stay
	rm -rf $(VENV)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("autoclf needs Python 3.11 or newer, this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@
