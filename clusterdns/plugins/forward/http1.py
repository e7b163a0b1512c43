"""HTTP/1.1 to an upstream: octets in, octets out, one request at a time (RFC 9112)."""

import h11

from clusterdns.errors import UpstreamError
from clusterdns.plugins.forward.http_message import (
    MEDIA,
    MOST_OCTETS,
    Form,
    Outcome,
    Response,
    too_large,
)


class Http1:
    """One connection.

    limit: requests at a time. is_over: there can be no more of them.
    """

    limit = 1
    leaves_usable = False  # one cannot step over a reply

    def __init__(self, form: Form) -> None:
        self.is_over = False
        self._form = form
        self._http = h11.Connection(h11.CLIENT)
        self._number = 0
        self._is_asking = False
        self._out: list[bytes] = []
        self._head: h11.Response | None = None
        self._body = bytearray()

    def ask(self, message: bytes) -> int:
        """Begins a request; its number."""
        form = self._form
        body = form.body(message)
        fields = [("Host", form.authority), ("Accept", MEDIA)]
        if body:
            fields += [("Content-Type", MEDIA), ("Content-Length", str(len(body)))]
        head = h11.Request(method=form.method, target=form.target(message), headers=fields)
        self._send(head)
        if body:
            self._send(h11.Data(data=body))
        self._send(h11.EndOfMessage())
        self._number += 1
        self._is_asking = True
        return self._number

    def leave(self, number: int) -> None:
        """The response is waited for no longer; nor is there any behind it."""
        self.is_over = True

    def probe(self) -> None:
        """Has the other side say something; there is no way to do so."""

    def end(self) -> None:
        """Says good-bye; there is no word for it."""

    def outgoing(self) -> bytes:
        """What is to be sent by now."""
        octets = b"".join(self._out)
        self._out.clear()
        return octets

    def received(self, data: bytes) -> list[tuple[int, Outcome]]:
        """What came of requests, by number; data: b"" at the end of the connection.

        Raises UpstreamError for what is no HTTP; the connection is of no use then.
        """
        if not self._is_asking or self.is_over:
            self.is_over = True  # nobody asked for it; it would be taken for the next response
            return []
        self.is_over = not data
        try:
            self._http.receive_data(data)
            return self._events()
        except h11.RemoteProtocolError as error:
            if not data:
                return []  # it just ended
            self.is_over = True
            raise UpstreamError(f"malformed HTTP response: {error}") from error

    def _send(self, event: h11.Request | h11.Data | h11.EndOfMessage) -> None:
        self._out.append(self._http.send(event) or b"")

    def _events(self) -> list[tuple[int, Outcome]]:
        while True:
            match self._http.next_event():
                case h11.Response() as head:
                    self._head = head
                case h11.Data(data=data):
                    self._body += data
                    if len(self._body) > MOST_OCTETS:
                        self.is_over = True
                        self._is_asking = False
                        return [(self._number, too_large())]
                case h11.EndOfMessage():
                    return [(self._number, self._ended())]
                case h11.NEED_DATA | h11.PAUSED | h11.ConnectionClosed():
                    return []
                case _:  # an informational response: there is another one to come
                    pass

    def _ended(self) -> Response:
        assert self._head is not None
        response = Response(self._head.status_code, dict(self._head.headers), bytes(self._body))
        self._is_asking = False
        self._body.clear()
        if (self._http.our_state, self._http.their_state) == (h11.DONE, h11.DONE):
            self.is_over = self.is_over or bool(self._http.trailing_data[0])
            self._http.start_next_cycle()
        else:
            self.is_over = True
        return response
