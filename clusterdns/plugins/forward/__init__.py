"""`forward`: asks other servers about names that are not the cluster's.

`options` reads the directive, `targets` and `resolvconf` what stands for its upstreams. A query
goes `plugin` -> `forwarder` (one line of the Corefile) -> `flight` (one question, for all who ask
it) -> `upstream` -> `datagrams` or `streams`, by callbacks and in octets. `exchange`, `policy` and
`healthcheck` decide, and know no sockets.
"""

from clusterdns.plugins.forward.plugin import Forward

__all__ = ["Forward"]
