"""Whether an upstream is down: probes that begin with a failure and end with a reply."""

from collections.abc import Callable

PROBE_S = 1.0  # CoreDNS's time for a reply to a probe
# What `health_check 0` comes to: CoreDNS asks again at once, up to thousands of times a second.
LEAST_PAUSE_S = 0.05


class HealthCheck:
    """The state of one upstream. It knows neither sockets nor a clock: whoever owns it gives it
    `send`, which sends a probe and then calls `replied` or `failed`, and `later`, which calls
    `due` after so many seconds.

    fails: failed probes since the last reply.
    """

    def __init__(
        self,
        max_fails: int,
        pause_s: float,
        send: Callable[[], object],
        later: Callable[[float], object],
    ) -> None:
        """max_fails: failed probes that an upstream may have without being down; 0: it is never
        down and never probed. pause_s: between a failed probe and the next."""
        self.fails = 0
        self._max_fails = max_fails
        self._pause_s = max(pause_s, LEAST_PAUSE_S)
        self._send = send
        self._later = later
        self._is_checking = False
        self._is_stopped = False

    @property
    def is_down(self) -> bool:
        """Whether queries are for other upstreams, as long as there is one that is not down."""
        return self.fails > self._max_fails > 0

    def suspect(self) -> None:
        """A query failed: begins to probe, unless that goes on already."""
        if self._max_fails and not self._is_checking and not self._is_stopped:
            self._is_checking = True
            self._send()

    def replied(self) -> None:
        """The probe had a reply, whatever it said: all is well."""
        self.fails = 0
        self._is_checking = False

    def failed(self) -> None:
        """The probe had none."""
        self.fails += 1
        if not self._is_stopped:
            self._later(self._pause_s)

    def due(self) -> None:
        """The pause is over: the next probe."""
        if self._is_checking and not self._is_stopped:
            self._send()

    def stop(self) -> None:
        """Probes no more."""
        self._is_stopped = True
