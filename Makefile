# The four verbs; CI runs the same ones.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
# torch's CPU build: on Linux the package index has the CUDA one, gigabytes larger. With a GPU: make setup TORCH=torch
TORCH ?= torch==2.13.0 --extra-index-url https://download.pytorch.org/whl/cpu
export GOMP_SPINCOUNT = 0
export OMP_WAIT_POLICY = PASSIVE

.PHONY: setup check test slow smoke again

# Setup writes its stamp last, and nothing else writes it: an environment made by pip alone, or by a setup that was
# stopped, has none. Its lines are the environment's place and its torch; PYTHON and TORCH count only where they are given.
STAMP = $(VENV)/.setup
PLACE = $(abspath $(VENV))
given = $(filter-out file,$(origin $(1)))
OTHER_PYTHON = $(if $(call given,PYTHON),$(shell [ "$$($(PYTHON) -V)" = "$$($(BIN)/python -V 2> /dev/null)" ] || echo yes))
OTHER_TORCH = $(if $(call given,TORCH),$(shell [ '$(TORCH)' = "$$(sed -n 2p $(STAMP) 2> /dev/null)" ] || echo yes))
# Scripts of an environment that was moved or copied call the old place, if anything.
HERE = $(findstring from $(PLACE)/,$(shell $(BIN)/pip --version 2> /dev/null))
# Where the package lies as a copy, the tests would test that copy.
COPY = $(wildcard $(VENV)/lib/python*/site-packages/lmindexer)
NEW = $(PYTHON) -m venv $(if $(wildcard $(VENV)/pyvenv.cfg),--clear) $(VENV)

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt Makefile
	rm -f $@
	$(if $(HERE),$(if $(OTHER_PYTHON)$(OTHER_TORCH),$(NEW)),$(NEW))
	$(BIN)/python -m pip install --quiet --no-deps $(TORCH)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	printf '%s\n' '$(PLACE)' '$(TORCH)' > $@

ifneq ($(shell sed -n 1p $(STAMP) 2> /dev/null),$(PLACE))
$(STAMP): again
else ifneq ($(OTHER_PYTHON)$(OTHER_TORCH)$(COPY),)
$(STAMP): again
endif

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
	$(BIN)/lmindexer demo --limit 300 --sizes 16,16 --epochs 1 --out $$(mktemp -d)/run

# One line of the code changed at a time: which changes does no test notice? ONLY=NAME: some of them; SHARE=4: a quarter, each day another
.PHONY: mutants
mutants: setup
	$(BIN)/python tests/mutants.py --only '$(ONLY)' --share $(or $(SHARE),1)

# Odd input of every kind for every verb: what ends in a trace, hangs, or loses something without a word?
INPUTS = 10000
SEED = 1
.PHONY: fuzz
fuzz: setup
	PYTHONPATH=src:tests OMP_NUM_THREADS=1 $(BIN)/python -m fuzz --inputs $(INPUTS) --seed $(SEED) --keep findings
