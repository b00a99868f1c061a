# The commands of the suite; `make` alone lists them. Each sets itself up in .venv first.
PYTHON ?= python3
VENV ?= .venv
# Arbitrary equality (===) refuses a local build such as 2.14.1+cpu, which == would take: docs/decisions/003-torch-pair.md
TORCH ?= $(shell sed -nE 's/^(torch|torchvision)==/\1===/p' constraints.txt)

RUN := $(VENV)/bin/python
PIP := $(RUN) -m pip --disable-pip-version-check -qq
INSTALL := $(PIP) install -c constraints.txt
# Further places to look in, wherever they are configured, are replaced by empty ones; index, proxy and certificates stay.
INSTALL_PLAIN := PIP_FIND_LINKS=$(VENV)/include PIP_EXTRA_INDEX_URL=file:///dev/null $(INSTALL) --no-cache-dir
PIP_FAILED := { echo 'setup: pip could not install what pyproject.toml and constraints.txt name; is an index in reach?' >&2; exit 1; }
# A torch that does not fit its torchvision fails here: "operator torchvision::nms does not exist".
PAIR_WORKS := $(RUN) -c 'import torch, torchvision; \
	torchvision.ops.nms(torch.tensor([[0.0, 0.0, 1.0, 1.0]]), torch.ones(1), 0.5)'

.DEFAULT_GOAL := help
.PHONY: help setup bench gate test lint typecheck check clean

help: ## Lists the commands
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' Makefile

setup: $(VENV)/.ready ## Installs the suite in .venv (about 6 GB on disk; once)
	@echo 'setup: $(VENV) is ready' >&2

bench: $(VENV)/.ready ## Runs the protocol "scenes" on every embedded model and control; prints the table, names the report
	$(RUN) bench.py run scenes $(ARGS)

gate: $(VENV)/.ready ## Gates the embedded models' images and counters against the committed baseline
	$(RUN) bench.py run counters --quiet
	$(RUN) bench.py gate latest --baseline counters $(ARGS)

test: $(VENV)/.ready-dev ## Runs the tests (more pytest options: make test ARGS="-k scenes")
	$(RUN) -m pytest $(ARGS)

lint: $(VENV)/.ready-dev ## Checks style and format with ruff
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

typecheck: $(VENV)/.ready-dev ## Checks types with mypy, strictly
	$(VENV)/bin/mypy

check: lint typecheck test ## All three

clean: ## Removes .venv, builds and caches; models and results stay
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(RUN):
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' || \
		{ echo 'setup: $(PYTHON) must be Python 3.11, 3.12 or 3.13; name one with PYTHON=python3.12' >&2; exit 1; }
	@$(PYTHON) -m venv --clear $(VENV) || \
		{ rm -rf $(VENV); echo 'setup: $(PYTHON) cannot make environments; on Debian, install python3-venv' >&2; exit 1; }

$(VENV)/.ready: pyproject.toml constraints.txt | $(RUN)
	@echo 'setup: installing into $(VENV) (the first time: about 3 GB to fetch, 6 GB on disk)' >&2
	@$(INSTALL) hatchling editables && $(INSTALL) --no-build-isolation -e . $(TORCH) || $(PIP_FAILED)
	@$(PAIR_WORKS) 2>/dev/null || { \
		echo 'setup: torch and torchvision do not fit; installing the pair again, from the index alone' >&2; \
		$(PIP) uninstall -y torch torchvision; $(INSTALL_PLAIN) $(TORCH) && $(PAIR_WORKS) 2>/dev/null; } || \
		{ echo 'setup: no working pair of $(TORCH) could be installed: see docs/decisions/003-torch-pair.md' >&2; exit 1; }
	@touch $@

$(VENV)/.ready-dev: $(VENV)/.ready
	@$(INSTALL) --no-build-isolation -e '.[dev,oracles,browser]' $(TORCH) || $(PIP_FAILED)
	@touch $@
