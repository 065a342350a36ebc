# Two commands for everyone: `make demo` and `make test`. Each builds what it needs in .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := build/demo

# What 'jc rehearse --executor shell' runs pipelines with; Node itself comes as a package as well. A test of pages asks axe.
REHEARSAL_TOOLS := node@22.23.3 gitlab-ci-local@4.75.1 axe-core@4.14.1

.PHONY: demo test test-again test-properties test-components lint format schemas benchmark lock rehearsal-tools ray site clean

demo: $(VENV)/.ready
	$(BIN)/jc create-jobs --offline -o $(DEMO)/generated_pipeline.yaml
	@echo
	@echo "Look at $(DEMO)/generated_pipeline.yaml, the pipeline that GitLab would run, and at the merged environments"
	@echo "beside it. Then edit something in container_definitions/ and run 'make demo' or '$(BIN)/jc check' again."
	@echo
	@echo "How the whole chain would go, with ten runners and an empty build cache:"
	$(BIN)/jc rehearse

test: $(VENV)/.ready-dev
	$(BIN)/pytest -n auto --dist loadgroup -m "not components"

# Properties alone; with HYPOTHESIS_PROFILE=ci, a hundred examples of each.
test-properties: $(VENV)/.ready-dev
	$(BIN)/pytest -n auto --dist loadgroup -m "hypothesis and not components"

# What failed in the run before, one test after the other: what passes now is late on a busy machine, and wants mending.
test-again: $(VENV)/.ready-dev
	@echo "once more, alone, what has failed; a test that passes only now is to be mended"
	$(BIN)/pytest --last-failed --last-failed-no-failures none -v

# What needs buildah, Ceph, gpg and the like. What is not installed is skipped, with one line for each program.
test-components: $(VENV)/.ready-dev
	$(BIN)/pytest -n auto --dist loadgroup -m components

lint: $(VENV)/.ready-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.ready-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

schemas: $(VENV)/.ready
	$(BIN)/jc schema site > job_creator/schemas/site.schema.json
	$(BIN)/jc schema definition > job_creator/schemas/definition.schema.json

benchmark: $(VENV)/.ready-dev
	$(BIN)/python -m benchmarks.pipelines.base_pipeline
	$(BIN)/python -m benchmarks.pipelines.container_pipeline
	$(BIN)/python -m benchmarks.pipelines.get_artifacts
	$(BIN)/python -m benchmarks.pipelines.rehearsal

# Of one engine of 'jc build', and large: not among what all developers install, nor what CI does.
ray: $(VENV)/.ready-ray

$(VENV)/.ready-ray: $(VENV)/.ready-dev requirements-ray.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-ray.txt
	@touch $@

# The documentation with search, in build/site; fails where a link leads nowhere.
site: $(VENV)/.ready-site
	$(BIN)/mkdocs build --site-dir build/site

$(VENV)/.ready-site: $(VENV)/.ready-dev requirements-site.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-site.txt
	@touch $@

rehearsal-tools: build/node_modules/.ready

build/node_modules/.ready: Makefile $(VENV)/.ready-dev
	@command -v npm > /dev/null || { echo "npm is needed (Debian, Ubuntu: apt install npm)" >&2; exit 1; }
	npm install --prefix build --no-save --no-package-lock --no-audit --no-fund --loglevel=error $(REHEARSAL_TOOLS)
	@touch $@

# Anew after a change of the dependencies in pyproject.toml.
lock: $(VENV)/.ready-dev
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-header pyproject.toml -o requirements.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-header pyproject.toml --extra splices --extra mpi --group dev \
	  -c requirements.txt -o requirements-dev.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-header pyproject.toml --extra ray \
	  -c requirements-dev.txt -o requirements-ray.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-header --group site \
	  -c requirements-dev.txt -o requirements-site.txt
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --python-version 3.10 --no-header \
	  builder/requirements.in -o builder/requirements.txt

clean:
	rm -rf $(VENV) build dist

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed; name one: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) \
	  || { rm -rf $(VENV); echo "Python's venv module is needed (Debian, Ubuntu: apt install python3-venv)" >&2; exit 1; }

$(VENV)/.ready: $(VENV)/bin/python requirements.txt pyproject.toml
	@echo "installing into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

$(VENV)/.ready-dev: $(VENV)/.ready requirements-dev.txt
	@echo "installing what the tests need into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@
