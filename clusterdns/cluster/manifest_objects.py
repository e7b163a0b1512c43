"""One object of a manifest -> what the manifests source holds of it."""

import re
from collections.abc import Callable
from sys import intern
from typing import Any, NamedTuple

from msgspec import Struct

from clusterdns.cluster import api, decode
from clusterdns.cluster.events import Upsert
from clusterdns.cluster.mirroring import MANAGED_BY_LABEL, MIRRORING, mirrored
from clusterdns.cluster.model import EndpointSlice, Object
from clusterdns.cluster.selection import Labels, Selection, parse_selector
from clusterdns.cluster.slicing import Backend, Wanted, backend, wanted
from clusterdns.errors import SourceError

Key = tuple[str, str, str]  # kind as in the API, namespace ("" where it has none), name

DEFAULT_NAMESPACE = "default"  # of a manifest that names none; kubectl's, unless it is told another
SLICING = "endpointslice-controller.k8s.io"


class Written(Struct, frozen=True, gc=False):
    """An EndpointSlice of a file: its Service gets none from us."""

    service: str  # "" for a slice of no Service
    mirrored: bool = False  # made from legacy Endpoints by the controller


class Mirror(Struct, frozen=True, gc=False):
    """The slices that a legacy Endpoints object stands for."""

    slices: tuple[EndpointSlice, ...]


class Held(Struct, frozen=True, gc=False):
    """What is kept of one object."""

    object: Object | None = None  # what the zone gets to see; None: nothing
    basis: Wanted | Backend | Written | Mirror | None = None  # what else follows from it
    derives: bool = True  # whether slices made for this Service are selected
    broken: bool = False  # a Service without records: its slices would have none either
    ending: bool = False  # a terminating pod, whose record stays as it was


class Reading(NamedTuple):
    key: Key
    held: Held
    odd: str = ""  # why it has no records, where the data are odd


class Reader:
    """Reads objects for one selection."""

    def __init__(self, selection: Selection) -> None:
        self._selection = selection
        self._slices = "EndpointSlice" in selection.kinds
        self._labels = parse_selector(selection.labels)
        self._namespaces = parse_selector(selection.namespace_labels)

    def read(self, value: Any) -> Reading | None:
        """None for a kind that DNS does not need. Raises SourceError: object and field named."""
        kind, version = _typed(value)
        if (version, kind) not in _VERSIONS:
            return _ignored(kind, version, value)
        reader: Callable[[Any], Reading] = getattr(self, f"_{kind.lower()}")
        return reader(value if kind == "Namespace" else _in_a_namespace(value))

    def exists(self, namespace: str) -> bool:
        """Whether a Namespace that nobody declared is selected."""
        return self._namespaces.matches({_NAME_LABEL: namespace})

    def _service(self, value: Any) -> Reading:
        service = api.from_value(api.Service, value)
        metadata = service.metadata
        change: decode.Change = decode.service_change(service)
        labels = metadata.labels or {}
        if isinstance(change, Upsert) and not self._labels.matches(labels):
            change = None
        return _reading(
            ("Service", metadata.namespace, metadata.name),
            change,
            wanted(service),
            derives=self._derives(labels, metadata.name, SLICING),
        )

    def _serviceimport(self, value: Any) -> Reading:
        imported = api.from_value(api.ServiceImport, value)
        metadata = imported.metadata
        selected = self._selection.multicluster and self._namespaces.matches(metadata.labels or {})
        change = decode.import_change(imported) if selected else None
        return _reading(("ServiceImport", metadata.namespace, metadata.name), change, None)

    def _endpointslice(self, value: Any) -> Reading:
        slice_ = api.from_value(api.EndpointSlice, value)
        metadata = slice_.metadata
        change = decode.slice_change(slice_, self._selection)
        labels = metadata.labels or {}
        return _reading(
            ("EndpointSlice", metadata.namespace, metadata.name),
            change if self._slices and self._labels.matches(labels) else None,
            Written(
                intern(labels.get(decode.SERVICE_LABEL, "")),
                labels.get(MANAGED_BY_LABEL) == MIRRORING,
            ),
        )

    def _endpoints(self, value: Any) -> Reading:
        endpoints = api.from_value(api.Endpoints, value)
        metadata = endpoints.metadata
        slices = mirrored(endpoints, self._selection)
        derives = self._derives(metadata.labels or {}, metadata.name, MIRRORING)
        key = ("Endpoints", metadata.namespace, metadata.name)
        return _reading(key, None, Mirror(slices) if derives and slices else None)

    def _pod(self, value: Any) -> Reading:
        pod = api.from_value(api.Pod, value)
        metadata = pod.metadata
        change = decode.pod_change(pod, self._selection)
        selected = self._selection.pods and self._labels.matches(metadata.labels or {})
        key = ("Pod", metadata.namespace, metadata.name)
        reading = _reading(key, change if selected else None, backend(pod))
        if change is None:
            held = Held(basis=reading.held.basis, ending=True)
            return reading._replace(held=held)
        return reading

    def _namespace(self, value: Any) -> Reading:
        namespace = api.from_value(api.Namespace, value)
        metadata = namespace.metadata
        labels = {**(metadata.labels or {}), _NAME_LABEL: metadata.name}  # the API server adds it
        change = decode.namespace_change(namespace) if self._namespaces.matches(labels) else None
        return _reading(("Namespace", "", metadata.name), change, None)

    def _derives(self, labels: Labels, service: str, manager: str) -> bool:
        """Whether a slice that a controller makes from an object with these labels is selected."""
        if not self._selection.endpoints:
            return False
        added = {decode.SERVICE_LABEL: service, MANAGED_BY_LABEL: manager}
        return self._labels.matches({**labels, **added})


def key_of(value: Any) -> Key | None:
    """Which object this value, that may be anything, wants to be."""
    if not isinstance(value, dict) or not isinstance(metadata := value.get("metadata"), dict):
        return None
    kind, name = value.get("kind"), metadata.get("name")
    namespace = metadata.get("namespace") or DEFAULT_NAMESPACE
    if not (isinstance(kind, str) and isinstance(name, str) and isinstance(namespace, str)):
        return None
    return (kind, "" if kind == "Namespace" else namespace, name)


_NAME_LABEL = "kubernetes.io/metadata.name"
_VERSIONS = {
    ("v1", "Service"),
    ("v1", "Endpoints"),
    ("v1", "Pod"),
    ("v1", "Namespace"),
    ("multicluster.x-k8s.io/v1alpha1", "ServiceImport"),
    ("discovery.k8s.io/v1", "EndpointSlice"),
    ("discovery.k8s.io/v1beta1", "EndpointSlice"),  # the same in every field that we read
}
_OURS = {kind for _, kind in _VERSIONS}
# kinds of Kubernetes itself: they may stand in the same files, and say nothing to DNS
_NOT_NEEDED = frozenset(
    re.findall(
        r"\w+",
        """
        APIService Binding CSIDriver CSINode CSIStorageCapacity CertificateSigningRequest
        ClusterRole ClusterRoleBinding ClusterTrustBundle ComponentStatus ConfigMap
        ControllerRevision CronJob CustomResourceDefinition DaemonSet Deployment DeviceClass
        Event FlowSchema HorizontalPodAutoscaler IPAddress Ingress IngressClass Job Lease
        LimitRange MutatingAdmissionPolicy MutatingAdmissionPolicyBinding
        MutatingWebhookConfiguration NetworkPolicy Node PersistentVolume
        PersistentVolumeClaim PodDisruptionBudget PodSecurityPolicy PodTemplate
        PriorityClass PriorityLevelConfiguration ReplicaSet ReplicationController
        ResourceClaim ResourceClaimTemplate ResourceQuota ResourceSlice Role RoleBinding
        RuntimeClass Secret ServiceAccount ServiceCIDR StatefulSet StorageClass
        StorageVersion StorageVersionMigration ValidatingAdmissionPolicy
        ValidatingAdmissionPolicyBinding ValidatingWebhookConfiguration VolumeAttachment
        VolumeAttributesClass
        """,
    )
)


def _typed(value: Any) -> tuple[str, str]:
    """kind and apiVersion."""
    if not isinstance(value, dict):
        raise SourceError(f"expected an object, got {type(value).__name__}")
    for field in ("kind", "apiVersion"):
        if not isinstance(value.get(field), str):
            found = "nothing" if value.get(field) is None else repr(value[field])[:80]
            what = api.described(str(value.get("kind") or "object"), value)
            raise SourceError(f"{what}: {field}: expected a text, got {found}")
    return value["kind"], value["apiVersion"]


def _ignored(kind: str, version: str, value: dict[Any, Any]) -> Reading | None:
    """What is kept of an object that DNS does not need: that its namespace exists."""
    if kind not in _NOT_NEEDED:
        what = "version" if kind in _OURS else "kind"
        raise SourceError(f"{api.described(kind, value)}: unknown {what} {version} {kind}")
    key = key_of(value)
    if key is None or not value["metadata"].get("namespace"):
        return None
    return Reading(key, Held())


def _in_a_namespace(value: dict[Any, Any]) -> dict[Any, Any]:
    metadata = value.get("metadata")
    if not isinstance(metadata, dict) or metadata.get("namespace"):
        return value
    return {**value, "metadata": {**metadata, "namespace": DEFAULT_NAMESPACE}}


def _reading(
    key: Key,
    change: decode.Change,
    basis: Wanted | Backend | Written | Mirror | None,
    derives: bool = True,
) -> Reading:
    kind, namespace, name = key
    key = (kind, intern(namespace), name)
    if isinstance(change, decode.NoRecords):
        odd = str(change) if change.reason else ""
        return Reading(key, Held(None, basis, derives, broken=bool(odd)), odd)
    shown = change.object if change else None
    return Reading(key, Held(shown, basis, derives))
