"""Which HTTP proxy the environment names for an upstream with https://, by Go's rules."""

import ipaddress
from collections.abc import Mapping


def proxy_for(address: str, name: str, environ: Mapping[str, str]) -> str | None:
    """The URL of the proxy in HTTPS_PROXY; None for the direct way.

    That is for loopback, and for what NO_PROXY lists: addresses, networks, the name and names above
    it, * for all.

    name: that of the upstream's certificate.
    """
    proxy = environ.get("HTTPS_PROXY") or environ.get("https_proxy")
    if not proxy or ipaddress.ip_address(address).is_loopback:
        return None
    spared = environ.get("NO_PROXY") or environ.get("no_proxy") or ""
    if any(_is_spared(address, name, word.strip().lower()) for word in spared.split(",")):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def _is_spared(address: str, name: str, word: str) -> bool:
    if word in ("", "*"):
        return word == "*"
    try:
        return ipaddress.ip_address(address) in ipaddress.ip_network(word, strict=False)
    except ValueError:
        return f".{name.lower()}".endswith(f".{word.removeprefix('.')}")
