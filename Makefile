# The verbs of this repository. `make help` lists them.

TARGET := $(or $(CARGO_TARGET_DIR),target)
BINS := --bin conductor-manager --bin conductor-agent --bin conductor
# Where `make dev` keeps its stack. A second stack needs another folder: make dev DEV_DIR=target/dev-2
DEV_DIR ?= $(TARGET)/dev
DEV_LISTEN ?= 127.0.0.1:0
DEV_AGENTS ?= 3

.PHONY: help demo dev test test-packages lint sim fuzz bench bench-search dist build examples install-missing

help: ## List the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: install-missing build ## Deploy a web site to two agents and show what happens
	@python3 examples/site-deploy/demo.py --bin-dir $(TARGET)/debug

dev: install-missing build ## Bring up a development stack and leave it up; Ctrl-C takes it down
	$(TARGET)/debug/conductor-manager dev --data-dir $(DEV_DIR) --listen $(DEV_LISTEN) --agents $(DEV_AGENTS) \
		--ready-file $(DEV_DIR)/ready.json

test: install-missing lint build ## Formatting, lints and all tests, against a real private RabbitMQ
	@scripts/run-tests
	@examples/plugins/test.sh $(TARGET)/debug

test-packages: ## Install the packages on real hosts, in qemu, and break them; needs root; ONLY="disk_full …" plays some stories
	@test "$$(id -u)" -eq 0 || { echo "make test-packages needs root: it makes a root file system for its hosts. Try: sudo make test-packages" >&2; exit 2; }
	@scripts/install-missing --packages
	cargo xtask dist --quick --out $(TARGET)/packages/first
	cargo xtask dist --quick --revision 2 --out $(TARGET)/packages/second
	@python3 tests/hosts/run.py --packages $(TARGET)/packages $(if $(DEADLINE),--deadline $(DEADLINE)) $(if $(ONLY),--only $(ONLY))

lint: ## Formatting, clippy without warnings, and the crates that must stay pure
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	cargo run --quiet --locked -p xtask -- purity

sim: ## Play seeds of the simulation: make sim SEEDS=1000, or one again: make sim SEED=17
	@SEEDS=$(or $(SEEDS),100) $(if $(FROM),FROM=$(FROM)) $(if $(SEED),SEED=$(SEED)) cargo run --quiet --locked -p conductor-sim

fuzz: ## Search a parser for faults with libFuzzer: make fuzz PARSER=search SECONDS=60 (all of them unless some are named)
	@scripts/fuzz "$(PARSER)" "$(or $(SECONDS),60)"

bench: install-missing ## Measure speed and size; prints a table and writes target/bench.json
	cargo build --release --locked $(BINS) --bin conductor-bench --bin conductor-noop
	cargo run --quiet --locked -p xtask -- dist --agent-only
	@$(TARGET)/release/conductor-bench

bench-search: ## Fill a store with a million workflows and measure searches; adds to target/bench.json
	cargo build --release --locked -p conductor-bench --bin conductor-bench-search
	@$(TARGET)/release/conductor-bench-search

dist: ## Build packages of everything into dist/: .deb, .rpm, .tar.gz, with their sums
	cargo run --quiet --locked -p xtask -- dist

build:
	cargo build --locked $(BINS)

install-missing: ## Install what this machine does not have, with apt
	@scripts/install-missing
