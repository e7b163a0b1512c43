"""Hypothesis without a clock: what takes long on a busy machine is not wrong."""

import gc

from hypothesis import HealthCheck, settings

settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")


def pytest_collection_finish() -> None:
    """Modules and thousands of tests stay: looking at them again and again is a tenth of a run."""
    gc.collect()
    gc.freeze()
