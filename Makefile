# make solve   solve Poisson's equation and check it (PROBLEM=burgers1d for another one)
# make test    lint, types and tests
# make bench   measure, and write the table under results/
# make lint    ruff and mypy only
# make clean   remove the environment, caches and builds; results stay

PYTHON ?= python3
VENV ?= .venv
PROBLEM ?= poisson2d
RUN := $(VENV)/bin/python

.PHONY: solve test bench lint clean
.DELETE_ON_ERROR:

solve: $(VENV)/.installed
	$(RUN) -m kanpde solve $(PROBLEM)

test: lint
	$(RUN) -m pytest

bench: $(VENV)/.installed
	$(RUN) -m kanpde bench

lint: $(VENV)/.installed-dev
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
	find kanpde kernels problems tests -name __pycache__ -type d -prune -exec rm -rf {} +

$(RUN):
	@$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info[:2] < (3, 14) else "error: $(PYTHON) is Python %d.%d; kanpde needs 3.11 to 3.13, such as make PYTHON=python3.12" % sys.version_info[:2])'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt | $(RUN)
	$(RUN) -m pip install --quiet -c constraints.txt -e .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml constraints.txt | $(RUN)
	$(RUN) -m pip install --quiet -c constraints.txt -e '.[dev]'
	@touch $@ $(VENV)/.installed
