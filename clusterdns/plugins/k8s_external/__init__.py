"""`k8s_external`: names of Services outside of the cluster, from their external addresses.

What the names hold is decided by `clusterdns.zone.external`; here are the directive's options, and
the way from what the zone says to a reply.
"""

from clusterdns.plugins.k8s_external.plugin import K8sExternal

__all__ = ["K8sExternal"]
