# Everything is made in .venv; `make demo` and `make test` are all one needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LINT := $(VENV)/lint/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
BACKENDS := tensorflow jax torch
# Compiling takes one core most of the time: two tests at once.
PYTEST := -m pytest --numprocesses 2 --dist loadfile
PARITY := tests/test_parity.py tests/test_parity_segmentation.py \
  tests/test_parity_detection.py tests/detection/test_assignment.py
# What meets no backend, or starts processes of its own for each of them.
ONCE := tests/weights_port/test_golden.py tests/weights_port/test_inspection.py \
  tests/weights_port/test_paddle.py tests/weights_port/test_recognise.py \
  tests/weights_port/test_tables.py tests/weights/test_download.py \
  tests/benchmark/test_costs.py tests/benchmark/test_speed.py \
  tests/data/test_photometric.py tests/data/test_paired_augmentation.py \
  tests/data/test_ade20k.py tests/data/test_coco.py \
  tests/data/test_coco_masks.py tests/data/test_coco_writing.py \
  tests/data/test_detection_augmentation.py \
  $(addprefix tests/data/classification/test_, \
    affine.py augment.py augmentation.py color_jitter.py corrupt_images.py \
    enhancement.py image_folder.py mixing.py rand_augment.py \
    random_crop.py random_erasing.py record_shards.py resampling.py \
    sources.py tfds_images.py throughput.py) \
  tests/test_cli_data.py tests/training/test_overrides.py \
  tests/training/test_recipes.py \
  tests/detection/test_pictures.py tests/detection/test_evaluation.py \
  tests/detection/test_mask_pasting.py tests/export/test_matching.py \
  tests/test_coco_names.py tests/test_ade20k_names.py

# The oneDNN and XLA start-up messages hide what matters.
export TF_CPP_MIN_LOG_LEVEL ?= 3
# Many tests compile the same programs; so do the processes they start.
export JAX_COMPILATION_CACHE_DIR ?= $(CURDIR)/$(VENV)/jax
export JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS ?= 0
export JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES ?= 0

.PHONY: demo test test-slow test-network tables lint format bench parity \
  export-table clean

demo: $(VENV)/demo.stamp
	KERAS_BACKEND=$${KERAS_BACKEND:-tensorflow} $(BIN)/keras-twins demo

# The comparison with the reference outputs runs apart: optimised as users
# have it, where the other tests ask JAX to compile fast.
test: $(VENV)/dev.stamp
	@for backend in $(BACKENDS); do \
	  echo "== $$backend" && \
	  KERAS_BACKEND=$$backend $(BIN)/python $(PYTEST) -m "not slow and not network" \
	    $(addprefix --ignore ,$(PARITY)) \
	    $$(test $$backend = $(firstword $(BACKENDS)) \
	      || echo $(addprefix --ignore ,$(ONCE))) && \
	  KERAS_BACKEND=$$backend XLA_FLAGS=--xla_backend_optimization_level=3 \
	    $(BIN)/python $(PYTEST) -m "not slow and not network" \
	    --dist worksteal $(PARITY) \
	    || exit 1; \
	done

test-slow: $(VENV)/dev.stamp
	@for backend in $(BACKENDS); do \
	  echo "== $$backend" && \
	  KERAS_BACKEND=$$backend $(BIN)/python -m pytest -m slow || exit 1; \
	done

# Downloads all six published files.
test-network: $(VENV)/dev.stamp
	KERAS_BACKEND=tensorflow $(BIN)/python -m pytest -m network

lint: $(VENV)/lint.stamp
	$(LINT)/ruff check .
	$(LINT)/ruff format --check .
	$(LINT)/pydoclint --quiet keras_twins weights_port
	$(LINT)/pyright
	$(LINT)/lint-imports --no-cache

format: $(VENV)/lint.stamp
	$(LINT)/ruff check --fix .
	$(LINT)/ruff format .

# The models and parity tables of the README; `make bench` writes the third.
tables: parity
	$(BIN)/python -m weights_port models-table

# The short form; BENCH="" is the long one, BENCH="speed --systems jax" a part.
BENCH ?= --short

bench: $(VENV)/dev.stamp
	$(BIN)/keras-twins bench $(BENCH)
	$(BIN)/python -m weights_port bench-table

# Every export of two models; the quantized ones also on the other backends.
# Trains the demo's model where `make demo` has not.
export-table: $(VENV)/dev.stamp
	KERAS_BACKEND=tensorflow $(BIN)/python -m weights_port export-cards
	@for backend in jax torch; do \
	  KERAS_BACKEND=$$backend $(BIN)/python -m weights_port export-cards \
	    --formats keras || exit 1; \
	done
	$(BIN)/python -m weights_port export-table

# Measures on every backend, then writes the table into the README.
parity: $(VENV)/dev.stamp
	@for backend in $(BACKENDS); do \
	  KERAS_BACKEND=$$backend $(BIN)/python -m weights_port parity || exit 1; \
	done
	$(BIN)/python -m weights_port parity-table

clean:
	rm -rf $(VENV) build dist results *.egg-info .pytest_cache .ruff_cache \
	  .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/demo.stamp: $(BIN)/python pyproject.toml constraints.txt
	$(PIP) install -c constraints.txt -e ".[tensorflow,data,export,plot]"
	touch $@

$(VENV)/dev.stamp: $(BIN)/python pyproject.toml constraints.txt
	$(PIP) install -c constraints.txt \
	  -e ".[tensorflow,jax,torch,data,export,plot,cv,hub,dev]"
	touch $@

$(VENV)/lint.stamp: $(BIN)/python pyproject.toml
	$(BIN)/python -m venv $(VENV)/lint
	$(LINT)/python -m pip --disable-pip-version-check --quiet install \
	  -e ".[lint]"
	touch $@
