"""`tls`: the certificate of tls:// server blocks, and whether clients must show one."""

import os
import ssl
from collections.abc import Sequence

from clusterdns.corefile.lexer import Token
from clusterdns.corefile.tree import Directive
from clusterdns.corefile.values import arguments, one_argument
from clusterdns.errors import ConfigError
from clusterdns.plugins.base import Plugin, Setup, TlsFiles
from clusterdns.plugins.lines import choice, once, read_options

# OpenSSL, as Python has it, asks for no certificate that it would not verify. With `request` nobody
# looks at what a client shows, so it need not be asked.
CLIENTS = {
    "nocert": ssl.CERT_NONE,
    "request": ssl.CERT_NONE,
    "verify_if_given": ssl.CERT_OPTIONAL,
    "require_and_verify": ssl.CERT_REQUIRED,
}
UNVERIFIED = "require"
ACME = {"acme", "email", "ca", "storage", "ca_root", "resolver"}


class Tls(Plugin):
    """Only configures: what it says is in setup.tls."""

    name = "tls"

    @classmethod
    def parse(cls, directives: Sequence[Directive], setup: Setup) -> "Tls":
        directive = once(directives)
        _refuse_acme(directive)
        cert, key, *ca = (
            os.path.join(setup.root, word.text) for word in arguments(directive, 2, 3)
        )
        clients, keylog = ssl.CERT_NONE, ""

        def client_auth(line: Directive) -> None:
            nonlocal clients
            clients = _clients(one_argument(line))

        def key_log(line: Directive) -> None:
            nonlocal keylog
            keylog = os.path.join(setup.root, one_argument(line).text)

        read_options(directive, setup, {"client_auth": client_auth, "keylog": key_log})
        place = directive.name.place
        setup.tls = TlsFiles(cert, key, place, "".join(ca), clients, keylog)
        return cls()


def _clients(word: Token) -> ssl.VerifyMode:
    if word.text == UNVERIFIED:
        raise ConfigError(
            f"certificates that nobody verifies are not asked for; write {list(CLIENTS)[-1]}, "
            "with the CA that signs them behind the key",
            word.place,
        )
    return CLIENTS[choice(word, (*CLIENTS, UNVERIFIED))]


def _refuse_acme(directive: Directive) -> None:
    """Refuses the form that gets a certificate from an ACME server."""
    words = {line.name.text for line in directive.block or ()}
    if not directive.arguments and words & ACME:
        raise ConfigError(
            "certificates are not got by ACME here; have cert-manager or certbot do it, and write "
            "tls CERT KEY: renewed files are read again",
            directive.name.place,
        )
