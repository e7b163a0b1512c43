"""`transfer`: hands zones on to secondary servers, and tells them of changes."""

from clusterdns.plugins.transfer.plugin import Transfer

__all__ = ["Transfer"]
