# `make test` is all that a fresh machine with Rust and make needs: it installs what the tests use.

SHELL := /bin/bash
.DEFAULT_GOAL := help
CARGO ?= cargo
TARGET := $(or $(CARGO_TARGET_DIR),target)
# Where tools that take long to build are kept between runs.
TOOLS ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/evalboard-tools
DENY := $(TOOLS)/bin/cargo-deny
DENY_VERSION := 0.20.2
# A virtual environment of its own for each list of packages.
FUZZ := $(TOOLS)/fuzz-$(shell sha256sum tests/fuzz/requirements.txt | cut -c1-12)
EXAMPLES ?= 500
S3 := $(TOOLS)/bin/s3s-fs
S3_VERSION := 0.14.1
KILLS ?= 500
IMAGES ?= 750
FAULTS ?= 20
SEED ?= 1
TIMES ?= 50

.PHONY: help test needs format lint surfaces docs licences advisories unit crash fuzz fuzzed smoke browser picture bench simulations clean

help: ## What can be made
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1\t/' | expand -t 12

test: needs format lint surfaces docs licences unit fuzzed browser smoke ## Everything that must hold before a change lands
	@echo "make test: all of it passed"

needs: ## Install the system packages that building and testing need
	@bash tools/needs.sh

format: ## Formatting, checked
	$(CARGO) fmt --all --check
	# Their modules are declared by a macro, which rustfmt does not follow.
	rustfmt --edition 2024 --check src/http/surfaces/*/mod.rs

lint: ## Lints; warnings are errors
	$(CARGO) clippy --all-targets --locked -- -D warnings

surfaces: ## The program compiles without each of the foreign APIs, and without any
	CARGO=$(CARGO) bash tools/surfaces.sh

docs: ## The crate's documentation builds without a warning
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --no-deps --locked --lib --quiet

licences: $(DENY) ## Licences and sources of dependencies
	$(DENY) check --hide-inclusion-graph licenses bans sources

advisories: $(DENY) ## Known vulnerabilities of dependencies; needs the network, so it is no part of `make test`
	$(DENY) check --hide-inclusion-graph advisories

$(DENY):
	$(CARGO) install --locked --root $(TOOLS) --version $(DENY_VERSION) cargo-deny

unit: $(S3) ## Unit, API and architecture tests, with the client of Vercel Blob and an S3 server
	@bash tools/needs.sh client
	npm ci --prefix tests/client --no-fund --no-audit
	EVALBOARD_CLIENT=1 EVALBOARD_DISK=1 EVALBOARD_S3=$(S3) $(CARGO) test --locked

$(S3):
	$(CARGO) install --locked --root $(TOOLS) --version $(S3_VERSION) --features binary s3s-fs

crash: ## Kill the server KILLS times, cut its power IMAGES times, FAULTS rounds of other faults; nothing may be lost
	EVALBOARD_KILLS=$(KILLS) EVALBOARD_IMAGES=$(IMAGES) EVALBOARD_FAULTS=$(FAULTS) \
		$(CARGO) test --locked --test api -- --nocapture crash:: faults::

fuzz: $(FUZZ)/done ## Ask the API EXAMPLES times what its document allows and what it does not, starting from SEED
	$(CARGO) build --locked --bin evalboard
	PROPTEST_CASES=20000 $(CARGO) test --locked --lib
	$(FUZZ)/bin/python tests/fuzz/run.py $(TARGET)/debug/evalboard --examples $(EXAMPLES) --seed $(SEED)

fuzzed: $(FUZZ)/done
	$(CARGO) build --locked --bin evalboard
	$(FUZZ)/bin/python tests/fuzz/run.py $(TARGET)/debug/evalboard --seed $(SEED)

$(FUZZ)/done:
	@bash tools/needs.sh fuzz
	python3 -m venv --clear $(FUZZ)
	$(FUZZ)/bin/pip install --quiet --disable-pip-version-check --requirement tests/fuzz/requirements.txt
	touch $@

smoke: ## The benchmarks still run (small, once, unoptimised; no figures)
	$(CARGO) build --locked --bin evalboard
	bash bench/run.sh $(TARGET)/debug/evalboard --smoke

browser: ## The pages in a real browser: links, scripts, accessibility; keeps tests/browser/screenshots
	@bash tools/needs.sh browser
	npm ci --prefix tests/browser --no-fund --no-audit
	EVALBOARD_BROWSER=1 $(CARGO) test --locked --test browser

picture: browser ## The README's picture, from the board of the demo
	cp tests/browser/screenshots/picture.light.png docs/board.light.png
	cp tests/browser/screenshots/picture.dark.png docs/board.dark.png

bench: ## Measure against the yardsticks and the peers; writes bench/RESULTS.md
	$(CARGO) build --release --locked --bin evalboard
	bash bench/run.sh $(TARGET)/release/evalboard
	$(MAKE) simulations

simulations: ## The seeded simulations of the statistics, TIMES as large; shows the shares that bench/RESULTS.md has
	EVALBOARD_SIMULATIONS=$(TIMES) $(CARGO) test --release --locked --lib domain::stats -- --nocapture simulations coverage

clean: ## Remove what was built
	$(CARGO) clean
