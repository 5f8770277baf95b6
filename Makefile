# Everything a newcomer types. Each target installs what it needs; the second time is quick.
.DEFAULT_GOAL := help
.PHONY: help setup models demo demo-headless test lint format bench bench-face soak fuzz clean

SECONDS ?= 60
TIMES ?= 4
KILLS ?= 3000

help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/make \1\t\2/' | expand -t 22

setup: ## make .venv; the program is then .venv/bin/alicem
	@tools/setup run

models: setup ## fetch and convert the face networks (about 130 MB, once)
	@.venv/bin/alicem face models build

demo: models ## enrol and sign in, in a browser; prints one address
	@.venv/bin/alicem demo

demo-headless: models ## the same journey without a browser, in under a minute
	@.venv/bin/alicem demo --headless

test: ## every test
	@tools/setup test
	@.venv/bin/alicem face models build
	@.venv/bin/python tools/test

lint: ## ruff, mypy, import rules
	@tools/setup test
	@.venv/bin/ruff check . && .venv/bin/ruff format --check . && .venv/bin/mypy && .venv/bin/python -m pytest -q tests/test_structure.py

format: ## lay the code out
	@.venv/bin/ruff check --fix . && .venv/bin/ruff format .

bench: ## speed, each figure beside a peer where there is one
	@tools/setup test
	@.venv/bin/alicem face models build
	@.venv/bin/python -m bench

bench-face: ## rates of the face check: comparison, attacks by species; curves in build/bench-face (a quarter of an hour; TIMES=4)
	@tools/setup test
	@.venv/bin/alicem face models build
	@.venv/bin/python -m bench.face_report --times $(TIMES)

soak: ## kill the serving process KILLS=3000 times at random moments, on SQLite and PostgreSQL (some ten minutes)
	@tools/setup test
	@.venv/bin/python tests/accounts/soak.py $(KILLS)

fuzz: ## feed the parsers of chips and credentials nonsense, SECONDS=60 for each target
	@tools/setup test
	@.venv/bin/python -c 'import atheris' 2>/dev/null || \
		.venv/bin/python -m pip install -q --disable-pip-version-check --only-binary :all: --require-hashes -r requirements/fuzz.txt || \
		echo "no wheel of atheris for this Python on this machine: fuzzing goes on without coverage"
	@nice -n 19 .venv/bin/python -m fuzz --seconds $(SECONDS)

clean: ## remove what was made here (not the cache of networks)
	rm -rf .venv build src/alicem/web/static/vendor .mypy_cache .ruff_cache .pytest_cache .hypothesis
