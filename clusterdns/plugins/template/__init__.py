"""`template`: records made of the question by Go templates.

The language is in scanner, parser, nodes, values, functions and formats. What templates can see is
in data, what becomes of their text in records.
"""

from clusterdns.plugins.template.plugin import Template

__all__ = ["Template"]
