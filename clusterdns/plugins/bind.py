"""`bind`: the addresses that a server block listens on, instead of every one."""

import ipaddress
from collections.abc import Iterable, Sequence

import ifaddr

from clusterdns.corefile.lexer import Token
from clusterdns.corefile.names import parse_address
from clusterdns.corefile.tree import Directive
from clusterdns.corefile.values import arguments
from clusterdns.errors import ConfigError
from clusterdns.plugins.base import Plugin, Setup
from clusterdns.plugins.lines import read_options


class Bind(Plugin):
    """Only configures: the addresses are in setup.bind, an IPv6 link-local one with its scope."""

    name = "bind"

    @classmethod
    def parse(cls, directives: Sequence[Directive], setup: Setup) -> "Bind":
        """An interface stands for the addresses that it has now; later ones are not listened on."""
        interfaces = _interfaces()
        for directive in directives:
            with setup.attempt():
                _add(directive, interfaces, setup)
        if not setup.bind and not setup.faults:
            raise ConfigError(
                "bind leaves no address to listen on: 'except' takes out every one",
                directives[0].name.place,
            )
        return cls()


def _add(directive: Directive, interfaces: dict[str, list[str]], setup: Setup) -> None:
    excepted: set[str] = set()

    def leave_out(line: Directive) -> None:
        words = arguments(line, least=1)
        excepted.clear()  # the last line counts
        excepted.update(each for _, each in _addresses(words, interfaces))

    read_options(directive, setup, {"except": leave_out})
    for word, address in _addresses(arguments(directive, least=1), interfaces):
        if address in excepted:
            continue
        if address in setup.bind:
            raise ConfigError(f"address {address} is bound already in this block", word.place)
        setup.bind.append(address)


def _addresses(
    words: Iterable[Token], interfaces: dict[str, list[str]]
) -> Iterable[tuple[Token, str]]:
    """Each word with each of its addresses."""
    for word in words:
        if word.text in interfaces:
            for address in interfaces[word.text]:
                yield word, address
        else:
            yield word, _address(word)


def _address(word: Token) -> str:
    if found := parse_address(word.text):
        return str(found)
    raise ConfigError(
        f"{word.text!r} is no IP address, and no interface of this machine", word.place
    )


def _interfaces() -> dict[str, list[str]]:
    """The addresses of every interface, IPv4 ones first."""
    return {
        adapter.name: [_scoped(adapter.name, address) for address in adapter.ips]
        for adapter in ifaddr.get_adapters()
    }


def _scoped(interface: str, address: ifaddr.IP) -> str:
    if isinstance(address.ip, str):
        return address.ip
    plain = ipaddress.ip_address(address.ip[0])
    return f"{plain}%{interface}" if plain.is_link_local else str(plain)
