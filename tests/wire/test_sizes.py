"""What a reply would be without compression, against dnspython."""

import dns.message
import dns.rdataclass
import dns.rdatatype
import dns.renderer
import pytest
from dnslib import RR

from clusterdns.wire.question import Question
from clusterdns.wire.sizes import plain_size

NAME = "web.shop.svc.cluster.local."
RECORDS = {
    "nothing": "",
    "one address": f"{NAME} 5 IN A 10.0.0.1",
    "addresses": f"{NAME} 5 IN A 10.0.0.1\n{NAME} 5 IN A 10.0.0.2\n{NAME} 5 IN AAAA fd00::1",
    "SRV": f"_http._tcp.{NAME} 5 IN SRV 0 100 80 a.{NAME}\na.{NAME} 5 IN A 10.0.0.1",
    "CNAME": f"{NAME} 5 IN CNAME example.org.",
    "PTR": f"1.0.0.10.in-addr.arpa. 5 IN PTR {NAME}",
    "SOA": "cluster.local. 5 IN SOA ns.dns.cluster.local. hostmaster.cluster.local. 1 2 3 4 5",
    "TXT": f'{NAME} 5 IN TXT "one" "two"',
    "the root": ". 5 IN NS a.root-servers.net.",
}


@pytest.mark.parametrize("text", RECORDS.values(), ids=RECORDS)
def test_plain_size(text: str) -> None:
    name = text.split()[0] if text else NAME
    size = plain_size(Question.of(name, 1), RR.fromZone(text) if text else [])
    query = dns.message.make_query(name, "A")
    expected = len(query.to_wire())
    for line in text.splitlines():
        owner, ttl, rdclass, rdtype, rdata = line.split(maxsplit=4)
        record = dns.rrset.from_text(owner, int(ttl), rdclass, rdtype, rdata)
        expected += len(record.name.to_wire() or b"") + 10 + len(record[0].to_wire() or b"")
    assert size == expected
