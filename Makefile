# make solve           solve Poisson's equation and check it (PROBLEM=burgers1d for another one)
# make test            lint, types and tests, with the lines that they reach and the slowest 30 (TEST_JOBS=1: one test at a time);
#                      documentation, its code and the wheel are among them
# make docs            build the documentation into site/, without a warning and without the network
# make test-minimum    some of the tests with the oldest versions that pyproject.toml allows (torch is the pinned one)
# make wheel           build the wheel into dist/, and solve from it where the clone is not in sight
# make bench           measure speed and accuracy, and write the table under results/
# make bench-kernels   measure the kernels against other KANs, and write the table under results/; likewise bench-accuracy, bench-bases, bench-judged, bench-shards, bench-tolerances, bench-alternatives, bench-growth
# make mutants         change one token of the code at a time, see whether a test fails, and write results/mutants.md
# make soak            kill runs sixty times, try 2,000 generated inputs, and write results/soak.md
# make test-gpu        the tests of the kernels, compiled for the GPU that is here
# make gpu-report      test and measure the kernels on the GPU that is here: under 8 minutes, no network; written under results/
# make lint            ruff and mypy only
# make clean           remove the environments, caches and builds; results stay

PYTHON ?= python3
VENV ?= .venv
MINIMUM_VENV ?= .venv-minimum
GPU_VENV ?= .venv-gpu
PROBLEM ?= poisson2d
TEST_JOBS ?= 2
RUN := $(VENV)/bin/python
MINIMUM_TESTS ?= tests/problem/test_problem.py tests/results/test_results.py tests/plots/test_plots.py tests/problem/test_tables.py tests/cli/test_cli.py tests/reference/test_stencils.py \
  tests/geometry "tests/interpret/test_edges.py::test_a_function_of_the_library_is_found_again[sinh]" tests/kernels/test_training.py \
  "tests/sweeps/test_figures.py::test_whatever_is_missing_pictures_are_drawn[judged by the reference, one failed]" tests/sweeps/test_plan.py \
  tests/test_solver.py::test_a_short_schedule_reaches_an_error_that_both_judges_confirm
GPU_RUN := $(GPU_VENV)/bin/python
REPORT := results/benchmarks

.PHONY: solve test style mutants soak docs test-minimum wheel bench bench-kernels bench-accuracy bench-bases bench-judged bench-shards bench-tolerances bench-alternatives bench-growth test-gpu gpu-report gpu lint clean
.DELETE_ON_ERROR:

# Processes that tests start find modules compiled, as those of users do.
unexport PYTHONDONTWRITEBYTECODE

solve: $(VENV)/.installed
	$(RUN) -m kanpde solve $(PROBLEM)

test: style
	$(RUN) -m coverage erase
	REACHED_LINES=1 $(RUN) -m pytest -n $(TEST_JOBS) --dist loadfile --no-loadscope-reorder --durations=30
	$(RUN) -m coverage combine --quiet
	$(RUN) -m coverage report

docs: $(VENV)/.installed-dev
	NO_MKDOCS_2_WARNING=1 $(RUN) -m mkdocs build --strict --quiet --site-dir site
	@echo "written: site/index.html"

wheel: $(VENV)/.installed-dev
	$(RUN) -m build --wheel --no-isolation --outdir dist
	$(RUN) -m pytest tests/test_wheel.py

# The kernels of this Numba are kept apart from those of the pinned one.
test-minimum: $(MINIMUM_VENV)/.installed
	NUMBA_CACHE_DIR=$(CURDIR)/$(MINIMUM_VENV)/kernels $(MINIMUM_VENV)/bin/python -m pytest -p no:cacheprovider -n $(TEST_JOBS) --dist loadfile -W ignore $(MINIMUM_TESTS)

bench: $(VENV)/.installed
	$(RUN) -m benchmarks solve

bench-kernels: $(VENV)/.installed-bench
	$(RUN) -m benchmarks kernels

bench-accuracy bench-bases bench-shards bench-tolerances bench-alternatives bench-growth: $(VENV)/.installed
	$(RUN) -m benchmarks $(@:bench-%=%)

# scikit-fem, which is one of its judges, is a development extra.
bench-judged: $(VENV)/.installed-dev
	$(RUN) -m benchmarks judged

# MUTANTS="jets residual --sample 100 --seed 1" chooses other ones.
mutants: $(VENV)/.installed-dev
	$(RUN) -m pip install --quiet -c constraints.txt -e '.[mutants]'
	nice $(RUN) tests/mutants/mutants.py $(MUTANTS)

soak: $(VENV)/.installed-dev
	$(RUN) tests/soak/soak.py

test-gpu: gpu
	env -u TRITON_INTERPRET -u KANPDE_KERNELS $(GPU_RUN) -m pytest -rs tests/kernels

# 160 s at most for the tests of the Triton kernels, most of which go to compiling, so by seven processes where pytest-xdist is there;
# 290 s for the measurements. Both keep what they have when they are stopped.
gpu-report: gpu
	@mkdir -p $(REPORT)
	@$(GPU_RUN) -c 'from kanpde.provenance import provenance; [print(f"{key}: {value}") for key, value in provenance("cuda").items()]' > $(REPORT)/gpu-tests.txt
	@status=0; env -u TRITON_INTERPRET -u KANPDE_KERNELS timeout -k 10 -s INT 160 $(GPU_RUN) -m pytest $$($(GPU_RUN) -c 'import xdist; print("-n 7 --dist worksteal")' 2> /dev/null) -rs tests/kernels/test_triton_*.py >> $(REPORT)/gpu-tests.txt 2>&1 || status=$$?; \
	echo "pytest ended with $$status" >> $(REPORT)/gpu-tests.txt; tail -n 3 $(REPORT)/gpu-tests.txt; \
	env -u KANPDE_KERNELS timeout -k 10 -s INT 290 $(GPU_RUN) -m benchmarks kernels --device cuda --minutes 4 || status=$$?; \
	echo "written: $(REPORT)/gpu-tests.txt, kernels.md, kernels.json, kernels_cuda.png"; exit $$status

style: $(VENV)/.installed-dev
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .

lint: style
	$(RUN) -m mypy

clean:
	rm -rf $(VENV) $(GPU_VENV) $(MINIMUM_VENV) site build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
	find kanpde kernels problems tests -name __pycache__ -type d -prune -exec rm -rf {} +

$(RUN):
	@$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info[:2] < (3, 14) else "error: $(PYTHON) is Python %d.%d; kanpde needs 3.11 to 3.13, such as make PYTHON=python3.12" % sys.version_info[:2])'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt | $(RUN)
	$(RUN) -m pip install --quiet -c constraints.txt -e .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml constraints.txt | $(RUN)
	$(RUN) -m pip install --quiet -c constraints.txt -e '.[dev,docs]'
	@touch $@ $(VENV)/.installed

# The oldest versions lie over the pinned ones: what is not listed there, torch and pytest among them, is that of $(VENV).
$(MINIMUM_VENV)/.installed: constraints-minimum.txt $(VENV)/.installed-dev
	$(RUN) -m venv --without-pip --clear $(MINIMUM_VENV)
	$(RUN) -m pip --python $(MINIMUM_VENV)/bin/python install --quiet -r constraints-minimum.txt
	$(RUN) -c '$(PACKAGES)' > "$$($(MINIMUM_VENV)/bin/python -c '$(SITE)')/pinned.pth"
	$(RUN) -m pip --python $(MINIMUM_VENV)/bin/python install --quiet --no-index --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.installed-bench: pyproject.toml constraints.txt | $(RUN)
	$(RUN) -m pip install --quiet -c constraints.txt -e '.[bench]'
	@touch $@ $(VENV)/.installed

# On a GPU nothing is fetched: PyTorch has to fit the driver, and there may be no network. The packages are those of $(VENV) if
# its PyTorch sees the GPU, else those of $(PYTHON); the environment adds kanpde to them. (`venv --system-site-packages` would
# not see the packages of a $(PYTHON) that is itself in an environment, and `--without-pip` needs no ensurepip.)
SEES_GPU ?= import torch; assert torch.cuda.is_available()
PACKAGES := import sys; print(*[path for path in sys.path if path.endswith("-packages")], sep="\n")
SITE := import sysconfig; print(sysconfig.get_path("purelib"))

gpu:
	@for python in $(RUN) $(PYTHON); do \
	  if $$python -c '$(SEES_GPU)' 2>/dev/null; then exec $(MAKE) --no-print-directory $(GPU_VENV)/.installed GPU_PYTHON=$$python; fi; \
	done; echo "error: no GPU that the PyTorch of $(RUN) or $(PYTHON) can use; elsewhere: make PYTHON=/path/to/python $(firstword $(MAKECMDGOALS))" >&2; exit 1

$(GPU_VENV)/.installed: pyproject.toml
	$(GPU_PYTHON) -m venv --without-pip --clear $(GPU_VENV)
	$(GPU_PYTHON) -c '$(PACKAGES)' > "$$($(GPU_RUN) -c '$(SITE)')/packages.pth"
	$(GPU_RUN) -m pip install --quiet --no-index --no-deps --no-build-isolation -e .
	@touch $@
