# Every path is relative: make splits words at spaces, and the checkout may lie in a directory that has some.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
INSTALL := $(RUN) -m pip install -qq --disable-pip-version-check --constraint constraints.txt
WORKERS ?= 2
# A file stays on one worker, so that what its tests share is made once; in the order of tests/conftest.py.
PYTEST := $(RUN) -m pytest tests -q -n $(WORKERS) --dist loadfile --no-loadscope-reorder

.PHONY: all test test-all check fmt docs wheel demo clean
all: test

# Format, lint, types, the fast tests: what a change has to pass.
test: check
	$(PYTEST) -m "not slow"

# The proofs that take long.
test-all: $(VENV)/installed
	$(PYTEST) -m slow

check: $(VENV)/installed
	$(RUN) -m ruff format --check --quiet .
	$(RUN) -m ruff check --quiet .
	$(RUN) -m basedpyright

fmt: $(VENV)/installed
	$(RUN) -m ruff format .
	$(RUN) -m ruff check --fix .

# The language reference, from the classes of the language and docs/prose; the gallery, from specs and results.
docs: $(VENV)/installed
	$(RUN) docs/generate.py
	$(RUN) docs/gallery.py

# setuptools takes what an earlier build left in build/ for part of this one.
wheel: $(VENV)/installed
	rm -rf build dist
	$(RUN) -m pip wheel --quiet --no-deps --wheel-dir dist .
	rm -rf build

demo: $(VENV)/installed
	$(RUN) docs/demo.py

clean:
	rm -rf $(VENV) build dist dlspec.egg-info .ruff_cache tests/.pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# torch comes first, by exactly this version and in a call of its own: where pip knows a local CPU build of it
# (2.13.0+cpu, from `pip config` find-links or an index of CPU wheels) that build outranks the plain one, whereas a
# range would go for the newest release and some gigabytes of CUDA libraries. A Python without a local CPU build gets
# the plain 2.13.0, on Linux with those libraries: slow to fetch, and the tests run all the same.
# The link is for type checkers, which cannot know that the checkout, under whatever name, is the package dlspec.
$(VENV)/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "dlspec needs Python 3.11 or newer: make PYTHON=/path/to/python3"; exit 1; }
	$(RUN) -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv $(VENV)
	$(INSTALL) "$$(grep -x 'torch==.*' constraints.txt)"
	$(INSTALL) --editable '.[cpu,dev]'
	mkdir -p $(VENV)/src
	ln -sfn ../.. $(VENV)/src/dlspec
	touch $@
