"""`kubernetes`: answers names of Services, endpoints and pods from the cluster's objects.

What the names hold is decided by `clusterdns.zone`; here are the directive's options, and the way
from what the zone says to a reply.
"""

from clusterdns.plugins.kubernetes.plugin import Kubernetes

__all__ = ["Kubernetes"]
