"""Corefiles as distributions install them, and the ones that run when there is none.

`tests/stock` serves those of its folder; here they are read as they are.
"""

from pathlib import Path

import pytest

from clusterdns.corefile.defaults import EMPTY, KUBEADM
from clusterdns.corefile.keys import Listening, conflicts, server_keys
from clusterdns.corefile.parser import Corefile, parse
from tests.corefile.texts import reader

FOLDER = Path(__file__).parents[1] / "stock"
STOCK = {path.stem: path.read_text() for path in sorted(FOLDER.glob("*.Corefile"))}
CUSTOM = reader(
    {
        "/etc/coredns/custom/log.override": "log",
        "/etc/coredns/custom/corp.server": "corp.example:53 {\n    forward . 10.0.0.53\n}\n",
        "/etc/coredns/generated-config/none.override": "",
        "/etc/coredns/generated-config/none.server": "",
        "/etc/coredns/extra/none": "",
    }
)
KEYS = {
    "kubeadm": ["dns://.:53"],
    "k3s": ["dns://.:53", "dns://corp.example.:53"],
    "aks": ["dns://.:53", "dns://corp.example.:53"],
    "openshift": [
        *("dns://corp.example.:5353", "dns://secure.example.:5353"),
        *("dns://.:5353", "dns://hostname.bind.:5353"),
    ],
    "openshift-node": ["dns://.:1053"],
    "helm-zonefiles": ["dns://.:53", "tls://.:853"],
    "nodelocal": [
        f"dns://{zone}:53" for zone in ("cluster.local.", "in-addr.arpa.", "ip6.arpa.", ".")
    ]
    + ["dns://corp.example.:53"],
}


def read(text: str, custom: bool = True) -> Corefile:
    environ = {"MY_HOST_IP": "10.0.0.1", "HOSTNAME": "coredns-abcde"}
    path = "/etc/coredns/Corefile"
    return parse(text, path, environ, CUSTOM) if custom else parse(text, path, environ)


def keys(corefile: Corefile) -> list[str]:
    return [str(key) for block in corefile.blocks for key in server_keys(block.keys, 1053)]


@pytest.mark.parametrize("name", STOCK)
def test_stock_corefile(name: str) -> None:
    corefile = read(STOCK[name])
    assert corefile.warnings == ()
    assert keys(corefile) == KEYS.get(name, keys(corefile))


@pytest.mark.parametrize("text", [KUBEADM, EMPTY])
def test_corefile_when_there_is_none(text: str) -> None:
    corefile = read(text)
    blocks = [Listening(server_keys(block.keys, 1053)) for block in corefile.blocks]
    assert keys(corefile) == ["dns://.:1053"]
    assert (corefile.warnings, conflicts(blocks)) == ((), [])


@pytest.mark.parametrize("name", ["k3s", "aks", "scaleway"])
def test_custom_directory_may_be_missing(name: str) -> None:
    corefile = read(STOCK[name], custom=False)
    assert len(corefile.blocks) == 1
    assert [warning.split(" ", 1)[1] for warning in corefile.warnings] == [
        f"No files matching import glob pattern: {pattern}: nothing imported"
        for pattern in [line.split()[1] for line in STOCK[name].splitlines() if "import" in line]
    ]


def test_override_stands_where_it_is_imported() -> None:
    names = [directive.name.text for directive in read(STOCK["k3s"]).blocks[0].directives]
    assert names[-3:] == ["loadbalance", "log", "forward"]


def test_variable_within_a_word() -> None:
    node = read(STOCK["kubespray-nodelocaldns"])
    (health,) = [
        each for block in node.blocks for each in block.directives if each.name.text == "health"
    ]
    assert [word.text for word in health.arguments] == ["10.0.0.1:9254"]
