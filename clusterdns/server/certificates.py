"""Certificates to serve with: read from their files, and again when these have changed."""

import logging
import os
import ssl
from dataclasses import dataclass

_ONLY_OURS = 0o600  # who reads the file of secrets can read the connections


@dataclass(frozen=True)
class Certificates:
    """What a TLS server shows, and what it asks of its clients.

    The paths are absolute, or begin where the process runs.
    ca_file: who signs the certificates of clients; "": whoever the system trusts.
    keylog: a file that gets every session's secrets, for debugging; "": none.
    """

    cert_file: str
    key_file: str
    ca_file: str = ""
    clients: ssl.VerifyMode = ssl.CERT_NONE
    min_version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2  # older ones are broken, RFC 8996
    max_version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3
    keylog: str = ""

    def context(self) -> ssl.SSLContext:
        """Reads the files, and writes none. Raises OSError, ssl.SSLError among them."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = self.min_version
        context.maximum_version = self.max_version
        context.load_cert_chain(self.cert_file, self.key_file)
        if self.ca_file:
            context.load_verify_locations(self.ca_file)
        elif self.clients != ssl.CERT_NONE:
            context.load_default_certs(ssl.Purpose.CLIENT_AUTH)
        context.verify_mode = self.clients
        return context

    def changed(self) -> tuple[int, ...]:
        """When each file was written last. Raises OSError."""
        paths = (self.cert_file, self.key_file, self.ca_file)
        return tuple(os.stat(path).st_mtime_ns for path in paths if path)


class Following(ssl.SSLContext):
    """What to serve with: each connection is made with the files as they are when it begins.

    It only hands out connections of `current`, so that all of a context can change: the versions
    and what is asked of clients too, which one connection cannot take over from another context.
    """

    def __new__(cls, certificates: Certificates, log: logging.Logger) -> "Following":
        return super().__new__(cls, ssl.PROTOCOL_TLS_SERVER)

    def __init__(self, certificates: Certificates, log: logging.Logger) -> None:
        """log: is told of files that cannot be read again.

        Raises OSError, ssl.SSLError among them, if they cannot be read now. Writes nothing.
        """
        self._log = log
        self._certificates = certificates
        self._is_open = False
        self._seen, self.current = _read(certificates)

    def open(self) -> None:
        """Begins to write the file of secrets, if there is to be one. Raises OSError."""
        path = self._certificates.keylog
        if path:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, _ONLY_OURS))
            self._log.warning("Writing TLS Key Log to %s: who reads it reads the queries", path)
            self.current.keylog_filename = path
        self._is_open = True

    def exchange(self, other: "Following") -> None:
        """Makes connections as the other one does from now on; those that there are stay."""
        self._certificates, self._is_open = other._certificates, other._is_open
        self._seen, self.current = other._seen, other.current

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """What asyncio makes a connection with."""
        self._follow()
        return self.current.wrap_bio(incoming, outgoing, server_side, server_hostname, session)

    def _follow(self) -> None:
        try:
            if self._certificates.changed() == self._seen:
                return
            seen, current = _read(self._certificates)
            if self._is_open and self._certificates.keylog:
                current.keylog_filename = self._certificates.keylog
        except OSError as error:  # half renewed: the pair from before is good until both are there
            self._log.warning("the certificate is not read again: %s", reason(error))
        else:
            self._seen, self.current = seen, current


def _read(certificates: Certificates) -> tuple[tuple[int, ...], ssl.SSLContext]:
    """When the files were written, and a context of them: what changes meanwhile is read again."""
    return certificates.changed(), certificates.context()


def reason(error: OSError) -> str:
    """Why files cannot be read; with the file, where the system names one."""
    name = f"{error.filename}: " if error.filename else ""
    return f"{name}{error.strerror or error}"
