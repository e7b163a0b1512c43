"""Tests of `template`."""
