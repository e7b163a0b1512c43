"""`rewrite`: changes questions on their way in, and replies on their way out.

Each field has a file of its own: names, kinds (type and class), edns0 change the question; answers,
ttl, rcode and cname the reply.
"""

from clusterdns.plugins.rewrite.plugin import Rewrite

__all__ = ["Rewrite"]
