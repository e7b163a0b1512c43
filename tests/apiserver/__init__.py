"""A simulated Kubernetes API server: what a DNS server reads of it, and the faults it may have."""
