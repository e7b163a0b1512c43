"""The one place that builds the parts, runs them, and exchanges them when the Corefile changes."""

from clusterdns.app.announcing import LOOPBACK
from clusterdns.app.options import Options
from clusterdns.app.server import App, run

__all__ = ["LOOPBACK", "App", "Options", "run"]
