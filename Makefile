# make run | test | lab | refresh | uninstall; environment.md says what is installed where.
#   CUDA=1                with the packages for NVIDIA GPUs
#   LIBTORCH=/a/folder    your own libtorch
#   PYTHON=/a/python3     another Python to make the virtual environment from

PYTHON   ?= python3
NOTEBOOK ?= notebooks/experiments.ipynb

INSTALLED := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/ntgram/python/bin
SETUP     := $(PYTHON) setup/setup.py $(if $(CUDA),--cuda)
IN        := $(SETUP) in

.PHONY: run test lab refresh setup uninstall

# Executes the notebook; ends with the paths of the executed copy and its HTML page.
run: setup
	@"$(INSTALLED)/python" setup/notebook.py $(NOTEBOOK) --to results

# Everything that must hold before a change lands.
test: setup
	cargo fmt --all --check
	$(IN) cargo clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(IN) cargo doc --workspace --no-deps --document-private-items --locked
	$(IN) cargo test --workspace --locked
	@"$(INSTALLED)/python" setup/notebook.py notebooks/experiments.ipynb --to results
	NTGRAM_EXECUTED=results/experiments.ipynb "$(INSTALLED)/python" -m pytest tests

# JupyterLab in the browser; choose the kernel "Rust (ntgram)" for a new notebook.
lab: setup
	@"$(INSTALLED)/jupyter" lab notebooks

# Executes the notebook and rewrites it in place: its committed outputs.
refresh: setup
	@"$(INSTALLED)/python" setup/notebook.py $(NOTEBOOK) --in-place

setup:
	@$(SETUP)

# Removes everything that was installed, and the kernel spec.
uninstall:
	@$(PYTHON) setup/setup.py uninstall
