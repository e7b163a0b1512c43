"""Every Corefile of this folder, and what it makes of names."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Stock:
    """A Corefile as a distribution installs it, and what is to be seen of it.

    Ports and addresses are those of the Corefile, see `machine.py`.
    """

    corefile: str
    files: str = ""  # the folder of those that it reads
    foreign: str = "nsd"  # what it forwards to: nsd or unbound, which counts TTLs down
    at: tuple[str, int] = ("", 53)  # where it is asked
    health: tuple[str, int] | None = ("", 8080)
    ready: tuple[str, int] | None = ("", 8181)
    metrics: int | None = 9153
    cluster: bool = True  # cluster names are answered
    on_node: bool = False  # with what the cluster's DNS says of them
    pods: str = "insecure"
    ttl: int = 30  # of cluster names
    keeps: int = 30  # the TTL that a foreign record of 300 seconds gets
    unmatched: tuple[str, ...] = ()  # imports that match no file


KUBEADM = Stock("kubeadm")
FIVE = replace(KUBEADM, ttl=5)  # without `ttl` in `kubernetes`
NODE = Stock("", on_node=True, ready=None, metrics=9253)
CUSTOM = ("custom/*.override", "custom/*.server")
OPENSHIFT = Stock("openshift", at=("", 5353), ttl=5, keeps=300)
STOCK = {
    "kubeadm, kind": KUBEADM,
    "kubeadm, older": Stock("kubeadm-older", foreign="unbound"),
    "kube-up": Stock("kube-up", foreign="unbound"),
    "minikube": Stock("minikube"),
    "k3s": replace(FIVE, corefile="k3s", files="k3s", unmatched=CUSTOM),
    "k3s, older": Stock("k3s-older", "k3s", "unbound", ttl=5, unmatched=CUSTOM[1:]),
    "k3s with custom files": Stock("k3s", "k3s-custom", ttl=5),
    "EKS": Stock("eks", ttl=5),
    "EKS, older": Stock("eks-older", foreign="unbound", ttl=5, ready=None),
    "AKS": Stock("aks", unmatched=CUSTOM),
    "AKS with custom files": Stock("aks", "aks-custom", "unbound"),
    "AKS LocalDNS": replace(
        NODE,
        corefile="aks-localdns",
        at=("169.254.10.11", 53),
        health=None,
        ready=("169.254.10.11", 8181),
    ),
    "GKE": Stock("gke", foreign="unbound"),
    "OpenShift": OPENSHIFT,
    "OpenShift, Debug": replace(OPENSHIFT, corefile="openshift-debug"),
    "OpenShift, Trace": replace(OPENSHIFT, corefile="openshift-trace"),
    "OpenShift, on a node": Stock(
        "openshift-node", health=("", 18080), ready=None, metrics=None, cluster=False
    ),
    "kubespray": Stock("kubespray", "kubespray", "unbound", ttl=5),
    "kubespray, nodelocaldns": replace(
        NODE, corefile="kubespray-nodelocaldns", at=("169.254.25.10", 53), health=("", 9254)
    ),
    "k0s": Stock("k0s", foreign="unbound"),
    "MicroK8s": Stock("microk8s", ttl=5),
    "deployment script": Stock("deployment", foreign="unbound", ttl=5, pods="disabled"),
    "Helm chart": Stock("helm"),
    "Helm chart with zoneFiles": Stock(
        "helm-zonefiles", "helm-zonefiles", "unbound", unmatched=("extra/*",)
    ),
    "RKE2": Stock("rke2", foreign="unbound"),
    "Talos": Stock("talos"),
    "kOps": Stock("kops", foreign="unbound"),
    "NodeLocal DNSCache": replace(
        NODE,
        corefile="nodelocal",
        foreign="unbound",
        at=("169.254.20.10", 53),
        health=("169.254.20.10", 8080),
    ),
    "Alibaba ACK": Stock("alibaba", foreign="unbound", ttl=5, pods="verified"),
    "Scaleway": Stock("scaleway", ttl=5, keeps=300, unmatched=CUSTOM),
    "Gardener": Stock(
        "gardener",
        "gardener",
        at=("", 8053),
        unmatched=("custom/*.override", "generated-config/*.server"),
    ),
    "what people add": Stock("additions", "additions", keeps=300),
}
