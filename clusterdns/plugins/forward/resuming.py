"""TLS to upstreams, with sessions that go on where the connection before left off."""

import ssl
from typing import Any


class Resuming(ssl.SSLContext):
    """Of a client. A new connection resumes the last session with that server name: no certificate
    is sent and checked again, which is most of a handshake's work on either side.

    asyncio has no argument for a session, but has the context make what speaks TLS; there it is put
    in. A session belongs to one context and one name, so what was checked holds on (RFC 8446
    section 4.6.1); whatever the server does not resume is a full handshake, as without it.
    """

    def __init__(self, *protocol: int) -> None:
        self._made: dict[str, ssl.SSLObject] = {}  # the last of each name
        self._sessions: dict[str, ssl.SSLSession] = {}

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: Any = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """As SSLContext has it; session: None for the last one with that name."""
        name = str(server_hostname)
        session = session or self._session(name)
        made = super().wrap_bio(incoming, outgoing, server_side, server_hostname, session)
        self._made[name] = made
        return made

    def _session(self, name: str) -> ssl.SSLSession | None:
        """Looked for as late as this: TLS 1.3 sends what it takes behind the handshake."""
        last = self._made.get(name)
        if last is not None and _is_good(last):
            assert last.session is not None
            self._sessions[name] = last.session
        return self._sessions.get(name)


def _is_good(made: ssl.SSLObject) -> bool:
    """Whether its session can be resumed."""
    try:
        made.getpeercert()
    except ValueError:  # the handshake has not ended, or not well
        return False
    session = made.session
    return session is not None and (session.has_ticket or made.version() != "TLSv1.3")
