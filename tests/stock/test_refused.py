"""What of the field's Corefiles is refused, and the line that says what to do instead."""

from pathlib import Path

import pytest

from clusterdns.tools.check import check_corefile

REFUSED = {  # a block of the server block ".:53", or a file of its own: what is said
    "third-party directive of OpenShift": ("ocp_dnsnameresolver", "OpenShift"),
    "third-party directive, several clusters": ("kubernetai cluster.local", "`kubernetes`"),
    "directive that CoreDNS had once": ("proxy . 10.0.0.53", "use `forward` instead"),
    "option that CoreDNS had once": (
        "kubernetes cluster.local {\n  upstream\n }",
        "property 'upstream' of kubernetes is no part of CoreDNS any more: take the line out",
    ),
    "cache twice, by an override": ("cache 30\n cache 5", "cache can only be used once"),
    "errors twice, by an override": ("errors\n errors", "errors can only be used once"),
    "tracing": ("trace", "`log` and `prometheus` tell of queries"),
    "a provider's zones": ("route53 example.org.:Z1", "run CoreDNS beside this server"),
    "a placeholder that nobody replaced": (
        "bind __PILLAR__LOCAL__DNS__",
        "'__PILLAR__LOCAL__DNS__' is no IP address",
    ),
    "an environment variable that is not set": ("forward . {$CLUSTERDNS_NOT_SET}", "invalid"),
}
SCHEMES = ("grpc", "https", "https3", "quic")


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str, tmp_path: Path) -> None:
    lines, expected = REFUSED[name]
    assert expected in told(tmp_path, f".:53 {{\n {lines}\n}}\n")


@pytest.mark.parametrize("scheme", SCHEMES)
def test_scheme(scheme: str, tmp_path: Path) -> None:
    """The Helm chart's values may have them."""
    assert f"{scheme}:// is not served here" in told(tmp_path, f"{scheme}://. {{\n whoami\n}}\n")


def test_zone_twice(tmp_path: Path) -> None:
    """A `.server` file with the zone that the Corefile has."""
    text = told(tmp_path, ".:53 {\n whoami\n}\n.:53 {\n whoami\n}\n")
    assert "Corefile:4:1: cannot serve dns://.:53: it is already defined at" in text


def told(folder: Path, corefile: str) -> str:
    """The errors of a Corefile."""
    path = folder / "Corefile"
    path.write_text(corefile)
    report = check_corefile(str(path), 53)
    assert report.errors
    return "\n".join(report.errors)
