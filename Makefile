# The four verbs; CI runs the same ones.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
# torch's CPU build: on Linux the package index has the CUDA one, gigabytes larger. With a GPU: make setup TORCH=torch
TORCH ?= torch==2.13.0 --extra-index-url https://download.pytorch.org/whl/cpu
export GOMP_SPINCOUNT = 0
export OMP_WAIT_POLICY = PASSIVE

.PHONY: setup check test slow smoke

setup: $(BIN)/lmindexer

$(BIN)/lmindexer: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --no-deps $(TORCH)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2

slow: setup
	$(BIN)/python -m pytest -m slow

smoke: setup
	$(BIN)/lmindexer demo --documents 300 --sizes 16,16 --epochs 1 --out $$(mktemp -d)/run

# One line of the code changed at a time: which changes does no test notice? ONLY=NAME: some of them
.PHONY: mutants
mutants: setup
	$(BIN)/python tests/mutants.py --only '$(ONLY)'
