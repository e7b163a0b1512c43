"""The programs of a control plane: where they are, or how to get them."""

import os
import shutil

NEEDED = ("etcd", "kube-apiserver", "kube-controller-manager", "openssl")

HOW_TO_GET_THEM = (
    "put them on PATH or into the folder that KUBEBUILDER_ASSETS names. etcd and kube-apiserver: "
    "`go run sigs.k8s.io/controller-runtime/tools/setup-envtest@latest use -p path` downloads them "
    "and prints that folder; kube-controller-manager, of the same version: "
    "https://dl.k8s.io/v1.35.4/bin/linux/amd64/kube-controller-manager; openssl: your distribution"
)


def program(name: str) -> str | None:
    """The path of a program, if it is anywhere."""
    folders = [os.environ.get("KUBEBUILDER_ASSETS", ""), os.environ.get("PATH", os.defpath)]
    return shutil.which(name, path=os.pathsep.join(filter(None, folders)))


def missing() -> str:
    """Why nothing can be tested here; "" when all is there."""
    names = [name for name in NEEDED if program(name) is None]
    return f"no {', '.join(names)} here: {HOW_TO_GET_THEM}" if names else ""
