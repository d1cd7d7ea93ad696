# make demo: everything from a clone to a winner.   make test, make check: what must never break.
PYTHON ?= python3
BIN := .venv/bin
DEMO := local_experiment_inputs/demo

.PHONY: demo test test-slow test-wheel test-legacy test-learned test-long chaos fuzz check bench simulate lock clean

.venv/ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Pixaris needs Python 3.11 or newer; call make PYTHON=python3.11")'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "installing what Pixaris needs into .venv (once) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps --requirement requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: .venv/ready
	@$(BIN)/pixaris dataset demo $(DEMO)
	@$(BIN)/pixaris search search_spaces/restore.yaml

test: .venv/ready
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

# whole searches of every kind, and the pool on Ray
test-slow: .venv/ready
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m slow

# what kills and restarts real Ray processes and servers again and again
test-long: .venv/ready
	$(BIN)/python -m pytest -m long

# ten thousand images on Ray, and whole searches, while everything is killed, stopped and made to fail
chaos: .venv/ready
	$(BIN)/python -m pytest tests/endpoints/test_chaos.py -k ray -m slow -s --chaos-requests 10000 --timeout 3600
	$(BIN)/python -m pytest tests/search/driver/test_search_chaos.py -m slow -s --chaos-requests 3000 --timeout 3600

# ten thousand broken search files, workflows, pictures and server replies: only typed errors with words
fuzz: .venv/ready
	$(BIN)/python -m pytest tests/cli/test_fuzz.py --fuzz-cases 10000 --timeout 3600

check: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest tests/test_layers.py

bench: .venv/ready
	@for file in embedded_server dispatcher latency start grid raw_tune failures throughput memory scoring cache bucket defaults racing few_images report review preference; do file=benchmarks/$$file.py; echo "== $$file"; $(BIN)/python $$file || exit 1; done

# what the statistics promise, simulated: minutes
simulate: .venv/ready
	$(BIN)/python benchmarks/coverage.py

# The LLM judge through the SDK that Google has ended, which cannot be installed beside the rest: an environment of its own.
.venv-legacy/ready: requirements-legacy.lock
	@test -x .venv-legacy/bin/python || $(PYTHON) -m venv .venv-legacy
	@.venv-legacy/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps --requirement $<
	@touch $@

test-legacy: .venv-legacy/ready
	PIXARIS_GEMINI_SDK=google-generativeai PYTHONPATH=. .venv-legacy/bin/python -m pytest --noconftest tests/metrics/test_judge_sdk.py

# The wheel in an environment of its own: it is all that a user needs.
test-wheel: .venv/ready
	@rm -rf build/wheel && mkdir -p build/wheel
	$(BIN)/python -m build --no-isolation --outdir build/wheel/dist . >build/wheel/log.txt
	$(BIN)/twine check --strict build/wheel/dist/*
	@$(PYTHON) -m venv build/wheel/.venv
	@sed -n 's/^\([a-z0-9._-]*==.*\) \\$$/\1/p' requirements.lock >build/wheel/constraints.txt
	@build/wheel/.venv/bin/python -m pip install --quiet --disable-pip-version-check --constraint build/wheel/constraints.txt build/wheel/dist/*.whl
	cd build/wheel && .venv/bin/pixaris doctor && .venv/bin/pixaris demo

# The learned metrics on tiny networks. Torch takes up to 7 GB, so they have an environment of their own and no lock.
.venv-learned/ready: pyproject.toml
	@test -x .venv-learned/bin/python || $(PYTHON) -m venv .venv-learned
	@.venv-learned/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[learned]' pytest pytest-timeout hypothesis
	@touch $@

test-learned: .venv-learned/ready
	.venv-learned/bin/python -m pytest tests/metrics/test_metric_learned.py

# New lock files: pinned versions and hashes, without addresses. Extras that cannot live together are not in LOCKED.
LOCKED := cluster gcp gemini heic ui
COMPILE := uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header
lock:
	$(COMPILE) --group dev $(LOCKED:%=--extra %) pyproject.toml --output-file requirements.lock
	cp requirements.lock cluster/requirements.lock
	$(COMPILE) --extra cluster --extra gcp pyproject.toml --output-file cluster/requirements.lock
	$(COMPILE) --group pyproject.toml:legacy --output-file requirements-legacy.lock

clean:
	rm -rf .venv .venv-legacy .venv-learned build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
