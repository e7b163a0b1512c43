"""`view`: which queries a server block takes, of those that others could have too."""

from clusterdns.plugins.view.plugin import View

__all__ = ["View"]
