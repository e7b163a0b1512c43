"""`tls`: what its lines ask for. How connections go is in tests/server/test_tls.py."""

import ssl

import pytest

from clusterdns.errors import Place
from clusterdns.plugins.base import TlsFiles
from tests.plugins.asking import fault, new_setup, parsed

PLACE = Place("Corefile", 1, 5)
PAIR = ("/k/tls.crt", "/k/tls.key")
CA = "/k/ca.crt"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("tls tls.crt tls.key", TlsFiles(*PAIR, PLACE)),
        ("tls tls.crt /k/tls.key /k/ca.crt", TlsFiles(*PAIR, PLACE, CA)),
        ("tls tls.crt tls.key {\n client_auth nocert\n}", TlsFiles(*PAIR, PLACE)),
        ("tls tls.crt tls.key {\n client_auth request\n}", TlsFiles(*PAIR, PLACE)),
        (
            "tls tls.crt tls.key ca.crt {\n client_auth verify_if_given\n}",
            TlsFiles(*PAIR, PLACE, CA, ssl.CERT_OPTIONAL),
        ),
        (
            "tls tls.crt tls.key ca.crt {\n client_auth require_and_verify\n keylog keys\n}",
            TlsFiles(*PAIR, PLACE, CA, ssl.CERT_REQUIRED, "/k/keys"),
        ),
    ],
)
def test_accepted(text: str, expected: TlsFiles) -> None:
    setup = new_setup()
    setup.root = "/k"
    parsed(text, setup)
    assert setup.tls == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("tls", "1:1: tls takes at least 2 arguments, not 0"),
        ("tls a.crt", "1:5: tls takes at least 2 arguments, not 1"),
        ("tls a b c d", "1:11: tls takes at most 3 arguments; 'd' is too much"),
        ("tls a b\ntls a b", "2:1: tls can only be used once per server block"),
        ("tls a b {\n client_auth\n}", "2:2: client_auth takes 1 argument, not 0"),
        ("tls a b {\n client_auth maybe\n}", "2:14: 'maybe' is none of nocert, request, "),
        (
            "tls a b {\n client_auth require\n}",
            "2:14: certificates that nobody verifies are not asked for; write require_and_verify",
        ),
        ("tls a b {\n keylog\n}", "2:2: keylog takes 1 argument, not 0"),
        ("tls a b {\n chiper x\n}", "2:2: unknown property 'chiper' of tls; there are client_a"),
        ("tls {\n acme dns.example.org\n}", "1:1: certificates are not got by ACME here; have "),
    ],
)
def test_refused(text: str, expected: str) -> None:
    assert fault(text).startswith(expected)
