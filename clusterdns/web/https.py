"""How to serve a page over HTTPS: the configuration file of Prometheus's exporters.

Its `tls_server_config` is read; the certificate is read again when a file of it has changed, so
that it may be renewed. See https://prometheus.io/docs/prometheus/latest/configuration/https/.
"""

import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from clusterdns.errors import ConfigError, Place
from clusterdns.logs import plugin_logger
from clusterdns.server.certificates import Certificates, Following, reason

_SECTION = "tls_server_config"
_FILES = ("cert_file", "key_file", "client_ca_file")
_VERSIONS = {
    "TLS12": ssl.TLSVersion.TLSv1_2,
    "TLS13": ssl.TLSVersion.TLSv1_3,
}
# Python asks for no certificate that it would not verify, as Go's other two words want it.
_CLIENTS = {
    "": ssl.CERT_NONE,
    "NoClientCert": ssl.CERT_NONE,
    "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
    "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
}

log = plugin_logger("prometheus")


def https(path: str, place: Place) -> Following:
    """What to serve with, by the file at this path.

    Raises ConfigError at the place that names the file, for what is wrong in it or cannot be read.
    """
    certificates = _read(path, place)
    try:
        return Following(certificates, log)
    except OSError as error:
        raise ConfigError(f"{path}: {reason(error)}", place) from error


def _read(path: str, place: Place) -> Certificates:
    found = _loaded(path, place)
    for word, why in _REFUSED.items():
        if found.get(word):
            raise ConfigError(f"{path}: {word}: {why}", place)
    unknown = found.keys() - _REFUSED.keys() - {_SECTION, "http_server_config"}
    section = found.get(_SECTION)
    if unknown or not isinstance(section, dict):
        what = f"unknown field {min(unknown)}" if unknown else f"there is no {_SECTION}"
        raise ConfigError(f"{path}: {what}", place)

    def take(word: str, known: Mapping[str, Any], default: str) -> Any:
        value = section.pop(word, default)
        if value not in known:
            words = ", ".join(filter(None, known))
            raise ConfigError(f"{path}: {word}: {value!r} is none of {words}", place)
        return known[value]

    folder = Path(path).parent
    files = {word: str(section.pop(word, "") or "") for word in _FILES}
    absolute = {word: str(folder / file) if file else "" for word, file in files.items()}
    clients = take("client_auth_type", _CLIENTS, "")
    versions = take("min_version", _VERSIONS, "TLS12"), take("max_version", _VERSIONS, "TLS13")
    _check(path, place, section, absolute, clients)
    return Certificates(
        absolute["cert_file"],
        absolute["key_file"],
        absolute["client_ca_file"],
        clients,
        min_version=versions[0],
        max_version=versions[1],
    )


def _check(
    path: str,
    place: Place,
    left: Mapping[str, Any],
    files: Mapping[str, str],
    clients: ssl.VerifyMode,
) -> None:
    """Refuses what cannot be done as the file says it."""
    checks: list[tuple[bool, Callable[[], str]]] = [
        (bool(left), lambda: f"{_SECTION}: {min(left)} is not known here"),
        (not files["cert_file"], lambda: f"{_SECTION}: cert_file is missing"),
        (not files["key_file"], lambda: f"{_SECTION}: key_file is missing"),
        (
            clients != ssl.CERT_NONE and not files["client_ca_file"],
            lambda: f"{_SECTION}: client_auth_type needs a client_ca_file",
        ),
        (
            clients == ssl.CERT_NONE and bool(files["client_ca_file"]),
            lambda: f"{_SECTION}: client_ca_file needs a client_auth_type",
        ),
    ]
    for wrong, text in checks:
        if wrong:
            raise ConfigError(f"{path}: {text()}", place)


_REFUSED = {
    "basic_auth_users": "passwords are not asked for; have clients show a certificate",
    "rate_limit": "there is none; a network policy limits who may scrape",
}


def _loaded(path: str, place: Place) -> dict[str, Any]:
    try:
        found = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}", place) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        where = " ".join(str(error).split())
        raise ConfigError(f"{path} is no YAML: {where}", place) from error
    if not isinstance(found, dict):
        raise ConfigError(f"{path}: there is no {_SECTION}", place)
    return found
