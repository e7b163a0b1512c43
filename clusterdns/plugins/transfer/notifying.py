"""NOTIFY messages (RFC 1996): other servers hear that a zone has changed, and come for it."""

import asyncio
import logging
from typing import NamedTuple

import dns.asyncquery
import dns.exception
import dns.flags
import dns.message
import dns.opcode
import dns.rcode

from clusterdns.corefile.names import AddressPort

TRIES = 3  # CoreDNS's, and so is the next; RFC 1996 would go on for minutes
ANSWER_S = 2.0
AT_ONCE = 8  # messages that wait for their reply; the others wait for these

log = logging.getLogger(__name__)


class Notice(NamedTuple):
    """A zone has changed, and this server wants to know."""

    zone: str  # absolute, presentation form
    target: AddressPort
    source: str | None  # the address to tell it from


class Notifier:
    """Sends what it is told, several at once and each until it is accepted or in vain.

    A change that comes while an earlier one of the same zone still waits is told with it, so no
    more wait than there are zones and servers.
    """

    def __init__(self) -> None:
        self._notices: asyncio.Queue[Notice] = asyncio.Queue()
        self._waiting: set[Notice] = set()
        self._ended = False

    def tell(self, notice: Notice) -> None:
        """Has this sent soon."""
        if notice not in self._waiting:
            self._waiting.add(notice)
            self._notices.put_nowait(notice)

    async def serve(self, stopping: asyncio.Event) -> None:
        """Sends until `stopping`; what has not been sent by then is lost."""
        self._ended = False
        senders = [asyncio.ensure_future(self._send_all()) for _ in range(AT_ONCE)]
        try:
            await stopping.wait()
        finally:
            self._ended = True
            for sender in senders:
                sender.cancel()
            await asyncio.gather(*senders, return_exceptions=True)

    async def _send_all(self) -> None:
        while not self._ended:  # Python 3.11: `wait_for` in dnspython can swallow a cancellation
            notice = await self._notices.get()
            self._waiting.discard(notice)
            try:
                await _send(notice)
            except Exception:  # an edge: the next one may be sent
                log.exception("notify for zone %s to %s", notice.zone, notice.target)


async def _send(notice: Notice) -> None:
    message = dns.message.make_query(notice.zone, "SOA", flags=dns.flags.AA)
    message.set_opcode(dns.opcode.NOTIFY)
    fault = ""
    for _ in range(TRIES):
        try:
            reply = await dns.asyncquery.udp(
                message,
                notice.target.host,
                ANSWER_S,
                notice.target.port,
                notice.source,
                ignore_unexpected=True,
                ignore_errors=True,
            )
        except (OSError, ValueError, dns.exception.DNSException) as error:
            fault = str(error) or type(error).__name__
            continue
        if reply.rcode() == dns.rcode.NOERROR:
            log.debug('Sent notify for zone "%s" to %s', notice.zone, notice.target)
            return
        fault = f"rcode was {dns.rcode.to_text(reply.rcode())}"
    log.warning(
        'Failed sending notifies: notify for zone "%s" was not accepted by %s: %s',
        notice.zone,
        notice.target,
        fault,
    )
