# make demo   simulate a scan, train, reconstruct, evaluate; all in .venv and outputs/demo
# make data   simulate the scans of docs/dev/data.md into outputs/data
# make site   run the tutorials and build the documentation into outputs/site
# make lint   check style, types and imports
# make test   lint and run every test that CI runs
# make fuzz   read 2,000 changed files, then look for new paths through the readers with atheris (some 12 minutes)
# make kills  kill commands 100 times (some 15 minutes)

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
DEMO := outputs/demo
DATA := outputs/data
SCANS := simulated_1e4 simulated_1e6
FUZZ_S := 300

.PHONY: demo data site lint test fuzz kills clean

demo: $(VENV)/.installed
	$(BIN)/ptychopinn simulate --config demo -o $(DEMO)/scan.npz
	$(BIN)/ptychopinn run $(DEMO)/scan.npz --config demo -o $(DEMO) --overwrite
	$(BIN)/ptychopinn evaluate $(DEMO)/reconstruction.npz --reference $(DEMO)/scan.npz
	@echo "Figure: $(DEMO)/reconstruction.png"

data: $(VENV)/.installed
	for name in $(SCANS); do $(BIN)/ptychopinn simulate --config $$name -o $(DATA)/$$name.npz || exit 1; done
	$(BIN)/python scripts/data_digests.py $(SCANS:%=$(DATA)/%.npz)

site: $(VENV)/.installed-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

lint: $(VENV)/.installed-test
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

test: lint
	OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadfile
	OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 $(BIN)/pytest tests/tensorflow

fuzz: $(VENV)/.installed-fuzz
	PTYCHOPINN_FUZZ=2000 $(BIN)/pytest -q tests/attacks/test_fuzz.py
	mkdir -p outputs/fuzz
	for name in read_scan load_bundle; do cd outputs/fuzz && OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 ../../$(BIN)/python \
	  ../../tests/attacks/coverage_fuzz.py $$name corpus-$$name -max_total_time=$(FUZZ_S) || exit 1; cd ../..; done

kills: $(VENV)/.installed-test
	PTYCHOPINN_KILLS=100 $(BIN)/pytest -q -s tests/faults/test_kills.py

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

$(VENV)/.installed-docs: $(VENV)/.torch pyproject.toml
	$(BIN)/python -m pip install -e '.[docs]'
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-fuzz: $(VENV)/.installed-test
	$(BIN)/python -m pip install -e '.[fuzz]'
	@touch $@

clean:
	rm -rf $(VENV) outputs
