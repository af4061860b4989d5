# Everything runs in the project's own virtual environment, which the first command makes.
PYTHON ?= python3
BIN = .venv/bin

.PHONY: demo test lint

demo: .venv/ready
	$(BIN)/yolo9000 demo --workdir runs/demo

test: .venv/ready
	$(BIN)/python -m pytest -q -n 2 --dist worksteal tests

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

.venv/ready: requirements.txt setup.py
	$(PYTHON) -m venv .venv
	$(BIN)/pip install -q --disable-pip-version-check --no-deps -r requirements.txt
	$(BIN)/pip install -q --disable-pip-version-check --no-deps -e .
	touch $@
