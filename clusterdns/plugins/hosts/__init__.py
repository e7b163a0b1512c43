"""`hosts`: names and addresses from a hosts file, and from lines in the Corefile."""

from clusterdns.plugins.hosts.plugin import Hosts

__all__ = ["Hosts"]
