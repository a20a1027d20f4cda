# make run | test | test-wasm | test-ui | lab | paper | site | refresh | bench | bench-paper | latency | fuzz | deny | uninstall
# environment.md says what is installed where.
#   CUDA=1                with the packages for NVIDIA GPUs
#   LIBTORCH=/a/folder    your own libtorch
#   PYTHON=/a/python3     another Python to make the virtual environment from
#   LAB=--no-browser      options for JupyterLab
#   CHROMIUM=/a/browser   the browser for test-ui, if not the system's Chromium
#   BENCH=--quick         options for the benchmark
#   BENCH_PAPER=--quick   options for the benchmark of the paper's tables
#   ONLY=exp_6            one experiment or table of the paper
#   LATENCY=--rounds=5    options for the measurement of latency
#   FUZZ=-max_total_time=600   options for libFuzzer
#   SITE=/a/folder        where `site` writes

PYTHON    ?= python3
NOTEBOOKS := notebooks/experiments.ipynb notebooks/superposition.ipynb notebooks/memorisation.ipynb
NOTEBOOK  ?= $(NOTEBOOKS)

INSTALLED := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/ntgram/python/bin
# Without the caller's settings for Python, and in UTF-8 whatever the locale.
ISOLATED  := -Es -X utf8
SETUP     := $(PYTHON) $(ISOLATED) setup/setup.py $(if $(CUDA),--cuda)
IN        := $(SETUP) in
OURS      := "$(INSTALLED)/python" $(ISOLATED)
TARGET    := $(INSTALLED:python/bin=target)
PEERS     := $(INSTALLED:python/bin=peers/bin)

# Runs the notebook runner on NOTEBOOK: one path, which may have spaces, or several.
export NOTEBOOK
EXECUTE = @if [ -f "$$NOTEBOOK" ]; then set -- "$$NOTEBOOK"; else set -- $$NOTEBOOK; fi; \
	$(OURS) setup/notebook.py "$$@" $(1)

SITE ?= results/site

.PHONY: run test test-wasm test-ui lab paper site refresh bench bench-paper latency fuzz deny setup uninstall

# Executes the notebooks; ends with the paths of the executed copies and their HTML pages.
run: setup
	$(call EXECUTE,--to results)

# Everything that must hold before a change lands. Of the last tests two files at a time. Lints need no libFuzzer to be compiled; and with
# the examples documentation asks for the same features of other crates as all else.
test: setup
	@$(call SAY,1,formatting)
	cargo fmt --all --check
	@$(call SAY,2,lints)
	$(IN) CUSTOM_LIBFUZZER_PATH=/none/libfuzzer.a cargo clippy --workspace --all-targets --locked -- -D warnings
	@$(call SAY,3,documentation)
	RUSTDOCFLAGS="-D warnings" $(IN) cargo doc --workspace --no-deps --document-private-items --locked --lib --examples
	@$(call SAY,4,the crates)
	$(IN) cargo test --workspace --locked
	@$(call SAY,5,the notebooks)
	@stale=; for notebook in $(NOTEBOOKS); do executed=results/$${notebook##*/}; \
	  [ -e $$executed ] && [ -z "$$(find $$notebook $(BEHIND) -type f ! -name "*.pyc" -newer $$executed)" ] || stale="$$stale $$notebook"; done; \
	  [ -z "$$stale" ] || $(OURS) setup/notebook.py $$stale --to results
	@$(SETUP) cluster
	@$(call SAY,6,the kernel and what the notebooks show)
	NTGRAM_EXECUTED=results/experiments.ipynb NTGRAM_EXECUTED_LESSON=results/superposition.ipynb \
	  NTGRAM_EXECUTED_MEMORISATION=results/memorisation.ipynb \
	  $(OURS) -m pytest tests --ignore tests/ui --numprocesses 2 --dist loadfile

# What decides about a notebook's outputs. Those that `make run` has written since any of it changed are not made again for the tests.
BEHIND := Cargo.toml Cargo.lock notebooks/data ntgram-core ntgram-engine ntgram-sweep ntgram-web setup/*.* setup/bin/*

SAY = echo "ntgram: test $(1) of 6, $(2)"

# The engine's tests on WebAssembly's vectors, in node: `rustup target add wasm32-wasip1`. Those that start threads are left out.
test-wasm:
	CARGO_TARGET_WASM32_WASIP1_RUNNER="node --no-warnings ../ntgram-web/tests/wasi.mjs" \
	CARGO_TARGET_WASM32_WASIP1_RUSTFLAGS=-Ctarget-feature=+simd128 \
	  cargo test --locked -p ntgram-engine --lib --target wasm32-wasip1 -- --test-threads 1

# The site, to be served from anywhere: the live page, the notebooks as pages, the documentation. Needs no libtorch and no kernel.
site:
	@$(SETUP) site "$(SITE)"

# The live page and the notebooks in JupyterLab in a browser; installs Chromium (Debian's package) and Playwright for it. Screenshots: results/ui.
test-ui: setup
	@$(SETUP) browser
	@$(SETUP) site results/site
	$(OURS) -m pytest tests/ui

# The paper's 34 tables, or one of them; goes on where it was ended. Needs a Rust toolchain alone.
paper:
	cargo build --release --locked --package ntgram-sweep --target-dir "$(TARGET)"
	"$(TARGET)/release/ntgram-sweep" run plans/paper.toml --to results/paper $(if $(ONLY),--only "$(ONLY)")
	"$(TARGET)/release/ntgram-sweep" gather plans/paper.toml --to results/paper $(if $(ONLY),--only "$(ONLY)") \
	  --points results/paper_points.csv --tasks results/paper_tasks.csv --timings
	@echo "ntgram: results/paper_points.csv and results/paper_tasks.csv"

# JupyterLab in the browser; choose the kernel "Rust (ntgram)" for a new notebook.
lab: setup
	@$(OURS) -m jupyterlab $(if $(filter 0,$(shell id -u)),--allow-root) $(LAB) notebooks

# This crate's engines beside PyTorch eager and JAX, on the notebook's models and the wider family; installs those two for it (5 GB),
# and writes bench/RESULTS.md. About 15 minutes, 8 with BENCH=--quick.
bench: setup
	@$(SETUP) peers
	$(IN) cargo build --locked --examples
	@$(IN) "$(PEERS)/python" $(ISOLATED) bench/bench.py $(BENCH)

# How long PyTorch and JAX would take for the paper's 34 tables, extrapolated, beside our run of them: BENCH_PAPER="--ours a.csv --wall 40"
# is what `ntgram-sweep gather --tasks a.csv --timings` wrote and the minutes that the run took. Writes a section of bench/RESULTS.md, in 8
# minutes, 3 with --quick.
bench-paper:
	@$(SETUP) peers
	@"$(PEERS)/python" $(ISOLATED) bench/paper.py $(BENCH_PAPER)

# How long a kernel and its cells take beside a bare evcxr; writes its table to bench/RESULTS.md.
latency: setup
	@$(OURS) bench/latency.py $(LATENCY)

# Model files that libFuzzer comes up with, watching which code they reach; a minute, or for as long as FUZZ says. What it finds lies in
# results/fuzz. `make test` has files with anything changed in them instead, without that watch.
fuzz: setup
	$(IN) RUSTC_WORKSPACE_WRAPPER="$(CURDIR)/fuzz/rustc" cargo build --workspace --locked --bin model_file
	@mkdir -p results/fuzz/corpus
	@cp "$(TARGET)"/*/debug/model_file results/fuzz
	$(IN) results/fuzz/model_file results/fuzz/corpus -artifact_prefix=results/fuzz/ -max_total_time=60 -timeout=10 $(FUZZ)

# Licences, bans and sources of all dependencies, by deny.toml; asks no network. `cargo install --locked cargo-deny` installs what it needs.
deny:
	cargo deny --offline --locked check licenses bans sources

# Executes the notebooks and rewrites them in place: their committed outputs.
refresh: setup
	$(call EXECUTE,--in-place)

setup:
	@$(SETUP)

# Removes everything that was installed, and the kernel spec.
uninstall:
	@$(PYTHON) setup/setup.py uninstall
