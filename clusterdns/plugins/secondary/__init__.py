"""`secondary`: zones that other servers have, fetched from them and kept up to date."""

from clusterdns.plugins.secondary.plugin import Secondary

__all__ = ["Secondary"]
