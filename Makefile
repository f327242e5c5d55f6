# make demo    the whole loop on a real 135M model: no key, a few minutes
# make demo-workflow  three workflows on a small shop, the same model: no key, a few minutes
# make test    the test suite, with the tests that run that model
# make lint    ruff, mypy (strict), the layer test
# make bench   the measurements in bench/ (those on public data need SKILLFORGE_DATA)
# make clean   removes .venv, caches and the demo's folder; the weights stay in the user's cache
#
# Everything goes into .venv, on any Python >= 3.11. To choose one: make test PYTHON=/path/to/python3.12

PY := .venv/bin/python
WEIGHTS := smollm2-135m
PYTHON ?=
PYTEST_ARGS ?=
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.NOTPARALLEL:
.DELETE_ON_ERROR:
.PHONY: help demo demo-workflow test lint bench clean weights browser

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile

demo: .venv/.local weights
	@$(PY) -m skillforge demo

demo-workflow: .venv/.local weights
	@$(PY) -m skillforge demo-workflow

test: .venv/.dev weights browser
	@$(wildcard .ci/offline) $(PY) -m pytest $(PYTEST_ARGS)

lint: .venv/.dev
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy
	@$(PY) -m pytest tests/test_layers.py

bench: .venv/.dev weights
	@for script in bench/[a-z]*.py; do echo "== $$script"; $(PY) "$$script" || exit 1; done

clean:
	@rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist skillforge-demo skillforge-demo-workflow
	@find skillforge tests bench -type d -name __pycache__ -prune -exec rm -rf {} +

weights: | .venv/.local
	@$(PY) -m skillforge models pull $(WEIGHTS) > /dev/null

# For the test that looks at the HTML report; where it cannot be had, that test is skipped.
browser: | .venv/.dev
	@$(PY) tests/browser/pull_chromium.py

# A stamp is newer than the interpreter and pyproject.toml, or pip runs again. What dev installs holds local.
.venv/.local: pyproject.toml $(PY)
	@echo "installing skillforge into .venv (once)"
	@$(PY) -m pip --version > /dev/null 2>&1 || $(PY) -m ensurepip > /dev/null
	@$(PY) -m pip install --quiet --editable '.[local,encoder]'
	@touch $@

.venv/.dev: pyproject.toml $(PY)
	@echo "installing skillforge and its development tools into .venv (once)"
	@$(PY) -m pip --version > /dev/null 2>&1 || $(PY) -m ensurepip > /dev/null
	@$(PY) -m pip install --quiet --editable '.[dev,local]'
	@touch .venv/.local $@

# A name on the path may be a shim or too old, or come without venv (Debian): each is tried before it is taken.
$(PY):
	@lacking=; \
	for python in $(PYTHON) $(if $(PYTHON),,python3 python3.14 python3.13 python3.12 python3.11 python); do \
	  "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null || continue; \
	  if "$$python" -c 'import ensurepip, venv' 2> /dev/null; then \
	    rm -rf .venv && "$$python" -m venv .venv && exit 0; exit 1; \
	  fi; \
	  lacking="$$lacking $$python"; \
	done; \
	if [ -n "$$lacking" ]; then \
	  echo "error:$$lacking cannot make a virtual environment: the module venv is missing" >&2; \
	  echo "  -> install it (Debian, Ubuntu: sudo apt install python3-venv), then run make again" >&2; \
	else \
	  echo "error: no Python 3.11 or newer $(if $(PYTHON),at $(PYTHON),on the path)" >&2; \
	  echo "  -> install one, or name one: make $(or $(MAKECMDGOALS),test) PYTHON=/path/to/python3.12" >&2; \
	fi; exit 1
