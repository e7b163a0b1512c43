"""DNS over HTTPS to one upstream (RFC 8484): connections that stay, by HTTP/2 with many queries on
each, by HTTP/1.1 with one. Imported for an upstream with https:// alone."""

import asyncio
import logging
import os
import time
from itertools import islice

from clusterdns.corefile.names import host_and_port
from clusterdns.errors import MalformedMessage, UpstreamError
from clusterdns.plugins.forward import figures
from clusterdns.plugins.forward.attempt import Attempt
from clusterdns.plugins.forward.exchange import reply_to
from clusterdns.plugins.forward.http_message import PATH, Form, Response, message_in
from clusterdns.plugins.forward.https_connection import Connection
from clusterdns.plugins.forward.options import Options
from clusterdns.plugins.forward.pool import CLOSE_S, Pool, emptied
from clusterdns.plugins.forward.proxies import proxy_for
from clusterdns.plugins.forward.targets import PORTS, Target
from clusterdns.plugins.forward.tunnel import Way, connect
from clusterdns.wire.received import Received

# To one upstream. What comes on top waits for one of them, as long as its attempt may take.
CONNECTIONS = 64
# For TCP's and TLS's handshakes, the proxy's too. Longer than a query waits, as for `Streams`.
CONNECT_S = 4.0
NO_ID = b"\0\0"  # RFC 8484 section 4.1: equal questions are equal messages, which caches want
_ANY_NUMBER = 1 << 30
_GONE = object()

log = logging.getLogger(__name__)


class Https(Pool[Connection]):
    """The connections to one upstream.

    Which version of HTTP it speaks shows when the first one is there. Until then all queries wait
    for that one; then there are as many as they need.

    url: what is asked. form: how, with the name that the certificate has as the authority, since
    servers with several names look for it there too.
    """

    def __init__(self, target: Target, options: Options) -> None:
        super().__init__(options.expire_s)
        port = max(target.port, 0)  # as for `connect`
        name = target.server_name or target.host
        shown = host_and_port(name, port)
        self.form = Form(options.doh_method, shown.removesuffix(f":{PORTS['https']}"))
        self.url = f"https://{host_and_port(target.host, port).removesuffix(':443')}{PATH}"
        self.address = target.address
        assert options.context is not None
        assert options.http_context is not None
        self._way = Way(
            target,
            name,
            options.http_context,
            options.source_address,
            proxy_for(target.host, name, os.environ),
            options.context,
        )
        self._options = options
        self._counted = figures.Connections(target.address, "https")
        self._all: set[Connection] = set()  # with those that are on their way or about to end
        self._dials: dict[Connection, asyncio.Task[None]] = {}  # the oldest first
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiting: dict[Request, object] = {}  # for a connection, the first one first
        self._room = _ANY_NUMBER  # of one connection, as far as that is known
        self._gone = asyncio.Event()

    def send(self, attempt: Attempt, now: float) -> None:
        """Sends a question."""
        attempt.id = NO_ID
        attempt.home = request = Request(self, attempt, now)
        self._waiting[request] = None
        self._serve_waiting(now)

    def connected(self, connection: Connection) -> None:
        """A connection is there."""
        if self._dials.pop(connection, None) is None:
            connection.abort(UpstreamError("EOF"))  # given up just before
            return
        self._keep(connection)
        self.settle(connection)

    def settle(self, connection: Connection) -> None:
        """Something of a connection is over: is it kept, and who is next?"""
        self._room = max(connection.limit, 1)
        self._serve_waiting(time.monotonic())
        if connection.attempts:
            return
        if connection not in self._open:
            connection.close()
            return
        idle = sum(not each.attempts for each in self._open)
        most_idle = self._options.max_idle_conns
        if self.is_stopped or self.expire_s <= 0 or 0 < most_idle < idle:
            self.retire(connection)

    def retire(self, one: Connection) -> None:
        if one in self._open:
            self._open.remove(one)
        if not one.attempts:
            one.close()
        self._serve_waiting(time.monotonic())

    def lost(self, connection: Connection, requests: list["Request"], error: UpstreamError) -> None:
        """A connection has ended, with these requests under way."""
        if connection in self._open:
            self._open.remove(connection)
        repeated = [each for each in requests if each.may_repeat]
        if repeated:  # the other idle ones may have ended just so
            for each in self._open[:]:
                if not each.attempts:
                    self.retire(each)
        for request in requests:
            if request.is_over:
                continue  # given up by one before it
            self.repeat_or_fail(request, error, may_repeat=request.may_repeat)

    def gone(self, connection: Connection) -> None:
        """Nothing is left of a connection."""
        self._all.discard(connection)
        self._gone.set()
        self._serve_waiting(time.monotonic())

    def repeat_or_fail(self, request: "Request", error: UpstreamError, *, may_repeat: bool) -> None:
        """Its connection has ended, or did not take it: this may be no fault of the upstream."""
        if may_repeat and not self.is_stopped:
            request.repeat()
            self._waiting[request] = None
            self._serve_waiting(time.monotonic())
        else:
            request.failed(error)

    def leave_waiting(self, request: "Request", is_late: bool) -> None:
        """It waits for a connection no longer. If it did so in vain, so does a handshake that lasts
        as long; a younger one is for those behind it, if there are any."""
        del self._waiting[request]
        if not is_late:
            return
        for connection, task in list(self._dials.items()):
            if not self._waiting or connection.opened <= request.came:
                self._undial(connection)
                task.cancel()
                if self._waiting:
                    break
        # Not at once: others are late at the same time, and wait for no other connection.
        asyncio.get_running_loop().call_soon(self._serve_waiting, time.monotonic())

    async def close(self) -> None:
        """Closes at once; what is under way fails."""
        self.stop()
        error = UpstreamError("the server stops")
        waiting, self._waiting = list(self._waiting), {}
        for request in waiting:
            request.failed(error)
        for connection in list(self._dials):
            self._undial(connection)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for connection in list(self._all):
            connection.abort(error)
        # The sockets of those that take longer are closed with the loop.
        await emptied(self._all, self._gone, CLOSE_S)

    def _serve_waiting(self, now: float) -> None:
        """Sends what can be sent, and opens connections for the rest."""
        while self._waiting:
            connection = self._choose(now)
            if connection is None:
                break
            request = next(iter(self._waiting))
            del self._waiting[request]
            if not connection.is_fresh:
                self._counted.hit()
            connection.send(request)
        while len(self._waiting) > len(self._dials) * self._room and len(self._all) < CONNECTIONS:
            self._dial(now)

    def _choose(self, now: float) -> Connection | None:
        """The last one that was used, so that the others may expire."""
        for connection in self._open[::-1]:
            if self._is_old(connection, now):
                self._open.remove(connection)
                if not connection.attempts:
                    connection.close()
            elif connection.has_room:
                return connection
        return None

    def _is_old(self, one: Connection, now: float) -> bool:
        if self.expire_s > 0 and super()._is_old(one, now):
            return True
        return 0 < self._options.max_age_s <= now - one.opened

    def _dial(self, now: float) -> None:
        self._counted.miss()
        connection = Connection(self, now)
        self._all.add(connection)
        loop = asyncio.get_running_loop()
        task = self._dials[connection] = loop.create_task(self._connect(connection))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self, connection: Connection) -> None:
        try:
            async with asyncio.timeout(CONNECT_S):
                await connect(self._way, connection)
        except TimeoutError:
            self._not_connected(connection, UpstreamError(f"dial tcp {self.address}: i/o timeout"))
        except UpstreamError as error:
            self._not_connected(connection, error)
        except Exception as error:  # an edge: a handshake may not leave questions waiting
            log.exception("connecting to %s", self.url)
            self._not_connected(connection, UpstreamError(f"{type(error).__name__}: {error}"))

    def _not_connected(self, connection: Connection, error: UpstreamError) -> None:
        """Those that the connection was for come to nothing with it."""
        self._undial(connection)
        for request in list(islice(self._waiting, self._room)):
            if self._waiting.pop(request, _GONE) is not _GONE:  # one before may have ended it
                request.failed(error)
        self._serve_waiting(time.monotonic())

    def _undial(self, connection: Connection) -> None:
        self._dials.pop(connection, None)
        self._all.discard(connection)


class Request:
    """One question on its way.

    message: as it is asked. number: on its connection. came, begun: monotonic seconds of the
    question and of its sending. may_repeat: by a connection that was there or good before, so that
    its end says nothing.
    """

    def __init__(self, owner: Https, attempt: Attempt, now: float) -> None:
        self._owner = owner
        self._attempt = attempt
        self._connection: Connection | None = None  # None: it waits for one
        self.came = now
        self.message = NO_ID + attempt.asked.rest
        self.number = 0
        self.begun = 0.0
        self.may_repeat = False
        self.is_repeated = False

    @property
    def is_over(self) -> bool:
        """Whether nobody waits for it any more."""
        return self._attempt.home is not self

    def sent(self, connection: Connection, number: int, now: float) -> None:
        """It is under way."""
        self._connection = connection
        self.number = number
        self.begun = now
        was_good = connection.has_replied or connection.made < self.came
        self.may_repeat = was_good and not self.is_repeated

    def repeat(self) -> None:
        """It waits for a connection again, and will not do so once more."""
        self._connection = None
        self.is_repeated = True

    def leave(self, attempt: Attempt, is_late: bool) -> None:
        """Nobody waits for the reply any more."""
        if self._connection is None:
            self._owner.leave_waiting(self, is_late)
        else:
            self._connection.leave(self, is_late)

    def failure(self, reason: str) -> UpstreamError:
        """As Go writes it: `Post "https://192.0.2.1/dns-query": i/o timeout`."""
        owner = self._owner
        return UpstreamError(f'{owner.form.method.capitalize()} "{owner.url}": {reason}')

    def failed(self, error: UpstreamError) -> None:
        """It has come to nothing."""
        self._attempt.failed(self.failure(str(error)))

    def answered(self, response: Response) -> None:
        """There is a response, whatever is in it."""
        try:
            found = self._reply(response)
        except UpstreamError as error:
            self.failed(error)
        except Exception as error:  # an edge: one request may not leave its question waiting
            log.exception("asking %s", self._owner.url)
            self.failed(UpstreamError(f"{type(error).__name__}: {error}"))
        else:
            self._attempt.replied(found)

    def _reply(self, response: Response) -> Received:
        """Raises UpstreamError."""
        try:
            found = reply_to(self._attempt.asked, message_in(response))
        except MalformedMessage as error:
            raise UpstreamError(f"no usable reply: {error}") from error
        if found is None:
            figures.ignored_replies.add(self._owner.address)
            raise UpstreamError("a reply to another question")
        return found
