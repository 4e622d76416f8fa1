# Each target stands alone on a fresh clone: the first one asked for makes .venv.

PYTHON ?= python3
BIN := .venv/bin

# The tests start hundreds of processes: compiling the package anew for each takes longer than many of the tests.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo course test soak slow lint types format

demo: .venv/installed
	rm -rf runs/demo runs/demo-images
	$(BIN)/alexnet train digits --out runs/demo --epochs 8
	$(BIN)/alexnet evaluate runs/demo
	$(BIN)/python examples/ten_digits.py runs/demo runs/demo-images

course: .venv/installed
	$(BIN)/python examples/course.py

test: .venv/installed
	$(BIN)/pytest -n 2 --dist worksteal -m "not slow and not soak"

soak: .venv/installed
	$(BIN)/pytest -n 2 -m soak

slow: .venv/installed
	$(BIN)/pytest -m slow

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: .venv/installed
	$(BIN)/mypy

format: .venv/installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.venv/installed: pyproject.toml runtime/pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	PIP_CONSTRAINT=constraints.txt $(BIN)/pip install --quiet --editable ./runtime --editable '.[dev]'
	touch $@
