# The one door. `make run` and `make test` need nothing but Python 3.11+ and make.
.DEFAULT_GOAL := help
BIN := .venv/bin

help:            ## show these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-7s %s\n", $$1, $$2}' Makefile

setup: .venv/.ready  ## create .venv from uv.lock

.venv/.ready: uv.lock pyproject.toml scripts/setup.sh
	scripts/setup.sh
	@touch $@

run: setup       ## capture this host's traffic, load, roll up, archive and query it
	$(BIN)/gateway tour

up: setup        ## capture, Dagster UI and daemon, in the foreground
	$(BIN)/gateway up

check: setup     ## format, lint, types, imports
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: check      ## everything that must hold
	$(BIN)/pytest -n 2 --dist worksteal

bench: setup     ## speed beside what would be used otherwise, as ratios
	for name in load tiering bridge capture; do $(BIN)/python bench/$$name.py || exit 1; done

docs: setup      ## write the generated pages of docs/ again
	$(BIN)/python docs/generate.py

clean:           ## remove the environment and caches; data/ stays
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis dist

.PHONY: help setup run up check test bench docs clean
