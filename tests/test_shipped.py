"""What is shipped beside the code loads: deploy/, charts/ and examples/."""

import re
import shutil
import subprocess
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


def rules_of_the_chart(*settings: str) -> list[dict[str, Any]]:
    """The rules of the chart's ClusterRole, as helm makes them, or by hand where it is missing."""
    if helm := shutil.which("helm"):
        given = [word for each in settings for word in ("--set", each)]
        words = [helm, "template", "clusterdns", str(CHART), "-s", "templates/rbac.yaml", *given]
        text = subprocess.run(words, capture_output=True, text=True, check=True).stdout
        objects = {each["kind"]: each for each in yaml.safe_load_all(text)}
        found: list[dict[str, Any]] = objects["ClusterRole"]["rules"]
        return found
    text = (CHART / "templates" / "rbac.yaml").read_text()
    text = text.partition("\nrules:\n")[2].partition("\n---\n")[0]
    condition = r"\{\{- if \.Values\.(\w+)\.enabled \}\}\n(.*?)\{\{- end \}\}\n?"
    chosen = {each.partition(".")[0] for each in settings}
    text = re.sub(condition, lambda at: at[2] if at[1] in chosen else "", text, flags=re.DOTALL)
    return list(yaml.safe_load(text))


def test_the_chart_s_role_is_that_of_the_plain_manifests() -> None:
    assert rules_of_the_chart() == deployed()["ClusterRole"]["rules"]


def test_the_chart_s_role_for_several_clusters() -> None:
    """As the rule that the page of `kubernetes` tells."""
    page = (ROOT / "docs" / "directives" / "kubernetes.md").read_text()
    (rule,) = yaml.safe_load(page.partition("```yaml\n")[2].partition("```")[0])
    assert rule["resources"] == ["serviceimports"]
    assert rules_of_the_chart("multicluster.enabled=true") == [*rules_of_the_chart(), rule]


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
