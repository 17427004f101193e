# Everything runs in the environment that ./btc-scanner builds on first use (.venv, or $BTC_SCANNER_VENV).
# Further arguments: make demo ARGS="--seconds 20", make test ARGS="-k notifier -x"
DEV := ./btc-scanner --dev
ARGS :=

.PHONY: help setup demo up test test-deploy check docs bench stops chaos soak fuzz lock clean
.DEFAULT_GOAL := help

help:
	@echo "BTC Scalping Scanner. For education; not financial advice."
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## build the environment for running, testing and developing
	@$(DEV)
	@echo "Ready: make test, make demo"

demo: ## one minute of signals from a simulated market; needs no configuration
	@./btc-scanner demo $(ARGS)

up: ## run against the configured exchange and channels until Ctrl-C
	@./btc-scanner up $(ARGS)

WORKERS := 2
test: ## run all tests, two files at a time (WORKERS=1)
	@$(DEV)
	@command -v redis-server >/dev/null || command -v valkey-server >/dev/null \
		|| echo "No redis-server here: tests use the bundled Valkey only (sudo apt install redis-server adds the other)."
	@$(DEV) -m pytest -q -n $(WORKERS) --dist loadfile $(ARGS)

check: ## check style and types, scripts, units and what makes containers
	@$(DEV) -m ruff check .
	@$(DEV) -m ruff format --check .
	@$(DEV) -m mypy
	@bash deploy/check.sh
	@bash deploy/check_containers.sh

# Installs on machines of its own, and runs in containers of its own. Takes minutes, so it is no part of `make test`.
test-deploy: ## install on a fresh systemd machine, and run in containers (needs docker)
	@if docker info >/dev/null 2>&1; then \
		BTC_SCANNER_TEST_DEPLOY=1 $(DEV) -m pytest -q -s tests/deploy $(ARGS); \
	else \
		echo "No container engine here (docker info fails): the deployment tests were skipped."; \
	fi

docs: ## write the tables of docs/delivery.md from the code
	@$(DEV) -m cli.answer_tables

bench: ## measure latency, memory and speed, beside the targets
	@$(DEV) -m bench $(ARGS)

stops: ## how long services take to end by SIGTERM under load (ARGS="--times 50")
	@$(DEV) -m bench.stops $(ARGS)

SEEDS := 1 2 3 4 5
chaos: ## a week of a market under faults of all kinds, from five seeds (SEEDS="1 2 3")
	@$(DEV) -m sim.write_market out/chaos/week.csv --days 7
	@for seed in $(SEEDS); do \
		./btc-scanner replay out/chaos/week.csv --speed max --chaos $$seed --out out/chaos/$$seed || exit; \
	done

soak: ## thousands of signals by killed notifiers to failing peers, and an outage (ARGS="--signals 500")
	@$(DEV) -m soak --signals 10000 --replicas 3 --seconds-between-kills 1 --seed 1 $(ARGS)

SECONDS := 60
fuzz: ## feed every reader spoilt input (SECONDS=600; ARGS="--target state --seed 7")
	@$(DEV) -m fuzz --seconds $(SECONDS) $(ARGS)

# uv resolves for every platform and Python at once. What is locked stays; UPGRADE=1 takes the newest.
lock: ## lock the requirements, with hashes (UPGRADE=1: to the newest versions)
	@$(DEV)
	@folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && \
	$(DEV) -m venv "$$folder" && "$$folder/bin/python" -m pip install --quiet uv && \
	for name in requirements requirements-dev; do \
		"$$folder/bin/uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
			--no-emit-index-url --no-emit-find-links $(if $(UPGRADE),--upgrade) $$name.in -o $$name.txt || exit; \
	done

clean: ## remove the environment, caches and generated files; keeps config.json, logs and run
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis out
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
