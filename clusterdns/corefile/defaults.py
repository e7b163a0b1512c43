"""The Corefiles that run when none is given, or one that holds nothing."""

# kubeadm's. The key has no port, so that -dns.port is heard; it is 53 unless given.
KUBEADM = """\
. {
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
    prometheus :9153
    forward . /etc/resolv.conf {
        max_concurrent 1000
    }
    cache 30 {
        disable success cluster.local
        disable denial cluster.local
    }
    loop
    reload
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
