"""What is shipped beside the code loads: deploy/, charts/ and examples/."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from clusterdns.corefile.parser import parse
from clusterdns.server.configuration import configure
from clusterdns.zone.index import Index

ROOT = Path(__file__).parent.parent
DEPLOY = ROOT / "deploy" / "clusterdns.yaml"
CHART = ROOT / "charts" / "clusterdns"


def deployed() -> dict[str, dict[str, Any]]:
    """The objects of the plain manifests, by kind; there is one of each."""
    return {each["kind"]: each for each in yaml.safe_load_all(DEPLOY.read_text())}


def values() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())
    return found


COREFILES = {
    "examples": (ROOT / "examples" / "Corefile").read_text(),
    "deploy": deployed()["ConfigMap"]["data"]["Corefile"],
    "chart": values()["corefile"].replace("{{ .Values.port }}", str(values()["port"])),
}


@pytest.mark.parametrize("text", COREFILES.values(), ids=COREFILES)
def test_corefile_loads_without_a_warning(text: str) -> None:
    found = configure(parse(text, "Corefile"), lambda selection, api: Index(selection), 53)
    assert found.sockets
    assert found.health
    assert found.ready
    assert found.warnings == []


def test_role_asks_for_no_more_than_coredns_has() -> None:
    """Section 5.2: list and watch, and of nothing else."""
    rules = deployed()["ClusterRole"]["rules"]
    assert {verb for rule in rules for verb in rule["verbs"]} == {"list", "watch"}
    assert {resource for rule in rules for resource in rule["resources"]} == {
        *("endpoints", "services", "pods", "namespaces", "endpointslices")
    }


def test_plain_manifests_keep_the_names_that_others_look_for() -> None:
    objects = deployed()
    assert objects["Service"]["metadata"]["name"] == "kube-dns"
    assert objects["ConfigMap"]["metadata"]["name"] == "coredns"
    assert objects["ServiceAccount"]["metadata"]["name"] == "coredns"
    assert objects["ClusterRole"]["metadata"]["name"] == "system:coredns"
    pod = objects["Deployment"]["spec"]["template"]
    assert pod["metadata"]["labels"]["k8s-app"] == "kube-dns"
    assert objects["Service"]["spec"]["selector"] == {"k8s-app": "kube-dns"}
    container = pod["spec"]["containers"][0]
    assert container["resources"]["limits"] == {"memory": "170Mi"}
    assert {port["name"]: port["containerPort"] for port in container["ports"]} == {
        "dns": 53,
        "dns-tcp": 53,
        "metrics": 9153,
        "liveness-probe": 8080,
        "readiness-probe": 8181,
    }


def test_grace_period_holds_lameduck_and_drain() -> None:
    """Lameduck 5 s and -drain 20 s of the shipped Corefile and defaults, and some seconds more."""
    for grace in (
        deployed()["Deployment"]["spec"]["template"]["spec"]["terminationGracePeriodSeconds"],
        values()["terminationGracePeriodSeconds"],
    ):
        assert grace >= 5 + 20 + 5
