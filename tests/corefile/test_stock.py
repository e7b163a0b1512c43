"""Corefiles as distributions install them, and the ones that run when there is none."""

import pytest

from clusterdns.corefile.defaults import EMPTY, KUBEADM
from clusterdns.corefile.keys import Listening, conflicts, server_keys
from clusterdns.corefile.parser import Corefile, parse
from tests.corefile.texts import reader

K3S = """\
.:53 {
    errors
    health
    ready
    kubernetes cluster.local in-addr.arpa ip6.arpa {
      pods insecure
      fallthrough in-addr.arpa ip6.arpa
    }
    hosts /etc/coredns/NodeHosts {
      ttl 60
      reload 15s
      fallthrough
    }
    prometheus :9153
    cache 30
    loop
    reload
    loadbalance
    import /etc/coredns/custom/*.override
    forward . /etc/resolv.conf
}
import /etc/coredns/custom/*.server
"""

AKS = r"""
.:53 {
    errors
    ready
    health {
      lameduck 5s
    }
    kubernetes cluster.local in-addr.arpa ip6.arpa {
      pods insecure
      fallthrough in-addr.arpa ip6.arpa
      ttl 30
    }
    prometheus :9153
    forward . /etc/resolv.conf
    cache 30
    loop
    reload
    loadbalance
    import custom/*.override
    template ANY ANY internal.cloudapp.net {
      match "^(?:[^.]+\.){4,}internal\.cloudapp\.net\.$"
      rcode NXDOMAIN
      fallthrough
    }
    template ANY ANY reddog.microsoft.com {
      rcode NXDOMAIN
    }
}
import custom/*.server
"""

OPENSHIFT = """\
# foo
foo.com:5353 {
    prometheus 127.0.0.1:9153
    forward . 1.1.1.1 2.2.2.2:5353 {
        policy round_robin
    }
    errors
    log . {
        class error
    }
    bufsize 1232
    cache 900 {
        denial 9984 30
    }
}
.:5353 {
    bufsize 1232
    errors
    log . {
        class error
    }
    health {
        lameduck 20s
    }
    ready
    kubernetes cluster.local in-addr.arpa ip6.arpa {
        pods insecure
        fallthrough in-addr.arpa ip6.arpa
    }
    prometheus 127.0.0.1:9153
    forward . /etc/resolv.conf {
        policy sequential
    }
    cache 900 {
        denial 9984 30
    }
    reload
}
hostname.bind:5353 {
    chaos
}
"""

NODE_LOCAL = """\
cluster.local:53 {
    errors
    cache {
            success 9984 30
            denial 9984 5
    }
    reload
    loop
    bind 169.254.20.10 10.96.0.10
    forward . 10.96.0.11 {
            force_tcp
    }
    prometheus :9253
    health {$MY_HOST_IP}:8080
    }
in-addr.arpa:53 {
    errors
    cache 30
    bind 169.254.20.10 10.96.0.10
    }
.:53 {
    errors
    bind 169.254.20.10 10.96.0.10
    }
"""

STOCK = {
    "kubeadm": (KUBEADM, ["dns://.:1053"]),
    "empty": (EMPTY, ["dns://.:1053"]),
    "k3s": (K3S, ["dns://.:53", "dns://corp.example.:53"]),
    "AKS": (AKS, ["dns://.:53", "dns://corp.example.:53"]),
    "OpenShift": (OPENSHIFT, ["dns://foo.com.:5353", "dns://.:5353", "dns://hostname.bind.:5353"]),
    "NodeLocal": (NODE_LOCAL, ["dns://cluster.local.:53", "dns://in-addr.arpa.:53", "dns://.:53"]),
}
CUSTOM = reader(
    {
        "/etc/coredns/custom/log.override": "log",
        "/etc/coredns/custom/corp.server": "corp.example:53 {\n    forward . 10.0.0.53\n}\n",
    }
)


def read(text: str, custom: bool = True) -> Corefile:
    environ = {"MY_HOST_IP": "10.0.0.1"}
    path = "/etc/coredns/Corefile"
    return parse(text, path, environ, CUSTOM) if custom else parse(text, path, environ)


@pytest.mark.parametrize(("text", "keys"), STOCK.values(), ids=STOCK)
def test_stock_corefile(text: str, keys: list[str]) -> None:
    corefile = read(text)
    blocks = [Listening(server_keys(block.keys, 1053)) for block in corefile.blocks]
    assert [str(key) for block in blocks for key in block.keys] == keys
    assert (corefile.warnings, conflicts(blocks)) == ((), [])


@pytest.mark.parametrize("text", [K3S, AKS])
def test_custom_directory_may_be_missing(text: str) -> None:
    corefile = read(text, custom=False)
    assert len(corefile.blocks) == 1
    assert [warning.split(": ")[1].split(" for ")[0] for warning in corefile.warnings] == [
        f"no file matches {pattern}"
        for pattern in [line.split()[1] for line in text.splitlines() if "import" in line]
    ]


def test_override_stands_where_it_is_imported() -> None:
    names = [directive.name.text for directive in read(K3S).blocks[0].directives]
    assert names[-3:] == ["loadbalance", "log", "forward"]


def test_variable_within_a_word() -> None:
    health = read(NODE_LOCAL).blocks[0].directives[-1]
    assert [word.text for word in health.arguments] == ["10.0.0.1:8080"]
