# make demo: everything from a clone to a winner.   make test, make check: what must never break.
PYTHON ?= python3
BIN := .venv/bin
DEMO := local_experiment_inputs/demo

.PHONY: demo test test-slow test-wheel test-legacy test-learned test-long test-oldest chaos fuzz check docs bench simulate lock clean

.venv/ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Pixaris needs Python 3.11 or newer; call make PYTHON=python3.11")'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "installing what Pixaris needs into .venv (once) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps --requirement requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

# What a first search needs, and nothing else: no extras, no development tools. Bytecode is made of what is imported only.
.venv/base: requirements-demo.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Pixaris needs Python 3.11 or newer; call make PYTHON=python3.11")'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "installing what a search needs into .venv (once) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --require-hashes --no-deps --requirement $<
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(if $(wildcard .venv/ready),.venv/ready,.venv/base)
	@$(BIN)/pixaris dataset demo $(DEMO)
	@$(BIN)/pixaris search search_spaces/restore.yaml

# Two tests at a time. What fails beside others, which take the processor from it, has a second try by itself; what
# fails twice is red, and what was tried again is printed.
BESIDE := -n 2 --dist loadfile --no-loadscope-reorder
AGAIN := --last-failed --last-failed-no-failures none

test: .venv/ready
	$(BIN)/python -m pytest $(BESIDE) || $(BIN)/python -m pytest $(AGAIN) -v

# whole searches of every kind, and the pool on Ray
test-slow: .venv/ready
	$(BIN)/python -m pytest $(BESIDE) -m slow || $(BIN)/python -m pytest $(AGAIN) -v -m slow

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

# the documentation as a site in build/site; links and anchors are checked
docs: .venv/ready
	@rm -rf build/site && $(BIN)/python docs/site/write.py build/docs
	$(BIN)/zensical build --clean --strict
	@! grep -rlE '(src|srcset)="https?://' build/site --include='*.html'

bench: .venv/ready
	@for file in embedded_server dispatcher latency start grid raw_tune failures throughput memory scoring cache bucket defaults racing few_images report report_share review review_memory preference; do file=benchmarks/$$file.py; echo "== $$file"; $(BIN)/python $$file || exit 1; done

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

# A part of the tests on the oldest versions that pyproject.toml allows; needs `uv`.
OLDEST := tests/search tests/comfyui tests/metrics tests/results tests/statistics tests/experiment_handlers tests/frontend tests/cli/test_commands.py
test-oldest:
	@rm -rf build/oldest && mkdir -p build/oldest
	uv pip compile --quiet --resolution lowest-direct $(LOCKED:%=--extra %) pyproject.toml --output-file build/oldest/requirements.txt
	@$(PYTHON) -m venv build/oldest/.venv
	@build/oldest/.venv/bin/python -m pip install --quiet --disable-pip-version-check --requirement build/oldest/requirements.txt
	@build/oldest/.venv/bin/python -m pip install --quiet --disable-pip-version-check pytest pytest-timeout pytest-xdist hypothesis axe-playwright-python 'setuptools<82'
	@build/oldest/.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps .
	build/oldest/.venv/bin/python -m pytest -n 2 $(OLDEST)

# New lock files: pinned versions and hashes, without addresses. Extras that cannot live together are not in LOCKED.
LOCKED := cluster gcp gemini heic ui
COMPILE := uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header
lock:
	$(COMPILE) --group dev --group docs $(LOCKED:%=--extra %) pyproject.toml --output-file requirements.lock
	cp requirements.lock cluster/requirements.lock
	$(COMPILE) --extra cluster --extra gcp pyproject.toml --output-file cluster/requirements.lock
	cp requirements.lock requirements-demo.lock
	$(COMPILE) --group build pyproject.toml --output-file requirements-demo.lock
	$(COMPILE) --group pyproject.toml:legacy --output-file requirements-legacy.lock

clean:
	rm -rf .venv .venv-legacy .venv-learned build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
