# Two commands: `make demo` shows the detector, `make test` passes the tests. Both install into .venv what they need.
VENV := .venv
BIN := $(VENV)/bin
# `make BIN=FOLDER …` takes the Python of another environment that has all it needs, and installs nothing.
DEV := $(if $(filter command%,$(origin BIN)),,$(VENV)/.dev)
SEARCH := $(PYTHON) python3.13 python3.12 python3.11 python3

.PHONY: help demo test test-full test-gpu lowest dist extras newcomer bench bench-gpu race-env race study-gpu tables pictures docs lint format clean

help:
	@echo "make demo       install, train on the embedded set, show predictions, labels and loss maps (in demo/)"
	@echo "make test       install, check style, types and import floors, run the tests"
	@echo "make test-full  the tests with their long forms"
	@echo "make test-gpu   the tests that need a CUDA device"
	@echo "make lowest     the tests with the lowest versions that pyproject.toml allows, in .lowest (needs uv; TESTS=tests/assign)"
	@echo "make dist       wheel and source distribution, in dist"
	@echo "make extras     the wheel in an empty environment, alone and with each extra (EXTRAS='serve video')"
	@echo "make newcomer   docs/start.md at full length with 100 pictures of BCCD, in an empty environment (25 minutes; MMMC_DATA)"
	@echo "make bench      every benchmark on a CPU with two threads, into benchmarks/results (37 minutes at the last count, before seven were made shorter)"
	@echo "make bench-gpu  all that a CUDA device can show in 9 minutes, one JSON and one picture into OUT"
	@echo "make race-env   the Python environments of other detectors, into .race (PyPI, some GB)"
	@echo "make race       AP per CPU minute: what is not recorded yet, or failed (MMMC_DATA; some 10 hours of an idle machine)"
	@echo "make study-gpu  the paper's rows on signs at 512 px, as many as fit into 9 minutes of a CUDA device; the same call goes on"
	@echo "                (MMMC_DATA, or SIGNS, a folder that mmmc data shrink made)"
	@echo "make tables     the tables of docs/results.md and docs/reproduction.md, from the records"
	@echo "make pictures   the pictures of the documents, from RUN (a run of small on BCCD; see docs/assigners/README.md)"
	@echo "make docs       the documents as a site, into demo/site"
	@echo "make clean      remove .venv and demo/"

# The first Python that is new enough; its venv is made once and installed into again when pyproject.toml changes.
$(VENV)/.python:
	@for p in $(SEARCH); do \
	  if $$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then \
	    echo "Using $$($$p --version) in $(VENV)"; $$p -m venv $(VENV) && touch $@ && exit 0; \
	    echo "This Python cannot make a venv: install its venv package (Debian: python3-venv)." >&2; exit 1; \
	  fi; \
	done; \
	echo "mmmc needs Python 3.11 to 3.13; found $$(python3 --version 2>&1)." >&2; \
	echo "Install one, then: make PYTHON=/path/to/python3.12 demo" >&2; exit 1

$(VENV)/.demo: $(VENV)/.python pyproject.toml
	@$(call install,weights) && touch $@

$(VENV)/.dev: $(VENV)/.python pyproject.toml
	@$(call install,weights$(comma)serve$(comma)onnx$(comma)openvino$(comma)video$(comma)supervision$(comma)pandas$(comma)dev) && touch $@ $(VENV)/.demo

$(VENV)/.full: $(VENV)/.dev
	@$(call install,cluster$(comma)lightning) && touch $@

$(VENV)/.docs: $(VENV)/.python pyproject.toml
	@$(call install,docs) && touch $@

comma := ,
define install
{ echo "Installing mmmc[$(1)] and what it needs (PyTorch is large) ..."; \
$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade-strategy only-if-needed -e '.[$(1)]' || { \
  echo "The installation did not succeed. It needs PyPI: check the network, or name a mirror by" >&2; \
  echo "PIP_INDEX_URL=https://... or a folder of wheels by PIP_FIND_LINKS=... PIP_NO_INDEX=1, and try again." >&2; \
  exit 1; }; }
endef

demo: $(VENV)/.demo
	@rm -rf demo/run
	$(BIN)/mmmc data make demo/embedded
	$(BIN)/mmmc train demo/embedded --recipe demo --out demo/run
	@for figure in 1 2 3 offsets; do $(BIN)/mmmc show demo/run --figure $$figure --out demo/run/pictures > /dev/null; done
	@$(BIN)/mmmc show demo/run --table assign
	@echo "FCOS and MMMC with the same number of iterations, as recorded (mmmc study run studies/demo.yaml):"
	@$(BIN)/mmmc study table results/demo.jsonl
	@echo "Look at demo/run/pictures: predictions.png, labels.png, losses.png, curves.png, objects.png, and the figures 1 to 3"
	@echo "of the paper for the largest object of a picture; mmmc show demo/run PICTURE --figure 1 --object 0 draws others."

lint: $(VENV)/.dev
	$(BIN)/ruff check src tests benchmarks
	$(BIN)/ruff format --check src tests benchmarks
	$(BIN)/mypy

format: $(VENV)/.dev
	$(BIN)/ruff check --fix src tests benchmarks
	$(BIN)/ruff format src tests benchmarks

# One thread a process: two processes that each start two threads are slower on two cores.
test: lint
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist worksteal -m "not full and not gpu"

test-full: lint $(VENV)/.full
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 -m "not gpu"

# One folder, so that nothing is collected that needs packages which a machine with a GPU may lack.
test-gpu: $(DEV)
	$(BIN)/python -m pytest tests/gpu

# Indirect dependencies are the newest ones: what is stated here is what is tried. Old packages warn of one another.
LOWEST := .lowest
TESTS := tests
UV := $(or $(shell command -v uv),uv)

$(LOWEST)/.installed: $(VENV)/.python pyproject.toml
	@rm -rf $(LOWEST)
	$(UV) venv --quiet --python $(BIN)/python $(LOWEST)
	$(UV) pip install --quiet --resolution lowest-direct --python $(LOWEST)/bin/python -e '.[all,dev]'
	@touch $@

lowest: $(LOWEST)/.installed
	OMP_NUM_THREADS=1 $(LOWEST)/bin/pytest -n 2 --dist worksteal -m "not full and not gpu" -W ignore::DeprecationWarning \
	  -W ignore::FutureWarning -W ignore::ResourceWarning $(TESTS)

# PyPI refuses nothing below 100 MB, but what is small stays small.
MOST_BYTES := 1000000

dist: $(VENV)/.python
	@rm -rf dist build
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check build twine
	$(BIN)/python -m build --outdir dist .
	$(BIN)/python -m twine check --strict dist/*
	@size=$$(cat dist/*.whl | wc -c); echo "The wheel has $$size bytes."; \
	  [ $$size -le $(MOST_BYTES) ] || { echo "Allowed: $(MOST_BYTES)." >&2; exit 1; }

extras: dist
	$(BIN)/python tests/installed.py dist/*.whl $(EXTRAS)

newcomer: dist $(VENV)/.dev
	$(BIN)/python tests/newcomer.py dist/*.whl $(MMMC_DATA)/bccd

# The goals of docs/performance.md; afterwards `python -m benchmarks report --into docs/performance.md`.
bench: $(VENV)/.dev
	OMP_NUM_THREADS=2 $(BIN)/python -m benchmarks all --threads 2 --out benchmarks/results

# DEVICE=cpu TINY=1 tries it out where there is no GPU. ONLY="training waits" runs some parts.
OUT := $(if $(TINY),demo/bench,benchmarks/results)
bench-gpu: $(DEV)
	$(BIN)/python -m benchmarks gpu --device $(or $(DEVICE),cuda) $(if $(TINY),--tiny) $(if $(ONLY),--only $(ONLY)) \
	  --out $(OUT)/gpu.json --picture $(OUT)/gpu.png

# Contestants that need packages of their own get them in .race/NAME; afterwards
# `python -m benchmarks race table --into docs/performance.md`.
race-env: $(VENV)/.dev
	$(BIN)/python -m benchmarks race install

race: race-env
	$(BIN)/python -m benchmarks race all --retry

# RECORDS=FILE keeps the records elsewhere; SEEDS and MINUTES for less time.
study-gpu: $(DEV)
	$(BIN)/python -m mmmc study run studies/signs_gpu.yaml --data $(or $(SIGNS),$(MMMC_DATA)/signs) --jobs 5 --threads 2 \
	  --minutes $(or $(MINUTES),9) $(if $(SEEDS),--seeds '[$(SEEDS)]') $(if $(RECORDS),--records $(RECORDS))

tables: $(VENV)/.demo
	$(BIN)/python tests/result_tables.py
	$(BIN)/python -m benchmarks cost --into docs/reproduction.md

# One scene for all: a picture that RUN was not trained on.
SCENE := BloodImage_00065
PAGES := $(filter $(basename $(notdir $(wildcard src/mmmc/assign/*.py))),$(basename $(notdir $(wildcard docs/assigners/*.md))))

pictures: $(VENV)/.demo
	@mkdir -p demo/pages
	@$(BIN)/mmmc show $(RUN) $(SCENE).jpg --assigners fcos,atss,paa,simota,ota,tal,aps --out demo/pages > /dev/null
	@mv demo/pages/$(SCENE)-assigners.png docs/pictures/cells-assigners.png
	@for page in $(PAGES); do \
	  $(BIN)/mmmc show $(RUN) $(SCENE).jpg --assigners $$page --out demo/pages > /dev/null && \
	  mv demo/pages/$(SCENE)-assigners.png docs/pictures/assigner-$$page.png; \
	done
	@$(BIN)/python -c "import sys; from PIL import Image; [Image.open(f).convert('RGB').quantize(255, \
	  Image.Quantize.FASTOCTREE).save(f, optimize=True) for f in sys.argv[1:]]" docs/pictures/assigner-*.png

docs: $(VENV)/.docs
	# Not --quiet: it keeps warnings from being counted, so that nothing would be strict.
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build
	@echo "demo/site/index.html"

clean:
	rm -rf $(VENV) $(LOWEST) demo dist build
