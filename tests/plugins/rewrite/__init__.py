"""Tests of `rewrite`, one file for each field."""
