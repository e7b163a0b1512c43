"""The Corefiles that run when none is given, or one that holds nothing."""

# kubeadm's, as far as its directives exist here. `prometheus :9153`, `forward . /etc/resolv.conf`,
# `cache 30`, `loop` and `reload` join as they come to exist, in the places they have there: behind
# `kubernetes`, before `loadbalance`. Until then cluster names alone are answered.
KUBEADM = """\
.:53 {
    errors
    health {
        lameduck 5s
    }
    ready
    kubernetes cluster.local in-addr.arpa ip6.arpa {
        pods insecure
        fallthrough in-addr.arpa ip6.arpa
        ttl 30
    }
    loadbalance
}
"""

# What CoreDNS serves under a Corefile without a server block; the port is the default one.
EMPTY = """\
. {
    whoami
    log
}
"""
