"""Hypothesis without a clock: what takes 200 ms on a busy machine is not wrong."""

from hypothesis import settings

settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")
