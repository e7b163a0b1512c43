"""Tests against a real kube-apiserver: `make test-apiserver`."""
