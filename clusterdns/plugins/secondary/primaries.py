"""Asks the servers that have a zone for its serial, and for all of it (RFC 5936), over TCP.

What they send is parsed in a thread, message by message: dnspython takes 50 ms for a full one.
"""

import asyncio

import dns.asyncquery
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.xfr

from clusterdns.corefile.names import AddressPort
from clusterdns.errors import SourceError, UpstreamError
from clusterdns.zone.masterfile import Collected, Zone

ANSWER_S = 5.0  # for a connection, and for the answer to a question
SILENCE_S = 10.0  # before and between the messages of a transfer
WHOLE_S = 3600.0  # for all of them


class Primary(AddressPort):
    """A server that has the zone."""

    async def serial(self, origin: str) -> int:
        """The serial of its SOA record. Raises UpstreamError."""
        query = dns.message.make_query(origin, "SOA", flags=0)
        try:
            reply = await dns.asyncquery.tcp(query, self.host, ANSWER_S, self.port)
        except (OSError, EOFError, dns.exception.DNSException) as error:
            raise UpstreamError(f"{self}: {_said(error)}") from error
        for rrset in reply.answer:
            if rrset.rdtype == dns.rdatatype.SOA and rrset.name == query.question[0].name:
                return int(rrset[0].serial)
        rcode = dns.rcode.to_text(reply.rcode())
        raise UpstreamError(f"{self}: no SOA record of {origin} in its answer, {rcode}")

    async def zone(self, origin: str) -> Zone:
        """The zone as it has it. Raises UpstreamError."""
        try:
            async with asyncio.timeout(WHOLE_S):
                return await self._transfer(dns.name.from_text(origin))
        except SourceError as error:
            raise UpstreamError(str(error)) from error
        except (OSError, EOFError, ValueError, KeyError, dns.exception.DNSException) as error:
            raise UpstreamError(f"{self}: {_said(error)}") from error

    async def _transfer(self, origin: dns.name.Name) -> Zone:
        query = dns.message.make_query(origin, "AXFR", flags=0)
        incoming = _Incoming(origin, query)
        async with asyncio.timeout(ANSWER_S):
            reader, writer = await asyncio.open_connection(self.host, self.port)
        try:
            octets = query.to_wire()
            writer.write(len(octets).to_bytes(2, "big") + octets)
            done = False
            while not done:
                async with asyncio.timeout(SILENCE_S):
                    size = int.from_bytes(await reader.readexactly(2), "big")
                    octets = await reader.readexactly(size)
                done = await asyncio.to_thread(incoming.take, octets)
        finally:
            writer.transport.abort()
        return await asyncio.to_thread(incoming.collected.zone, str(self))


class _Incoming:
    """A zone, message by message."""

    def __init__(self, origin: dns.name.Name, query: dns.message.Message) -> None:
        self.collected = Collected(origin)
        self._query = query
        self._inbound = dns.xfr.Inbound(self.collected, dns.rdatatype.AXFR)

    def take(self, octets: bytes) -> bool:
        """Whether that was all. Raises what dnspython raises for a message that cannot be."""
        message = dns.message.from_wire(octets, xfr=True, multi=True)
        if message.id != self._query.id or not message.flags & dns.flags.QR:
            raise ValueError("a message that answers nothing")
        return self._inbound.process_message(message)


def _said(error: Exception) -> str:
    return str(error) or type(error).__name__
