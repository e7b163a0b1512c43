"""Directives and options that are not here: what they are of, and what to do instead."""

_OTHER_SERVER = "run CoreDNS beside this server for it, and `forward` its zone there"
_OTHER_TRANSPORT = "serve dns:// or tls:// instead, or have a proxy in front that speaks it"
_SIGNED = "sign the zone elsewhere and serve it with `file`"
_LIST = "`hosts` or `template` can answer the names of a list"
_QUERIES = "`log` tells of queries"
_HOSTS = "have its names written into a file for `hosts`, which is read again as it changes"

NEVER = {  # directives of CoreDNS that will not be here
    "azure": _OTHER_SERVER,
    "clouddns": _OTHER_SERVER,
    "dnssec": f"{_SIGNED}; cluster names are not signed",
    "dnstap": "`log` and `prometheus` tell of queries",
    "etcd": _OTHER_SERVER,
    "geoip": "`view` and `acl` tell clients apart by their networks",
    "grpc": "use `forward` with tls:// instead",
    "grpc_server": _OTHER_TRANSPORT,
    "https": _OTHER_TRANSPORT,
    "https3": _OTHER_TRANSPORT,
    "nomad": _OTHER_SERVER,
    "on": "take the line out; whatever starts this server can run the command",
    "proxyproto": "have the load balancer keep the addresses of clients "
    "(externalTrafficPolicy: Local), and take the line out",
    "quic": _OTHER_TRANSPORT,
    "route53": _OTHER_SERVER,
    "sign": _SIGNED,
    "trace": "`log` and `prometheus` tell of queries",
    "tsig": "let `acl`, `tls` with client_auth or a network policy say who may ask",
}

THIRD_PARTY = {  # directives that people compile into CoreDNS
    "ads": _LIST,
    "alias": "`file` answers with what the CNAME record of an apex leads to",
    "alternate": "`forward` has `next` for it, which asks the next `forward`",
    "amazondns": _OTHER_SERVER,
    "blocklist": _LIST,
    "dnsredir": "write a server block with `forward` for the domains of its list",
    "docker": _HOSTS,
    "dump": _QUERIES,
    "ebpf": "take the line out; whatever starts this server can attach the program",
    "ens": _OTHER_SERVER,
    "fanout": "`forward` asks several upstreams, the next one as soon as one fails",
    "filter": _LIST,
    "filterlist": _LIST,
    "finalize": "`forward` to a recursive server, which follows aliases to their end",
    "gathersrv": _OTHER_SERVER,
    "git": "have git write into the folder of `auto` or `file`, which read files again",
    "gravwell": _QUERIES,
    "gslb": _OTHER_SERVER,
    "idetcd": _OTHER_SERVER,
    "ipecho": "`template` can write an address of a name into a record",
    "ipin": "`template` can write an address of a name into a record",
    "json": _OTHER_SERVER,
    "k8s_cache": "`cache` asks anew before the end of a TTL with `prefetch`",
    "k8s_dns_chaos": "`erratic` drops, delays and cuts replies",
    "k8s_event": "`health`, `ready` and `errors` tell how this server is",
    "k8s_gateway": "`k8s_external` has the addresses of Services; for those of Ingresses and "
    "Gateways run it beside this server, and `forward` its zone there",
    "kubeforward": "`forward` to the cluster IP of the Service",
    "kubenodes": _HOSTS,
    "kubernetai": "write a server block with one `kubernetes` for each cluster's zone",
    "lighthouse": "`forward` clusterset.local to the DNS server of Submariner",
    "mdns": _OTHER_SERVER,
    "meship": _OTHER_SERVER,
    "meshname": _OTHER_SERVER,
    "multicluster": "`kubernetes` has `multicluster` for it",
    "mysql": _OTHER_SERVER,
    "netbox": _OTHER_SERVER,
    "ocp_dnsnameresolver": "take the line out; names in an EgressFirewall of OpenShift need the "
    "CoreDNS that it comes with",
    "omada": _OTHER_SERVER,
    "pdsql": _OTHER_SERVER,
    "ratelimit": "`acl` and network policies say who may ask",
    "records": "`hosts` and `file` have records in files, `template` in the Corefile",
    "recursor": "run a recursive server beside this one, and `forward` to it",
    "redis": _OTHER_SERVER,
    "redisc": "`cache` keeps replies in the memory of this server",
    "rrl": "`acl` and network policies say who may ask",
    "tailscale": _OTHER_SERVER,
    "unbound": "run Unbound beside this server, and `forward` to it",
    "warnlist": _QUERIES,
    "wgsd": _OTHER_SERVER,
}

FORMER = {  # directives that CoreDNS has had
    "federation": "take the line out; Kubernetes has no federation any more",
    "proxy": "use `forward` instead",
    "reverse": "use `template` instead",
    "shutdown": NEVER["on"],
    "startup": NEVER["on"],
}

_TRANSFER = "the directive `transfer` says who may have a zone"
FORMER_OPTIONS = {  # options that CoreDNS has had, by directive
    ("auto", "no_reload"): "`reload 0` in its place",
    ("auto", "transfer"): _TRANSFER,
    ("file", "no_reload"): "`reload 0` in its place",
    ("file", "transfer"): _TRANSFER,
    ("kubernetes", "resyncperiod"): "take the line out; changes are seen as they happen",
    ("kubernetes", "transfer"): _TRANSFER,
    (
        "kubernetes",
        "upstream",
    ): "take the line out; this server itself is asked for names of others",
}


def option_refusal(directive: str, word: str) -> str | None:
    """Why an option is not there, and what to do; None if nobody knows it."""
    if (directive, word) not in FORMER_OPTIONS:
        return None
    what_to_do = FORMER_OPTIONS[directive, word]
    return f"property {word!r} of {directive} is no part of CoreDNS any more: {what_to_do}"


def refusal(name: str) -> str | None:
    """Why a directive is not here, and what to do; None if nobody knows it."""
    if name in NEVER:
        return f"directive {name!r} of CoreDNS is not part of clusterdns: {NEVER[name]}"
    if name in THIRD_PARTY:
        return f"directive {name!r} is no part of CoreDNS, nor of clusterdns: {THIRD_PARTY[name]}"
    if name in FORMER:
        return f"directive {name!r} is no part of CoreDNS any more: {FORMER[name]}"
    return None
