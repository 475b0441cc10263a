# Every habit of this repository as one command. Needs Python 3.11 and make; all else goes into .venv.
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
SET_UP := $(VENV)/.set-up

.PHONY: help
help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1	\2/p' $(MAKEFILE_LIST) | expand -t 16

.PHONY: demo
demo: $(SET_UP) ## Simulate a retailer, run the whole graph, show the result
	$(BIN)/shelfops demo

# Many tests wait for processes that they have started: one worker more than there are cores keeps these busy.
TESTS = $(BIN)/python -m pytest -m "not soak" -n $$(n=$$(nproc); echo $$((n < 4 ? n + 1 : 4))) --durations=20

.PHONY: test
test: $(SET_UP) ## Run the tests, but not the long-running proofs
	$(TESTS)

.PHONY: coverage
coverage: $(SET_UP) ## The same, and how many lines of the domain and the API they ran, room by room
	$(TESTS) --cov --cov-report= --cov-fail-under=0
	$(BIN)/python scripts/coverage_by_room.py

.PHONY: soak
soak: $(SET_UP) ## Run the long-running proofs; writes docs/soak.md
	$(BIN)/python scripts/soak.py

.PHONY: stack
stack: $(SET_UP) ## Run the services of a server as processes here, the weekly retrain on them, and stop them
	$(BIN)/python scripts/stack.py

.PHONY: lint
lint: $(SET_UP) ## Check style, formatting and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

.PHONY: format
format: $(SET_UP) ## Format the code and sort its imports
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

.PHONY: docs
docs: $(SET_UP) ## Write the generated pages: docs/features.md, docs/settings.md
	$(BIN)/python scripts/feature_docs.py
	$(BIN)/python scripts/settings_docs.py

.PHONY: screenshots
screenshots: $(SET_UP) ## Take docs/images/ anew from the pages that `make demo` left; needs Chromium
	$(BIN)/python scripts/screenshots.py
	$(BIN)/python scripts/planner_screenshots.py

# Pins that are there and still fit are kept; `make lock LOCK_FLAGS=--upgrade` takes the newest that fit.
LOCK = $(BIN)/uv pip compile --quiet --python-version 3.11 --python-platform linux --no-annotate \
	--custom-compile-command 'make lock' $(LOCK_FLAGS) pyproject.toml

.PHONY: lock
lock: $(SET_UP) ## Pin the versions of pyproject.toml's extras in requirements*.txt
	$(LOCK) --all-extras --output-file requirements-dev.txt
	$(LOCK) --extra api --constraint requirements-dev.txt --output-file requirements.txt
	$(LOCK) --extra ml --extra s3 --constraint requirements-dev.txt --output-file requirements-ml.txt

.PHONY: images
images: $(SET_UP) ## Build the container images without an engine, run them, show their size; as root, on Debian
	$(BIN)/python scripts/check_images.py

.PHONY: clean
clean: ## Remove .venv, caches and build outputs; data and models (.shelfops) stay
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(SET_UP): requirements-dev.txt pyproject.toml
	@$(call make_venv)
	@echo "Installing the pinned packages into $(VENV) (minutes, once)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements-dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

# A .venv that works is kept; a broken or half-made one is made again.
IS_3_11 := -c 'import sys, venv; sys.exit(sys.version_info[:2] != (3, 11))'
define make_venv
	if $(BIN)/python $(IS_3_11) 2>/dev/null && $(BIN)/python -m pip --version >/dev/null 2>&1; then exit 0; fi; \
	for python in $(PYTHON) python3.11 python3; do \
		if $$python $(IS_3_11) 2>/dev/null; then found=$$python; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
		echo "ShelfOps needs Python 3.11: install it, or name it with make PYTHON=/path/to/python3.11" >&2; exit 1; \
	fi; \
	rm -rf $(VENV); \
	if ! $$found -m venv $(VENV) >/dev/null 2>&1; then \
		rm -rf $(VENV); \
		echo "$$found cannot make a virtual environment: install its venv module (Debian: python3.11-venv)" >&2; exit 1; \
	fi
endef
