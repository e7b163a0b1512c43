"""`cache`: replies kept for as long as their TTLs say."""

from clusterdns.plugins.cache.plugin import Cache

__all__ = ["Cache"]
