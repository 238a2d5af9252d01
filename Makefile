# SPDX-License-Identifier: Apache-2.0
# Every verb a contributor needs; continuous integration runs the same ones. `make help` lists them.

# The Python that .venv is made with; 3.11 or newer.
PYTHON ?= python3
# Groups of system packages that `make setup` sees to, as deploy/install-system-packages.sh knows them.
NEEDS ?= build hypervisor servers
# How many tests run side by side.
JOBS ?= 2
# What `make test-openstack` runs.
OPENSTACK_ARGS ?= tests/openstack
# What `make bench` measures.
BENCH_ARGS ?= all

BIN := .venv/bin
ALARMD := $(BIN)/alarmd
SET_UP := $(MAKE) --no-print-directory setup

export PYTHON

.DEFAULT_GOAL := help
.PHONY: help setup check test test-openstack faults demo bench fix lock build clean

help: ## List the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

setup: ## Install what is needed: system packages where apt may, and .venv as requirements.lock says
	@deploy/install-system-packages.sh $(NEEDS)
	@deploy/make-venv.sh

demo: ## Show the whole loop on real virtual machines (DEMO_ARGS=--json for scripts)
	@$(SET_UP) NEEDS="build hypervisor"
	@$(ALARMD) demo $(DEMO_ARGS)

test: ## Run all tests against the real libvirt, QEMU, PostgreSQL and Redis (TEST_ARGS="-k window")
	@$(SET_UP) NEEDS="build hypervisor servers"
	$(BIN)/pytest -n $(JOBS) --dist loadscope -m "not alone" $(TEST_ARGS) || [ $$? -eq 5 ]  # 5: no such test
	$(BIN)/pytest -m alone $(TEST_ARGS) || [ $$? -eq 5 ]

test-openstack: ## Meet today's clients, the real Aodh, Heat, Keystone and Gnocchi (OPENSTACK_ARGS="tests/openstack -k quota")
	@$(SET_UP) NEEDS="build servers"
	@deploy/make-openstack-venv.sh
	$(BIN)/pytest -n $(JOBS) --dist loadscope $(OPENSTACK_ARGS)

faults: ## Break things around alarmd for hours, and write docs/fault-report.md (FAULTS_ARGS="--short --json")
	@$(SET_UP) NEEDS="build servers"
	$(BIN)/python -m tests.faults $(FAULTS_ARGS)

check: ## Lint, format, types, import layers, and whether the lock file fits
	@$(SET_UP) NEEDS="build"
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pip check
	$(BIN)/pytest -q tests/architecture/test_lock.py

bench: ## Measure all figures, or one (BENCH_ARGS="tick --alarms 100000 --vs-prometheus --json")
	@$(SET_UP) NEEDS="build hypervisor benchmark"
	$(BIN)/python -m benchmarks $(BENCH_ARGS)

fix: ## Let ruff format the code and fix what it can
	@$(SET_UP) NEEDS="build"
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

lock: ## Write both lock files anew from what is asked for (needs the package index)
	@deploy/lock.sh

build: ## Build the source distribution and the wheel into dist/
	@$(SET_UP) NEEDS="build"
	$(BIN)/python -m build --no-isolation

clean: ## Remove everything that these verbs have made, .venv too
	rm -rf .venv .venv-openstack .venv-lock build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find alarmd -name '*.so' -delete
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
