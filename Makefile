# Everything from nothing: `make run` needs Python 3.11 to 3.13, git, make and a package index, nothing else.
.DEFAULT_GOAL := help
.PHONY: help install run test test-all test-long lint ui lock

# without EXTRA, the installation that is there is kept, so `make run` does not swap a GPU environment for the CPU one
EXTRA ?= $(if $(wildcard .venv/installed-gpu),gpu,cpu)
INSTALLED := .venv/installed-$(EXTRA)
SIZE := $(if $(filter gpu,$(EXTRA)),3.7 GB to download and 7.5 GB on disk,0.6 GB to download and 2.8 GB on disk)
BIN := .venv/bin
# a file of tests is one process's, as its tests share what they have set up
PYTEST := $(BIN)/pytest --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' Makefile
	@echo "  Add EXTRA=gpu to install TensorFlow with NVIDIA's CUDA libraries; that lasts until EXTRA=cpu."

run: $(INSTALLED)  ## the main job: from the images to a registered model; does only what is not done yet
	@$(BIN)/pipeline run

test: $(INSTALLED) lint  ## style, types and all tests but the slow ones
	@$(PYTEST) -m "not slow and not long"

test-all: $(INSTALLED) lint  ## the slow ones, too
	@$(PYTEST) -m "not long"

test-long: $(INSTALLED)  ## servers of teams, and a registry whose every call fails: about two hours
	@$(PYTEST) -m long

lint: $(INSTALLED)  ## style and types
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy

ui: $(INSTALLED)  ## compare runs in the MLflow UI
	@$(BIN)/pipeline ui

install: $(INSTALLED)  ## only the installation: .venv with the exact versions of locks/

# .venv contains the path of its folder: after a move or a copy it is created again
ifneq ($(shell cat $(INSTALLED) 2>/dev/null),$(CURDIR))
$(INSTALLED): ALWAYS
endif
# and where PYTHON names another version than it has
version = $(shell $(1) -c 'import sys; print(*sys.version_info[:2])' 2>/dev/null)
ifdef PYTHON
ifneq ($(call version,$(PYTHON)),$(call version,$(BIN)/python))
$(INSTALLED): ALWAYS
endif
endif
.PHONY: ALWAYS

# pip compiles bytecode as it installs: without it TensorFlow takes 12 s to import instead of 5
$(INSTALLED): locks/$(EXTRA).txt pyproject.toml pipeline/environment.py
	@set -e; unset PYTHONPATH PYTHONHOME PYTHONSAFEPATH; \
	for candidate in $(PYTHON) $(BIN)/python python3.12 python3.11 python3.13 python3 python; do \
	  if "$$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then found="$$candidate"; break; fi; \
	done; \
	if [ -z "$$found" ]; then echo "error: no Python 3.11 to 3.13 found. Install one, or name it: make PYTHON=/path/to/python3.12 run" >&2; exit 2; fi; \
	echo "Installing into .venv with $$($$found --version): $(SIZE), some minutes, once ..."; \
	"$$found" -m pipeline.installation $(EXTRA)

lock:  ## resolve the newest versions that pyproject.toml allows into locks/ (needs uv)
	uv pip compile pyproject.toml --extra dev --extra cpu --universal --python-version 3.11 --fork-strategy fewest --generate-hashes \
	  --custom-compile-command "make lock" --upgrade --quiet --output-file locks/cpu.txt
	uv pip compile pyproject.toml --extra dev --extra gpu --universal --python-version 3.11 --fork-strategy fewest --generate-hashes \
	  --custom-compile-command "make lock" --upgrade --quiet --output-file locks/gpu.txt
	uv pip compile deploy/serve.in --constraint locks/cpu.txt --universal --python-version 3.11 --generate-hashes --no-annotate \
	  --custom-compile-command "make lock" --upgrade --quiet --output-file locks/serve.txt
