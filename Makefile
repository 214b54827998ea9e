# Each command sets up first what it needs; `make` alone lists them.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help setup demo test unit bench bench-api fmt up down contracts lock clean

PYTHON := .venv/bin/python
RUN := PYTHONUNBUFFERED=1 $(PYTHON) -m

help:  ## List the commands
	@sed -n 's/^\([a-z-]*\):.*## *\(.*\)/  make \1	\2/p' Makefile | expand -t 20

setup:  ## Make .venv from the locks; returns at once when nothing has changed
	@command -v python3 >/dev/null || { \
	  echo 'There is no python3 here. Do: apt-get install python3 python3-venv'; exit 1; }
	@python3 -m deploy.local.setup

demo: setup  ## Run whole campaigns on private servers and show them live (2 minutes)
	@$(RUN) deploy.demo

test: setup  ## Lint, types, imports and all tests, on private servers (about 17 minutes)
	@$(RUN) deploy.local.check

unit: setup  ## Run the pure tests: seconds, no servers
	@$(RUN) pytest tests/unit

bench: setup  ## Measure the collider, on private servers (30 minutes; QUICK=1: 5, BENCH='exact reply')
	@$(RUN) tests.bench $(BENCH) $(if $(QUICK),--quick)

bench-api: setup  ## Measure the HTTP API: 200 senders who click as fast as they can (2 minutes)
	@$(RUN) tests.bench api $(if $(QUICK),--quick)

fmt: setup  ## Put the code into its one format and repair what the linter can
	@$(RUN) ruff check --fix .
	@$(RUN) ruff format .

up: setup  ## Start the platform in the background; prints addresses, tokens, curl lines
	@$(RUN) deploy.local.stay up

down:  ## Stop what `make up` started
	@test ! -x $(PYTHON) || $(RUN) deploy.local.stay down

contracts: setup  ## Write the JSON Schema of every event to shared/contracts
	@$(RUN) shared.contracts

lock: setup  ## Compile requirements*.in anew, to the newest versions that they allow
	@for name in requirements requirements-dev tests/bench/peers/requirements; do \
	  $(RUN) uv pip compile $$name.in --output-file $$name.txt --upgrade --quiet \
	    --universal --python-version 3.11 --generate-hashes \
	    --no-header --no-annotate --no-emit-index-url --no-emit-find-links || exit 1; \
	done

clean: down  ## Remove .venv, .local and the private servers' programs and data
	@rm -rf "$$(python3 -m deploy.local.state)" .venv .local
