# `make demo` and `make test` do all the set-up themselves: a virtual environment in .venv with pinned
# dependencies. A second call finds it ready and starts at once.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK = 1
export TOKENIZERS_PARALLELISM = false
export HF_HUB_DISABLE_PROGRESS_BARS = 1

.PHONY: demo test check clean

demo: $(VENV)/train.stamp
	@$(BIN)/merf demo

test: $(VENV)/dev.stamp check
	@$(BIN)/pytest -n 2

check: $(VENV)/dev.stamp
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/train.stamp: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "Installing (a few minutes, once)"
	@$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[train]"
	@touch $@

$(VENV)/dev.stamp: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "Installing with development tools (a few minutes, once)"
	@$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[dev]"
	@touch $@ $(VENV)/train.stamp

clean:
	rm -rf $(VENV) runs build dist
