"""Common ground of the tests: backend, tolerances, clean global state."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
# On JAX, most of the time goes into compiling small programs. `make test` runs
# the comparison with the reference outputs apart, optimised as users have it.
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_backend_optimization_level=0 "
    "--xla_llvm_disable_expensive_passes=true",
)

import keras
import pytest

# What they assert is shown as in the tests themselves.
pytest.register_assert_rewrite("tests.testers")


@pytest.fixture(autouse=True)
def clean_state():
    """Seeds every test and restores the global dtype policy."""
    policy = keras.config.dtype_policy()
    keras.utils.set_random_seed(0)
    yield
    keras.config.set_dtype_policy(policy)
    keras.utils.clear_session(free_memory=False)


@pytest.fixture
def backend() -> str:
    return keras.backend.backend()
