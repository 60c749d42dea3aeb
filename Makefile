# Everything a person does here has a target; `make help` lists them. What a target needs, it sets up itself: a virtual
# environment in .venv from hashed requirements, the compiled extension, PostgreSQL for the tests. Stamps in .venv/stamp
# make a second run quick.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PY := $(BIN)/python
STAMP := $(VENV)/stamp
TOOLS := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/tallystick
CARGO_DENY := 0.20.2
NATIVE := $(shell find native -path native/target -prune -o \( -name '*.rs' -o -name 'Cargo.*' -o -name '*.toml' \) -print)
FUZZ_SECONDS ?= 120
SEEDS ?= 19999
KILLS ?= 300
JOBS ?= auto

export PYO3_PYTHON := $(CURDIR)/$(PY)
cargo = cargo $(1) --locked --manifest-path native/Cargo.toml

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: $(STAMP)/native $(STAMP)/verifier ## open, record, seal, prove, tamper: see who notices
	@$(BIN)/tallystick demo

.PHONY: check
check: lint ## all linters and the fast tests (< 3 minutes)
	$(PY) -m pytest -q -n $(JOBS) -m "not slow"

.PHONY: test
test: build postgresql hledger ## the whole suite, Rust and Python
	$(call cargo,test) --release --workspace --exclude tallystick-py
	$(PY) -m pytest -n $(JOBS)

.PHONY: bench
bench: build postgresql ## every benchmark; writes docs/benchmarks.md (about 15 minutes, needs the machine for itself)
	@mkdir -p .cache/bench && rm -f .cache/bench/*.jsonl
	@for name in limits tallystick layout evidence growth; do \
		echo "# $$name" >&2; $(PY) bench/bench_$$name.py | tee .cache/bench/bench_$$name.jsonl; done
	@if [ -d /dev/shm ]; then mkdir -p -m 755 /dev/shm/tallystick && echo "# without a disk" >&2 && \
		BENCH_DIR=/dev/shm/tallystick $(PY) bench/bench_tallystick.py | tee .cache/bench/memory.jsonl; fi
	$(PY) bench/table.py .cache/bench > docs/benchmarks.md

.PHONY: fuzz
fuzz: build ## all fuzz targets for FUZZ_SECONDS together (default 120)
	$(PY) -m tests.fuzz --seconds $(FUZZ_SECONDS)

.PHONY: soak
soak: build postgresql ## simulator and kill -9 for much longer than the suite (SEEDS, KILLS)
	SIMULATION_SEEDS=0-$(SEEDS) KILLS=$(KILLS) $(PY) -m pytest -n $(JOBS) --timeout 7200 tests/simulation tests/crash

.PHONY: build
build: $(STAMP)/native $(STAMP)/verifier $(STAMP)/test ## virtual environment, requirements, compiled extension

.PHONY: lint
lint: build ## linters, types, import layers; Python and Rust
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	cargo fmt --check --manifest-path native/Cargo.toml --all
	$(call cargo,clippy) --workspace --all-targets -- -D warnings

.PHONY: deny
deny: $(TOOLS)/bin/cargo-deny-$(CARGO_DENY) ## licences, sources and bans of all crates
	$< --manifest-path native/Cargo.toml --locked check --show-stats licenses bans sources

.PHONY: audit
audit: $(TOOLS)/bin/cargo-deny-$(CARGO_DENY) $(STAMP)/test ## known vulnerabilities of what we depend on (needs a network)
	$< --manifest-path native/Cargo.toml --locked check advisories
	$(PY) -m venv $(VENV)/audit && $(VENV)/audit/bin/pip install --quiet pip-audit
	$(VENV)/audit/bin/pip-audit --require-hashes --disable-pip -r requirements/runtime.txt

.PHONY: fmt
fmt: $(STAMP)/test ## format Python and Rust
	$(BIN)/ruff check --fix-only --exit-zero
	$(BIN)/ruff format
	cargo fmt --manifest-path native/Cargo.toml --all

.PHONY: docs
docs: build ## write the generated documents again
	$(PY) docs/generate.py

.PHONY: picture
picture: build ## draw the README's picture from what the demo prints
	$(PY) docs/picture.py

.PHONY: requirements
requirements: ## resolve requirements/*.in again (needs uv)
	cd requirements && for name in runtime test build; do \
		uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
			$(UPGRADE) $$name.in -o $$name.txt; done

.PHONY: wheel
wheel: $(STAMP)/runtime ## build the wheels of the product and of the verifier into dist/
	$(BIN)/maturin build --release --locked --out dist
	$(PY) -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist ./verifier

.PHONY: clean
clean: ## remove what was built, the environment included
	rm -rf $(VENV) dist native/target .mypy_cache .ruff_cache .pytest_cache .hypothesis src/tallystick/kernels/*.so

# --- what the targets above need --------------------------------------------------------------------------------------

$(PY):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or later is needed; say which with PYTHON=…" >&2; exit 78; }
	@$(PYTHON) -m venv $(VENV) || { echo "python3 -m venv does not work: apt-get install python3-venv" >&2; exit 78; }
	@mkdir -p $(STAMP)

$(STAMP)/runtime: requirements/runtime.txt requirements/build.txt | $(PY)
	@echo "installing hashed requirements into $(VENV)"
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/runtime.txt -r requirements/build.txt
	@mkdir -p $(@D) && touch $@

$(STAMP)/test: requirements/test.txt $(STAMP)/runtime
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/test.txt
	@mkdir -p $(@D) && touch $@

$(STAMP)/native: $(NATIVE) pyproject.toml README.md $(STAMP)/runtime
	@command -v cargo >/dev/null || { echo "Rust 1.89 or later is needed (cargo, rustfmt, clippy): https://rustup.rs" >&2; exit 78; }
	@echo "building the extension (a minute or two the first time)"
	@VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/maturin develop --release --locked >$(STAMP)/native.log 2>&1 || { cat $(STAMP)/native.log; exit 1; }
	@touch $@

$(TOOLS)/bin/cargo-deny-$(CARGO_DENY): # a few minutes, once per machine
	cargo install --quiet --locked cargo-deny@$(CARGO_DENY) --root $(TOOLS)
	@mv $(TOOLS)/bin/cargo-deny $@

$(STAMP)/verifier: verifier/pyproject.toml $(STAMP)/runtime
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable verifier
	@touch $@

.PHONY: postgresql
postgresql:
	@if compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || command -v initdb >/dev/null; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql; \
	else echo "PostgreSQL 15 or later is needed for the tests: sudo apt-get install postgresql" >&2; exit 78; fi

.PHONY: hledger
hledger: # reads what we export
	@if command -v hledger >/dev/null; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends hledger; \
	else echo "hledger is needed for the tests: sudo apt-get install hledger" >&2; exit 78; fi
