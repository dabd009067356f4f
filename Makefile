# make demo   simulate a scan, train, reconstruct, evaluate; all in .venv and outputs/demo
# make test   lint and run every test that CI runs

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
DEMO := outputs/demo

.PHONY: demo test clean

demo: $(VENV)/.installed
	$(BIN)/ptychopinn simulate --config demo -o $(DEMO)/scan.npz
	$(BIN)/ptychopinn run $(DEMO)/scan.npz --config demo -o $(DEMO) --overwrite
	$(BIN)/ptychopinn evaluate $(DEMO)/reconstruction.npz --reference $(DEMO)/scan.npz
	@echo "Figure: $(DEMO)/reconstruction.png"

test: $(VENV)/.installed-test
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadfile

$(VENV)/.torch:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -c "import torch" 2>/dev/null || $(BIN)/python -m pip install torch==2.13.0
	@touch $@

$(VENV)/.installed: $(VENV)/.torch pyproject.toml
	$(BIN)/python -m pip install -e .
	@touch $@

$(VENV)/.installed-test: $(VENV)/.torch pyproject.toml
	$(BIN)/python -m pip install -e '.[test]'
	@touch $@ $(VENV)/.installed

clean:
	rm -rf $(VENV) outputs
