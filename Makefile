# A fresh machine needs Python 3.11 or newer, make and a package registry. PYTHON=/path/to/python chooses the interpreter.
.DEFAULT_GOAL := help
.PHONY: help install services demo ui sandbox test test-all test-2.11 test-lowest test-airflow test-combined test-kill test-cluster test-browser test-vendor soak matrix matrix-short docs docs-links package bench lint format clean
SHELL := /bin/bash

# Otherwise, each process that the tests start would compile the provider again.
unexport PYTHONDONTWRITEBYTECODE

# Most tests wait for something, so two cores run four at a time. Files share what they start, so each runs in one
# process.
IN_PARALLEL := -n 4 --dist loadfile
# The table of downstream results, XCom backends, the demo and the tutorial.
ON_AIRFLOW := tests/real_airflow tests/operators/test_xcom_backend.py tests/tools/test_demo.py tests/test_walkthroughs.py
PINS := pyproject.toml tools/venv.sh tools/find_python.sh
# Airflow 2.11 refuses Python 3.13.
MINORS_3 := 11 12 13 14
MINORS_2 := 11 12

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9.%-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: .venv/.installed ## Create .venv with Airflow 3.3, pinned (the other targets run it themselves)

services: ## Find PostgreSQL, Redis and Chromium, which some tests need; on Debian as root, install them
	"$$(tools/find_python.sh "make services" "$(MINORS_3)")" -m tools.debian

demo: .venv/.installed ## Run the example DAGs on a real Airflow 3.3 against the sandbox
	.venv/bin/python -m tools.demo

ui: .venv/.installed ## Open the example DAGs and the sandbox in a browser; Ctrl-C stops both
	.venv/bin/python -m tools.ui

sandbox: .venv/.installed ## Run the sandbox in the foreground (ARGS="--port 8090")
	.venv/bin/python -m airflow_provider_workato.sandbox $(ARGS)

test: .venv/.installed ## Run the tests on Airflow 3.3 (ARGS=--cov fails below 95 % branch coverage)
	.venv/bin/python -m pytest $(IN_PARALLEL) $(ARGS)

test-2.11: .venv-2.11/.installed ## Run the same tests on Airflow 2.11.2
	.venv-2.11/bin/python -m pytest $(IN_PARALLEL) $(ARGS)

test-lowest: .venv-lowest/.installed ## Run the same tests on Airflow 2.11.0 with the lowest supported versions
	.venv-lowest/bin/python -m pytest $(IN_PARALLEL) $(ARGS)

test-airflow: .venv/.installed ## Run DAGs, the demo and the tutorial on a real Airflow 3.3, and check what downstream tasks receive (minutes; CONSUMER_TABLE=short)
	.venv/bin/python -m pytest -m airflow $(ARGS) $(ON_AIRFLOW)

test-airflow-%: .venv-%/.installed ## The same on another line, e.g. make test-airflow-3.1 (2.11, 3.0, 3.1, 3.2)
	.venv-$*/bin/python -m pytest -m airflow $(ARGS) $(ON_AIRFLOW)

test-kill: .venv/.installed ## Kill real task and triggerer processes, and check the outcome (minutes)
	.venv/bin/python -m pytest -m kill -s $(ARGS)

test-combined: .venv/.installed ## Play random histories of tasks, waits, faults and kills, and check them against a model (minutes)
	.venv/bin/python -m pytest -n 2 -m combined -rP tests/combined $(ARGS)

test-cluster: .venv-cluster/.installed ## Play scenarios on Celery workers, or on Edge workers, and two triggerers (minutes; ARGS="--edge --short")
	.venv-cluster/bin/python -m pytest -m cluster -s -o faulthandler_timeout=1200 tests/cluster $(ARGS)

test-browser: .venv-browser/.installed docs ## Click through Airflow, the sandbox and the pages in Chromium (minutes; ARGS=--update-docs)
	.venv-browser/bin/python -m pytest -m browser tests/browser $(ARGS)

test-vendor: .venv/.installed .venv-vendor/.installed ## Run the vendor's command line and, where terraform is, its Terraform provider against the sandbox
	.venv/bin/python -m pytest -n 2 -m vendor tests/vendor $(ARGS)

# Of the slowest, `.ci/run` runs short forms.
test-all: ## Run every suite as a whole, and the matrix, as a release needs it (hours)
	$(MAKE) lint docs
	$(MAKE) test ARGS=--cov
	$(MAKE) test-2.11 test-lowest test-airflow-2.11 test-airflow test-combined test-kill test-browser test-vendor
	$(MAKE) test-cluster
	$(MAKE) test-cluster ARGS=--edge
	$(MAKE) matrix

soak: .venv-cluster/.installed ## Keep a Celery cluster busy for 30 minutes (ARGS="--minutes 5"); writes docs/soak.md, and benchmarks.md
	.venv-cluster/bin/python -m tools.soak $(ARGS)

matrix: .venv-tools/.installed ## Test every supported Airflow and Python, wheel and sdist; writes docs/compatibility.md (minutes)
	rm -rf build/matrix
	.venv-tools/bin/python -m nox --session distributions leg constrained installed show $(if $(ARGS),-- $(ARGS))

matrix-short: .venv-tools/.installed ## The same for two legs and the wheel only
	rm -rf build/matrix
	.venv-tools/bin/python -m nox --tags short $(if $(ARGS),-- $(ARGS))

docs: .venv-docs/.installed ## Build the pages into build/docs; a warning is an error
	rm -rf build/docs build/doctrees docs/reference/generated
	.venv-docs/bin/python -m sphinx -q -W --keep-going -d build/doctrees docs build/docs
	@echo build/docs/index.html

docs-links: .venv-docs/.installed ## Check the pages' links to other sites (needs the network)
	.venv-docs/bin/python -m sphinx -q -b linkcheck -d build/doctrees docs build/links

package: .venv-tools/.installed ## Build wheel and sdist into build/dist, and check them (RELEASE_TAG=v1.2.3: as a release)
	.venv-tools/bin/python -m tools.matrix.distributions

bench: .venv-bench/.installed ## Compare with the alternatives; writes docs/benchmarks.md
	.venv-bench/bin/python -m tools.bench $(ARGS)

lint: .venv/.installed .venv-tools/.installed ## Check with ruff, mypy --strict and the linters of the GitHub workflows
	.venv/bin/python -m ruff check .
	.venv/bin/python -m ruff format --check .
	.venv/bin/python -m mypy
	.venv-tools/bin/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	.venv-tools/bin/check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
	.venv-tools/bin/zizmor --offline --quiet .github

format: .venv/.installed ## Format the code with ruff, and write the table of settings in docs/
	.venv/bin/python -m ruff check --fix .
	.venv/bin/python -m ruff format .
	.venv/bin/python -m tools.settings_table

clean: ## Remove the environments and all caches
	rm -rf .venv .venv-2.11 .venv-3.0 .venv-3.1 .venv-3.2 .venv-lowest .venv-cluster .venv-browser .venv-docs .venv-bench .venv-tools .venv-vendor .nox
	rm -rf .venv-uv
	rm -rf .coverage .coverage.* htmlcov build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis docs/reference/generated
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/.installed: $(PINS) constraints/airflow-3.3.txt
	tools/venv.sh .venv constraints/airflow-3.3.txt "$(MINORS_3)" test lint cluster lineage

.venv-2.11/.installed: $(PINS) constraints/airflow-2.11.txt
	tools/venv.sh .venv-2.11 constraints/airflow-2.11.txt "$(MINORS_2)" test cluster lineage

# Airflow 3.0 refuses Python 3.13, too. The targets are listed, so that another version is an error.
.venv-3.0/.installed .venv-3.1/.installed .venv-3.2/.installed: .venv-%/.installed: $(PINS) constraints/airflow-%.txt
	tools/venv.sh .venv-$* constraints/airflow-$*.txt "$(MINORS_2)" test cluster

.venv-lowest/.installed: $(PINS) constraints/lowest.txt
	tools/venv.sh .venv-lowest constraints/lowest.txt "$(MINORS_2)" test

.venv-cluster/.installed: $(PINS) constraints/airflow-3.3.txt
	tools/venv.sh .venv-cluster constraints/airflow-3.3.txt "$(MINORS_3)" test cluster executors

.venv-browser/.installed: $(PINS) constraints/airflow-3.3.txt
	tools/venv.sh .venv-browser constraints/airflow-3.3.txt "$(MINORS_3)" test cluster browser

.venv-docs/.installed: $(PINS) constraints/docs.txt
	tools/venv.sh .venv-docs constraints/docs.txt "$(MINORS_3)" docs

.venv-bench/.installed: $(PINS) constraints/bench.txt
	tools/venv.sh .venv-bench constraints/bench.txt "$(MINORS_3)" bench cluster

.venv-tools/.installed: $(PINS) constraints/tools.txt
	tools/venv.sh .venv-tools constraints/tools.txt "$(MINORS_3)" tools

.venv-vendor/.installed: $(PINS) constraints/vendor.txt
	tools/venv.sh .venv-vendor constraints/vendor.txt "$(MINORS_3)" vendor
