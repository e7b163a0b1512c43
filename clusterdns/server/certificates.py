"""Certificates to serve with: read from their files, and again when these have changed."""

import logging
import os
import ssl
from dataclasses import dataclass

_Connection = ssl.SSLObject | ssl.SSLSocket


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
        """Reads the files. Raises OSError, ssl.SSLError among them."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = self.min_version
        context.maximum_version = self.max_version
        context.load_cert_chain(self.cert_file, self.key_file)
        if self.ca_file:
            context.load_verify_locations(self.ca_file)
        elif self.clients != ssl.CERT_NONE:
            context.load_default_certs(ssl.Purpose.CLIENT_AUTH)
        context.verify_mode = self.clients
        if self.keylog:
            context.keylog_filename = self.keylog
        return context

    def changed(self) -> tuple[int, ...]:
        """When each file was written last. Raises OSError."""
        paths = (self.cert_file, self.key_file, self.ca_file)
        return tuple(os.stat(path).st_mtime_ns for path in paths if path)


def following(certificates: Certificates, log: logging.Logger) -> ssl.SSLContext:
    """A context that has each handshake done with the files as they are then.

    log: is told of files that cannot be read again.
    Raises OSError, ssl.SSLError among them, if they cannot be read now.
    """
    seen = certificates.changed()  # before they are read: what changes meanwhile is read again
    first = current = certificates.context()

    def choose(connection: _Connection, name: str | None, context: ssl.SSLContext) -> None:
        nonlocal current, seen
        try:
            now = certificates.changed()
            if now != seen:
                current, seen = certificates.context(), now
        except OSError as error:  # half renewed: the pair from before is good until both are there
            log.warning("the certificate is not read again: %s", reason(error))
        connection.context = current

    first.sni_callback = choose
    return first


def reason(error: OSError) -> str:
    """Why files cannot be read; with the file, where the system names one."""
    name = f"{error.filename}: " if error.filename else ""
    return f"{name}{error.strerror or error}"
