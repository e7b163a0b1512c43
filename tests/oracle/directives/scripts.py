"""What the upstreams of these tests say, by the first label of the name."""

from tests.oracle.upstreams import Said, Script

SOA = "test. 900 SOA ns.test. host.test. 7 7200 1800 86400 60"

ANSWERS: Script = {
    "": Said("@ 300 A 192.0.2.1"),
    "nx": Said(rcode="NXDOMAIN", authority=SOA),
    "nodata": Said(authority=SOA),
    "empty": Said(),
    "fail": Said(rcode="SERVFAIL"),
    "refused": Said(rcode="REFUSED"),
    "notimp": Said(rcode="NOTIMP"),
    "chain": Said(
        "@ 300 CNAME mid.chain.test.\nmid.chain.test. 60 CNAME end.test.\nend.test. 30 A 192.0.2.2"
    ),
    "below": Said("@ 300 CNAME below.@\nbelow.@ 60 A 192.0.2.3\nother.test. 60 A 192.0.2.4"),
    "srv": Said(
        "@ 300 SRV 1 2 80 one.@\n@ 300 SRV 1 2 81 Two.test.",
        "test. 900 NS ns.test.",
        "one.@ 20 A 192.0.2.5\nTwo.test. 20 AAAA 2001:db8::5",
    ),
    "mixed": Said("@ 300 MX 5 @\n@ 300 NS NS.@\n@ 300 PTR sub.@\n@ 300 DNAME new.@", SOA),
    "naptr": Said('@ 300 NAPTR 1 2 "S" "SIP" "" _sip.@\n@ 300 SOA ns.@ host.@ 1 2 3 4 5'),
    "txt": Said('@ 300 TXT "@"'),
    "zero": Said("@ 0 A 192.0.2.6\n@ 86400 A 192.0.2.7"),
    "options": Said(
        "@ 300 A 192.0.2.8", edns=bytes.fromhex("00030002abcdffee0001770008000700011800c00002")
    ),
}
