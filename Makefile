# The front door. Each target makes its virtual environment if there is none; nothing else is needed.
#
#   make demo     restore real photographs: prints a table, writes demo.png
#   make test     the test suite, lint and types are `make lint`
#   make bench    timings beside the peers, in one run
#   make matrix   every reconstructor with every physics: the table of the documentation (a quarter of an hour)
#   make quality  the pretrained models on their test sets:   make quality SET12=folder SET5=folder SCANS=folder
#   make gpu      on a machine with an NVIDIA GPU: its tests, then its timings
#   make docs     the documentation, in docs/_build/html
#
# On a machine with a GPU, or to choose another build of torch:   make demo TORCH="torch==2.11.0"

PYTHON ?= python3
TORCH ?= torch==2.13.0
VENV ?= .venv
PIP = $(VENV)/bin/pip --disable-pip-version-check install --quiet
# torch's installed build is a constraint for all that follows, so that no other package replaces it.
CONSTRAINED = $(PIP) --constraint constraints.txt --constraint $(VENV)/torch.txt
WORKERS ?= auto

.PHONY: demo test lint bench matrix quality gpu docs clean

demo: $(VENV)/demo
	$(VENV)/bin/python examples/demo.py --out demo.png

test: $(VENV)/test
	$(VENV)/bin/python -m pytest -q -n $(WORKERS)

lint: $(VENV)/test
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

bench: $(VENV)/bench
	for script in tests/benchmarks/bench_*.py; do $(VENV)/bin/python $$script || exit 1; done

matrix: $(VENV)/test
	$(VENV)/bin/python -m tests.invnet.matrix

quality: $(VENV)/test
	$(VENV)/bin/python -m tests.quality --set12 "$(SET12)" --set5 "$(SET5)" --scans "$(SCANS)"

gpu: $(VENV)/gpu
	$(VENV)/bin/python -m tests.benchmarks.gpu

docs: $(VENV)/docs
	$(VENV)/bin/sphinx-build -W --keep-going -b html docs docs/_build/html
	$(VENV)/bin/python docs/check_links.py docs/_build/html

clean:
	rm -rf $(VENV) docs/_build docs/gallery docs/reference/generated docs/reference/backreferences demo.png

# A stamp file for each set of packages, redone when what it was made from changes.
$(VENV)/torch.txt:
	$(PYTHON) -m venv $(VENV)
	$(PIP) "$(TORCH)"
	$(VENV)/bin/pip --disable-pip-version-check list --format=freeze | grep '^torch==' > $@

$(VENV)/demo: $(VENV)/torch.txt pyproject.toml constraints.txt
	$(CONSTRAINED) --editable ".[plot]"
	touch $@

$(VENV)/test: $(VENV)/torch.txt pyproject.toml constraints.txt tests/peers.txt
	$(CONSTRAINED) --editable ".[test,interop]"
	$(PIP) --no-deps --requirement tests/peers.txt
	touch $@

$(VENV)/bench: $(VENV)/test tests/benchmarks/peers.txt
	$(PIP) --no-deps --requirement tests/benchmarks/peers.txt
	touch $@

$(VENV)/gpu: $(VENV)/bench
	$(CONSTRAINED) --editable ".[mri-cuda]"
	touch $@

$(VENV)/docs: $(VENV)/torch.txt pyproject.toml constraints.txt
	$(CONSTRAINED) --editable ".[docs]"
	touch $@
