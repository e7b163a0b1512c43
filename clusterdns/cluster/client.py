"""The way to an API server: requests with the credentials of the moment, connections that are kept.

The raw calls of `kubernetes.aio` are used, and neither its models (25 MB, 0.7 s) nor its Watch,
which gives up at 410 and builds dictionaries of everything.
"""

import asyncio
import logging
import platform
import socket
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter
from urllib.parse import urlsplit

import aiohttp

import clusterdns.cluster.slim_kubernetes  # noqa: F401  # before what it makes slim

# isort: split
from kubernetes.aio.client.api_client import ApiClient
from kubernetes.aio.client.configuration import Configuration
from kubernetes.aio.config import ConfigException, load_kube_config

from clusterdns import __version__, metrics
from clusterdns.cluster.connection import ApiOptions, Kubeconfig, TokenBucket, signature
from clusterdns.cluster.requests import Request, Timing
from clusterdns.errors import ClusterDnsError, SourceError

log = logging.getLogger(__name__)

READ_OCTETS = 1 << 16  # buffered for a connection; twice that stops the server from sending
MOST_REFUSAL = 8192  # octets read of what is said with a refusal
EXPIRY_S = 60.0  # credentials of a plugin are asked for again so long before their end
KEEPALIVE = {  # a host that is gone is noticed within 30 s, and closed connections stay in NATs
    "TCP_KEEPIDLE": 15,
    "TCP_KEEPINTVL": 5,
    "TCP_KEEPCNT": 3,
    "TCP_USER_TIMEOUT": 30_000,  # milliseconds
}
FAILURES = (aiohttp.ClientError, OSError, ssl.SSLError, ConfigException, ClusterDnsError)
USER_AGENT = (
    f"clusterdns/{__version__} ({platform.system().lower()}/{platform.machine()}; "
    f"python/{platform.python_version()})"
)


class Connection:
    """Sends requests with the credentials of the moment; files are read again as they change."""

    def __init__(self, options: ApiOptions, timing: Timing) -> None:
        self._options, self._timing = options, timing
        self._rate = TokenBucket(options.qps, options.burst)
        self._loading = asyncio.Lock()
        self._api: ApiClient | None = None
        self._identity: tuple[object, ...] = ()
        self._files: tuple[Path, ...] = ()
        self._signature: tuple[object, ...] | None = None  # of the files; None: to be loaded
        self._expires: datetime | None = None
        self._open: set[aiohttp.ClientResponse] = set()

    @property
    def _host(self) -> str:
        """What metrics call the API, host and port; "" before anything is known of it."""
        return urlsplit(self._api.configuration.host).netloc if self._api else ""

    async def turn(self) -> None:
        """Waits until the rate limit allows another request."""
        seconds = self._rate.take(asyncio.get_running_loop().time())
        if self._host:
            metrics.rest_waits.observe(seconds, "GET", self._host)
        if seconds:
            await asyncio.sleep(seconds)

    async def get(self, request: Request) -> aiohttp.ClientResponse:
        """The response with its headers read; the caller closes it.

        Raises TimeoutError, and any of FAILURES.
        """
        limit = self._timing.answer
        began, code = perf_counter(), "<error>"
        try:
            async with asyncio.timeout(limit):
                response = await self._get(request)
            code = str(response.status)
        except aiohttp.ServerTimeoutError as error:
            raise TimeoutError(str(error)) from error
        except TimeoutError:
            raise TimeoutError(f"no answer within {limit:g} s") from None
        finally:
            metrics.rest_requests.add(code, "GET", self._host)
            metrics.rest_duration.observe(perf_counter() - began, "GET", self._host)
        if response.status == 401:
            self._signature = None
        _keep_alive(response)
        self._open.add(response)
        return response

    def release(self, response: aiohttp.ClientResponse) -> None:
        """The response is done with; its connection is kept where it was read to its end."""
        _break_off(response)
        self._open.discard(response)

    async def refusal(self, response: aiohttp.ClientResponse) -> bytes:
        """The start of the body that explains a status; b"" where it does not come."""
        try:
            async with asyncio.timeout(self._timing.answer):
                return await response.content.read(MOST_REFUSAL)
        except (TimeoutError, aiohttp.ClientError):
            return b""

    async def close(self) -> None:
        """Ends every open response; whoever reads one gets a ClientConnectionError."""
        for response in self._open:
            _break_off(response)  # closing the session alone would leave them waiting for ever
        if self._api is not None:
            await self._api.close()  # type: ignore[no-untyped-call]
            self._api, self._signature = None, None

    async def _get(self, request: Request) -> aiohttp.ClientResponse:
        async with self._loading:
            api = await self._client()
        call = await api.param_serialize(
            "GET", request.path, query_params=list(request.query), auth_settings=["BearerToken"]
        )
        call[2]["Accept"] = request.accept  # a header given above would be overridden
        limits = aiohttp.ClientTimeout(total=None, sock_connect=self._timing.connect)
        answer = await api.call_api(*call, _request_timeout=limits, _preload_content=False)
        response: aiohttp.ClientResponse = answer.response
        return response

    async def _client(self) -> ApiClient:
        """The client for what the files say now."""
        expired = self._expires is not None and datetime.now(UTC) >= self._expires
        if self._api is not None and self._signature == signature(self._files) and not expired:
            return self._api
        self._options.check()  # names the file that is missing, which a library would not
        self._files = self._options.files()
        found = signature(self._files)  # from before they are read: what changes meanwhile is new
        configuration = await self._configuration()
        identity = _identity(configuration)
        if self._api is not None and identity == self._identity:
            self._api.configuration.api_key = configuration.api_key  # watches stay open
        else:
            api = await asyncio.to_thread(_new_client, configuration)  # reads every CA there is
            if self._api is not None:
                log.info("the way to the API changed: all connections are made anew")
                await self.close()
            self._api, self._identity = api, identity
        self._signature = found
        return self._api

    async def _configuration(self) -> Configuration:
        configuration = Configuration()
        # As every other client: CAs of many clusters lack what RFC 5280 wants and 3.13 checks.
        configuration.disable_strict_ssl_verification = True
        options = self._options
        if options.kubeconfig:
            await self._load_kubeconfig(configuration)
        elif options.endpoint:
            configuration.host = options.endpoint.rstrip("/")
            certificate, key, ca = options.tls or ("", "", "")
            configuration.cert_file = certificate or None
            configuration.key_file = key or None
            configuration.ssl_ca_cert = ca or None
        else:
            account = options.service_account
            configuration.host = options.in_cluster_url()
            configuration.ssl_ca_cert = str(account / "ca.crt")
            token = (account / "token").read_text().strip()
            configuration.api_key["BearerToken"] = f"Bearer {token}"
        return configuration

    async def _load_kubeconfig(self, configuration: Configuration) -> None:
        file, context = self._options.kubeconfig, self._options.context
        try:
            loader = await load_kube_config(  # type: ignore[no-untyped-call]
                file, context or None, configuration, persist_config=False
            )
        except ConfigException:
            raise
        except Exception as error:  # the library has many ways to say no
            raise SourceError(f"kubeconfig {file}: {error!r}") from error
        expiry = getattr(loader, "exec_plugin_expiry", None)
        self._expires = expiry and expiry - timedelta(seconds=EXPIRY_S)
        runs_plugin = Kubeconfig.read(file, context).runs_plugin
        if runs_plugin and not (configuration.api_key or configuration.cert_file):
            raise SourceError(f"kubeconfig {file}: the exec plugin gave no credentials")


def _new_client(configuration: Configuration) -> ApiClient:
    configuration.client_session_kwargs = {"read_bufsize": READ_OCTETS}
    api = ApiClient(configuration)
    api.user_agent = USER_AGENT
    api.default_headers["Accept"] = "application/json"
    api.default_headers["Accept-Encoding"] = "identity"  # nothing is far, and unzipping costs time
    return api


def _identity(configuration: Configuration) -> tuple[object, ...]:
    """What a connection is made of; as long as it is the same, open ones are good."""
    files = (configuration.ssl_ca_cert, configuration.cert_file, configuration.key_file)
    return (
        configuration.host,
        configuration.verify_ssl,
        configuration.tls_server_name,
        configuration.proxy,
        *(_content(file) for file in files),
    )


def _content(file: str | None) -> bytes:
    if not file:
        return b""
    with open(file, "rb") as stream:
        return stream.read()


def _break_off(response: aiohttp.ClientResponse) -> None:
    """Closes it; where more may come, at once: an API that is mute never says goodbye over TLS."""
    if response.connection is not None and (transport := response.connection.transport):
        transport.abort()
    response.close()


def _keep_alive(response: aiohttp.ClientResponse) -> None:
    """Has the kernel look after a connection on which we only listen."""
    transport = response.connection.transport if response.connection else None
    if transport is None:  # the whole answer is here already
        return
    found = transport.get_extra_info("socket")
    found.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in KEEPALIVE.items():
        if (option := getattr(socket, name, None)) is not None:
            found.setsockopt(socket.IPPROTO_TCP, option, value)
