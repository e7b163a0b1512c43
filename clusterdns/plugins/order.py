"""The fixed order in which directives run, whatever the Corefile's order, and what they are.

A directive is a word in ORDER and a module of that name here, or a package, with the Plugin whose
`name` it is. A module is imported when a Corefile uses its directive, and not before.
"""

import importlib
import importlib.util
from collections.abc import Iterable
from functools import cache

from clusterdns.corefile.lexer import Token
from clusterdns.corefile.tree import Directive, ServerBlock
from clusterdns.errors import ConfigError
from clusterdns.plugins.base import Plugin, Setup
from clusterdns.plugins.lines import nearest

# CoreDNS 1.14.7's, complete; those that are not here are told of in `refusals`.
ORDER = (
    *("root", "metadata", "geoip", "cancel", "proxyproto", "quic", "grpc_server", "https"),
    *("https3", "timeouts", "multisocket", "reload", "nsid", "bufsize", "bind", "debug", "trace"),
    *("ready", "health", "pprof", "shed", "prometheus", "errors", "log", "dnstap", "local"),
    *("dns64", "any", "chaos", "loadbalance", "tsig", "rewrite", "autopath", "acl", "cache"),
    *("header", "dnssec", "tls", "minimal", "template", "transfer", "hosts", "route53", "azure"),
    *("clouddns", "k8s_external", "kubernetes", "file", "auto", "secondary", "etcd", "loop"),
    *("forward", "grpc", "erratic", "whoami", "on", "sign", "view", "nomad"),
)
ALIKE = 0.7  # of two words, of 1; `host` and `hosts` have 0.9, `dnsredir` and `transfer` 0.5

# Those that only configure, in CoreDNS: metrics do not list them among what queries pass.
NOT_PASSED = {
    *("bind", "debug", "grpc_server", "health", "https", "https3", "multisocket", "on", "pprof"),
    *("proxyproto", "quic", "ready", "reload", "root", "sign", "timeouts", "tls"),
}
COUNTS = "prometheus"  # the one that has a server block's queries told to metrics


@cache
def known() -> tuple[str, ...]:
    """The directives that exist here, in the order in which they run."""
    return tuple(word for word in ORDER if importlib.util.find_spec(_module(word)))


def plugin_class(word: Token) -> type[Plugin]:
    """What this directive is; imports its module.

    Raises ConfigError at the word for one that does not exist, not yet, or never will.
    """
    name = word.text
    if name not in known():
        raise ConfigError(_why_not(name), word.place)
    module = importlib.import_module(_module(name))
    for found in vars(module).values():
        if (
            isinstance(found, type)
            and issubclass(found, Plugin)
            and vars(found).get("name") == name
        ):
            return found
    raise TypeError(f"{module.__name__} has no Plugin of the name {name!r}")


def build(block: ServerBlock, setup: Setup) -> list[Plugin]:
    """The plugins of a server block in the order in which queries pass them.

    Those that only configure are among them: see `Plugin.in_chain`.
    Raises the first ConfigError of the file; setup.faults has every one.
    """
    plugins = []
    for directives in _by_name(block.directives, setup):
        with setup.attempt():
            plugins.append(plugin_class(directives[0].name).parse(directives, setup))
    for last in [plugin for plugin in plugins if plugin.name not in NOT_PASSED][-1:]:
        last.is_last = True
    setup.plugins += plugins
    for check in setup.at_end if not setup.faults else ():
        with setup.attempt():
            check()
    if setup.faults:
        raise min(setup.faults, key=lambda fault: fault.place or ())
    setup.recursive = any(plugin.recursive for plugin in plugins)
    return plugins


def _by_name(directives: Iterable[Directive], setup: Setup) -> list[list[Directive]]:
    """The directives, equal words together, in order; words that are none leave a fault."""
    groups: dict[str, list[Directive]] = {}
    for directive in directives:
        with setup.attempt():
            plugin_class(directive.name)
            groups.setdefault(directive.name.text, []).append(directive)
    return [groups[word] for word in known() if word in groups]


def _why_not(name: str) -> str:
    from clusterdns.plugins.refusals import refusal

    hint = nearest(name, known(), least=ALIKE)
    return refusal(name) or f"unknown directive {name!r}; {hint}"


def _module(word: str) -> str:
    return f"clusterdns.plugins.{word}"
