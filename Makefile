# Everything a developer or the CI calls. `make help` lists it. Needs GNU make, git and Python 3.11 or newer, no more.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
# Two pips in one environment would step on each other.
.NOTPARALLEL:
MAKEFLAGS += --no-builtin-rules

# The newest Python that runs. Names are tried by running them: a pyenv shim exists as a name and still fails.
# `_base_executable`, so that an activated virtual environment is not taken as the base of a new one.
PYTHON_CHECK := import sys, ensurepip, venv; assert sys.version_info >= (3, 11); print(sys._base_executable)
# Looked for once, and only when a target needs it.
PYTHON ?= $(eval PYTHON := $(shell for name in python3.13 python3.12 python3.11 python3; do \
	"$$name" -c '$(PYTHON_CHECK)' 2>/dev/null && break; done))$(PYTHON)

VENV := .venv
HUNTER_VENV := .venv-hunter
BIN := $(VENV)/bin
PYTEST := $(BIN)/python -m pytest --numprocesses=3 --dist=loadfile --no-loadscope-reorder

# Child processes (ansible-playbook, psql wrappers, molecule) must find our tools first, whatever is installed besides.
export PATH := $(CURDIR)/$(BIN):$(PATH)
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Some images forbid it to write bytecode; then each of thousands of processes compiles Ansible anew.
unexport PYTHONDONTWRITEBYTECODE
# Ansible refuses to start in a locale that is not UTF-8; bare containers have none.
ifneq ($(shell locale charmap 2>/dev/null),UTF-8)
export LC_ALL := C.UTF-8
endif

# Without --no-compile pip byte-compiles every collection of Ansible, 40 of 60 seconds; Python does it for the few in use.
PIP_INSTALL := -m pip install --quiet --no-input --no-compile --require-hashes
# Links module_utils/rollback to the name that modules import it by, for mypy; see [tool.mypy] in pyproject.toml.
TYPING_LINK := .tools/typing/ansible/module_utils/rollback

# Universal: one file serves Python 3.11 to 3.13 on every platform, and plain pip installs it. The smaller lock constrains
# the larger one, so that what is tested is what operators run. The index is left to the machine's own settings.
UV_COMPILE := UV_CUSTOM_COMPILE_COMMAND='make lock' .tools/uv/bin/uv pip compile --quiet --universal \
	--generate-hashes --no-emit-index-url --upgrade

##@ Use

.PHONY: help
help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: setup
setup: $(VENV)/.lab $(HUNTER_VENV)/.installed ## Create .venv and .venv-hunter, exactly as the lock files say

.PHONY: demo
demo: setup ## Break the example application and roll it back, on throwaway servers of its own
	$(BIN)/python examples/hunter/demo.py $(DEMO_ARGS)

##@ Develop

.PHONY: setup-dev
setup-dev: setup $(VENV)/.dev ## Add the tools for tests and lint to .venv

.PHONY: test
test: setup-dev ## Run every test this machine can run, and say which real parts are missing (TEST_ARGS="-k swap")
	$(PYTEST) -m "not long and not nightly" tests/unit tests/contract tests/integration $(TEST_ARGS)

.PHONY: runs
runs: setup-dev ## More whole runs: downgrades and their refusals, worlds, restores in place
	$(PYTEST) --numprocesses=4 -m "long and not nightly" tests/integration $(TEST_ARGS)

.PHONY: chaos
chaos: setup-dev ## Kill what takes part in a run, cut connections and fill disks, at every point (TEST_ARGS="-k module")
	$(PYTEST) tests/chaos $(TEST_ARGS)

.PHONY: engine
engine: setup-dev ## Switch versions of an application in containers (needs a Docker engine, Compose, docker-registry, debootstrap)
	$(BIN)/python -m pytest --numprocesses=3 --dist=loadfile -m "not nightly" tests/engine $(TEST_ARGS)

.PHONY: cluster
cluster: setup-dev ## Switch versions of an application on an emulated Kubernetes API (needs kubectl)
	$(BIN)/python -m pytest --numprocesses=4 -m "not nightly" tests/cluster $(TEST_ARGS)

.PHONY: scenarios
scenarios: setup-dev ## Run the Molecule scenarios, which play the real playbooks from beginning to end
	$(BIN)/python -m pytest --numprocesses=3 --maxschedchunk=1 -m "not nightly" tests/scenarios $(TEST_ARGS)

.PHONY: histories
histories: setup-dev ## Judge migrations of other projects (downloaded), and take a sample of them back for real
	$(PYTEST) --numprocesses=2 tests/histories $(TEST_ARGS)

.PHONY: corpus
corpus: setup-dev ## Back up, restore and undo databases with every kind of definition, on every version (TEST_ARGS="-k rights")
	$(BIN)/python -m pytest --numprocesses=2 --dist=loadscope -m "not nightly" tests/corpus $(TEST_ARGS)

.PHONY: nightly
nightly: setup-dev ## What is slow and seldom breaks: the corpus in place, every world, fleets, remote backups, deaths, benchmarks, PostgreSQL 16
	$(BIN)/python -m pytest --numprocesses=2 --dist=loadscope -m nightly tests/corpus $(TEST_ARGS)
	$(PYTEST) -m nightly tests/integration --ignore=tests/integration/test_world_matrix.py $(TEST_ARGS)
	$(BIN)/python -m pytest --numprocesses=2 -m nightly tests/integration/test_world_matrix.py $(TEST_ARGS)
	$(BIN)/python -m pytest -m nightly tests/engine tests/cluster tests/scenarios $(TEST_ARGS)
	$(PYTEST) tests/chaos $(TEST_ARGS)

.PHONY: lint
lint: lint-python lint-types lint-yaml lint-ansible ## Check style, types, YAML and Ansible content; changes nothing

.PHONY: lint-python lint-types lint-yaml lint-ansible
lint-python: $(VENV)/.dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check

lint-types: $(VENV)/.dev $(TYPING_LINK)
	$(BIN)/mypy

lint-yaml: $(VENV)/.dev
	$(BIN)/yamllint --strict .

lint-ansible: $(VENV)/.dev
	$(BIN)/ansible-lint --offline

.PHONY: format
format: $(VENV)/.dev ## Let ruff fix and format what it safely can
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

.PHONY: lock
lock: ## Resolve the newest allowed versions into requirements/*.txt (needs network; fetches uv into .tools)
	@$(PYTHON) -m venv .tools/uv
	@.tools/uv/bin/python -m pip install --quiet --upgrade uv
	$(UV_COMPILE) --python-version 3.9 requirements/target.in -o requirements/target.txt
	$(UV_COMPILE) --python-version 3.11 pyproject.toml -o requirements/run.txt
	$(UV_COMPILE) --python-version 3.11 pyproject.toml --group lab -c requirements/run.txt -o requirements/lab.txt
	$(UV_COMPILE) --python-version 3.11 pyproject.toml --group lab --group dev -c requirements/lab.txt -o requirements/dev.txt
	$(UV_COMPILE) --python-version 3.11 examples/hunter/requirements.in -o examples/hunter/requirements.txt
	$(UV_COMPILE) --python-version 3.11 --overrides tests/histories/overrides.txt \
		$(addprefix --no-emit-package ,apache-airflow apache-airflow-core jupyterhub mlflow-skinny optuna prefect) \
		tests/histories/requirements.in -o tests/histories/requirements.txt

.PHONY: clean
clean: ## Remove virtual environments, caches, reports and the demo's leftovers
	rm -rf $(VENV) $(HUNTER_VENV) .tools .demo .ansible .ruff_cache .mypy_cache .pytest_cache .hypothesis reports
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# ---------------------------------------------------------------------------------------------------------------------

# pip does not remove a broken environment (say, its Python was uninstalled); --clear does.
define create_venv
	@if [ -z '$(PYTHON)' ] || ! '$(PYTHON)' -c '$(PYTHON_CHECK)' >/dev/null 2>&1; then \
		echo 'make: no usable Python: 3.11 or newer with venv is needed (on Debian: apt install python3-venv).' >&2; \
		echo '      PYTHON is "$(PYTHON)"; name another one with: make PYTHON=/path/to/python3.12 ...' >&2; \
		exit 1; \
	fi
	@if ! $(1)/bin/python -c 'import pip' 2>/dev/null; then \
		echo "Creating $(1) with $$('$(PYTHON)' --version)"; \
		'$(PYTHON)' -m venv --clear $(1); \
	fi
endef

# The stamps are named after what is inside. A changed lock makes them old; pip then changes only what differs.
$(VENV)/.lab: requirements/lab.txt
	$(call create_venv,$(VENV))
	@echo 'Installing requirements/lab.txt'
	@$(BIN)/python $(PIP_INSTALL) -r $<
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.lab
	@echo 'Installing requirements/dev.txt'
	@$(BIN)/python $(PIP_INSTALL) -r $<
	@touch $@

# The example application has an environment of its own, as an application has: it must never see ours.
$(HUNTER_VENV)/.installed: examples/hunter/requirements.txt
	$(call create_venv,$(HUNTER_VENV))
	@echo 'Installing $<'
	@$(HUNTER_VENV)/bin/python $(PIP_INSTALL) -r $<
	@touch $@

$(TYPING_LINK):
	@mkdir -p $(@D)
	@ln -sfn ../../../../module_utils/rollback $@
