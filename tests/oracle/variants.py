"""The Corefiles under which both servers are compared."""

from dataclasses import dataclass

REVERSE = ("in-addr.arpa.", "ip6.arpa.")


@dataclass(frozen=True)
class Variant:
    """One Corefile: a server block for every name, and one for the zone other.test."""

    name: str
    options: tuple[str, ...] = ("pods insecure", "ttl 30")  # of `kubernetes`
    zones: tuple[str, ...] = ("cluster.local", "in-addr.arpa", "ip6.arpa")  # as in the Corefile
    served: tuple[str, ...] = (
        "cluster.local.",
        *REVERSE,
        "other.test.",
    )  # absolute, CIDRs expanded
    others: tuple[str, ...] = ("errors",)  # the other directives of the block
    bound: bool = True  # `bind 127.0.0.1`; apex NS is empty then

    def corefile(self, api_url: str, ready_port: int) -> str:
        """The text; clusterdns gets the same and takes no notice of the endpoint."""
        bind = ["bind 127.0.0.1"] if self.bound else []
        options = "\n        ".join((f"endpoint {api_url}", *self.options))
        ready = f"ready 127.0.0.1:{ready_port}"
        return f"""\
. {{
    {_lines(*bind, ready, *self.others)}
    kubernetes {" ".join(self.zones)} {{
        {options}
    }}
}}
other.test {{
    {_lines(*bind)}
    kubernetes other.test {{
        {options}
    }}
}}
"""

    def words(self, option: str) -> tuple[str, ...] | None:
        """The arguments of an option of `kubernetes`; None when it is not there."""
        for line in self.options:
            if line.split()[0] == option:
                return tuple(line.split()[1:])
        return None

    @property
    def primary(self) -> str:
        """The zone of PTR targets."""
        return next(zone for zone in self.served if not zone.endswith(".arpa."))

    @property
    def ttl(self) -> int:
        """Of most records."""
        return int((self.words("ttl") or ("5",))[0])

    def falls_through(self, name: str) -> bool:
        """Whether missing names like this go to the next plugin. name: lower-case."""
        words = self.words("fallthrough")
        if words is None or name.endswith("other.test."):
            return words is not None and not words and name.endswith("other.test.")
        return not words or any(name.endswith(f"{word}.") for word in words)


def _lines(*lines: str) -> str:
    return "\n    ".join(lines)


PLAIN = Variant("plain")
VARIANTS = (
    Variant("defaults", ()),
    Variant(
        "stock",
        ("pods insecure", "fallthrough in-addr.arpa ip6.arpa", "ttl 30"),
        others=("errors", "loadbalance"),
    ),
    Variant("verified", ("pods verified", "ttl 0")),
    Variant("namespaces", ("pods insecure", "namespaces shop kube-system nowhere")),
    Variant("namespace labels", ("pods verified", "namespace_labels track=blue")),
    Variant("labels", ("pods verified", "labels track in (blue)", "ttl 3600")),
    Variant("pod names", ("endpoint_pod_names",)),
    Variant("zonal", ("zonal", "pods insecure")),
    Variant("no endpoints", ("noendpoints", "pods insecure")),
    Variant("ignore empty", ("ignore empty_service", "pods insecure")),
    Variant("ignore empty, no endpoints", ("ignore empty_service", "noendpoints")),
    Variant("local addresses", bound=False),
    Variant(
        "whoami",
        ("pods insecure", "fallthrough"),
        others=("errors", "whoami"),
    ),
    Variant("minimal and any", others=("errors", "minimal", "any", "loadbalance round_robin")),
    Variant(
        "zones",
        zones=("Cluster.Local", "other.test", "in-addr.arpa"),
        served=("cluster.local.", "other.test.", "in-addr.arpa."),
    ),
    Variant(
        "reverse first",
        zones=("in-addr.arpa", "cluster.local", "ip6.arpa"),
    ),
    Variant(
        "networks",
        zones=("cluster.local", "10.96.0.0/15", "10.244.5.0/24", "fd00:96::/32"),
        served=(
            "cluster.local.",
            "96.10.in-addr.arpa.",
            "97.10.in-addr.arpa.",
            "5.244.10.in-addr.arpa.",
            "6.9.0.0.0.0.d.f.ip6.arpa.",
            "other.test.",
        ),
    ),
)
