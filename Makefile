# Every target sets itself up in .venv: needed are make and Python 3.11 or newer.

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip -qq --disable-pip-version-check
# All that is installed has the versions of this file, what builds it as well.
LOCK := constraints.txt
LOCKED := --constraint $(LOCK) --build-constraint $(LOCK)
ARGS ?=

.DEFAULT_GOAL := help
.NOTPARALLEL:
.SECONDARY:
.PHONY: help demo test lint docs bench lock

help: ## show this list
	@awk -F ': |## ' '/^[a-z]+: .*## / {printf "  make %-7s%s\n", $$1, $$3}' $(MAKEFILE_LIST)
	@echo "What is in ARGS is handed on: make demo ARGS=2017, make test ARGS='-k png'"

demo: $(VENV)/for-demo ## make synthetic tissue and serve it on port 2001
	@$(BIN)/bfly demo $(ARGS)

test: $(VENV)/for-test ## run the tests
	@$(BIN)/pytest -n logical --maxprocesses 8 $(ARGS)

lint: $(VENV)/for-lint ## check style, format and types
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy

docs: $(VENV)/for-docs ## build docs/_build/index.html, warnings are errors
	@$(BIN)/sphinx-build -q -W --keep-going $(ARGS) docs docs/_build
	@echo "The documentation is docs/_build/index.html."

bench: $(VENV)/for-bench ## measure the speed beside nginx, h5py and others
	@$(BIN)/python -m benchmarks $(ARGS)

lock: $(VENV)/for-lock ## renew the versions in constraints.txt
	@$(BIN)/uv pip compile --quiet --upgrade --universal --python-version $(OLDEST) --all-extras \
		$(addprefix --group ,install lock test lint docs bench) --no-annotate \
		--custom-compile-command 'make lock' --output-file $(LOCK) pyproject.toml

# ome-zarr refuses 3.11.0.
OLDEST := 3.11.1

PAGE := $(shell find web -name node_modules -prune -o -type f -print)

# All but demo need the dependency group of their name in pyproject.toml as well.
$(VENV)/for-%: pyproject.toml $(LOCK) hatch_build.py $(PAGE) | $(VENV)/made
	@echo "Installing into $(VENV) what 'make $*' needs, and building the page if it changed"
	@$(PIP) install $(LOCKED) --editable '.[all]' $(addprefix --group ,$(filter-out demo,$*))
	@touch $@

# Dependency groups need pip 25.1, constraints of what builds pip 25.3. Debian has ensurepip, without which a Python cannot make an
# environment, in a package of its own.
$(VENV)/made:
	@for python in python3.13 python3.12 python3.11 python3; do \
		$$python -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' \
			2>/dev/null && found=$$python && break; \
	done; \
	if [ -z "$$found" ]; then \
		echo "Needed is Python 3.11 or newer that can make environments (python3 -m venv)."; \
		echo "Here python3 is $$(python3 --version 2>/dev/null || echo missing)."; \
		echo "On Debian or Ubuntu: apt-get install python3 python3-venv"; \
		exit 1; \
	fi >&2; \
	echo "Making $(VENV) with $$($$found --version)"; \
	$$found -m venv $(VENV)
	@$(PIP) install --constraint $(LOCK) --upgrade pip
	@touch $@
