"""API objects as the API server writes them, as far as we read them.

Fields that are not here are skipped without being looked at; what may be absent may also be null.
Names that become labels of the DNS are checked, so that nothing behind ever meets a label that
cannot be one.
"""

import re
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta, Raw, Struct, ValidationError, field

from clusterdns.errors import SourceError

_LABEL = r"[A-Za-z0-9_](?:[-A-Za-z0-9_]{0,61}[A-Za-z0-9_])?"  # RFC 1035 2.3.4: at most 63 octets
_HOST = r"[!-\-/-~]{1,63}(?:\.[!-\-/-~]{1,63})*\.?"  # labels of printable ASCII
Label = Annotated[str, Meta(pattern=rf"\A{_LABEL}\Z")]
OptionalLabel = Annotated[str, Meta(pattern=rf"\A(?:{_LABEL})?\Z")]
Host = Annotated[str, Meta(max_length=254, pattern=rf"\A(?:{_HOST})?\Z")]
Name = Annotated[str, Meta(min_length=1, max_length=253)]
PortNumber = Annotated[int, Meta(ge=0, le=65535)]


class _Shape(Struct, rename="camel", gc=False):
    """Read, turned into the model and dropped at once; never part of a cycle."""


class ObjectMeta(_Shape):
    name: Name
    namespace: Label
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    deletion_timestamp: str | None = None


class ServiceMeta(_Shape):
    name: Label
    namespace: Label
    labels: dict[str, str] | None = None


class NamespaceMeta(_Shape):
    name: Label
    labels: dict[str, str] | None = None


class ServicePort(_Shape):
    name: OptionalLabel | None = None
    port: PortNumber = 0
    protocol: str | None = None
    target_port: int | str | None = None


class ServiceSpec(_Shape):
    type: str | None = None
    cluster_ip: str | None = field(name="clusterIP", default=None)
    cluster_ips: list[str] | None = field(name="clusterIPs", default=None)
    external_name: Host | None = None
    external_ips: list[str] | None = field(name="externalIPs", default=None)
    ports: list[ServicePort] | None = None
    selector: dict[str, str] | None = None
    ip_families: list[str] | None = None
    publish_not_ready_addresses: bool | None = None


class Ingress(_Shape):
    ip: str | None = None
    hostname: Host | None = None


class LoadBalancer(_Shape):
    ingress: list[Ingress] | None = None


class ServiceStatus(_Shape):
    load_balancer: LoadBalancer | None = None


class Service(_Shape):
    metadata: ServiceMeta
    spec: ServiceSpec | None = None
    status: ServiceStatus | None = None


class ImportSpec(_Shape):
    type: str | None = None
    ips: list[str] | None = None
    ports: list[ServicePort] | None = None


class ServiceImport(_Shape):
    metadata: ServiceMeta
    spec: ImportSpec | None = None


class SlicePort(_Shape):
    name: OptionalLabel | None = None
    port: PortNumber | None = None
    protocol: str | None = None


class Conditions(_Shape):
    ready: bool | None = None


class Reference(_Shape):
    kind: str | None = None
    name: str | None = None


class SliceEndpoint(_Shape):
    addresses: list[str]
    conditions: Conditions | None = None
    hostname: OptionalLabel | None = None
    target_ref: Reference | None = None
    zone: str | None = None


class EndpointSlice(_Shape):
    metadata: ObjectMeta
    address_type: str | None = None
    endpoints: list[SliceEndpoint] | None = None
    ports: list[SlicePort] | None = None


class EndpointAddress(_Shape):
    ip: str
    hostname: OptionalLabel | None = None
    target_ref: Reference | None = None


class EndpointSubset(_Shape):
    addresses: list[EndpointAddress] | None = None
    not_ready_addresses: list[EndpointAddress] | None = None
    ports: list[SlicePort] | None = None


class Endpoints(_Shape):
    metadata: ObjectMeta
    subsets: list[EndpointSubset] | None = None


class ContainerPort(_Shape):
    container_port: PortNumber
    name: str | None = None
    protocol: str | None = None


class Container(_Shape):
    ports: list[ContainerPort] | None = None
    restart_policy: str | None = None


class PodSpec(_Shape):
    hostname: OptionalLabel | None = None
    subdomain: str | None = None
    containers: list[Container] | None = None
    init_containers: list[Container] | None = None


class PodCondition(_Shape):
    type: str
    status: str


class PodIP(_Shape):
    ip: str | None = None


class PodStatus(_Shape):
    phase: str | None = None
    pod_ip: str | None = field(name="podIP", default=None)
    pod_ips: list[PodIP] | None = field(name="podIPs", default=None)
    conditions: list[PodCondition] | None = None


class Pod(_Shape):
    metadata: ObjectMeta
    spec: PodSpec | None = None
    status: PodStatus | None = None


class Namespace(_Shape):
    metadata: NamespaceMeta


Shape = TypeVar("Shape", Service, ServiceImport, EndpointSlice, Endpoints, Pod, Namespace)

_DECODERS: dict[type, msgspec.json.Decoder[Any]] = {
    shape: msgspec.json.Decoder(shape)
    for shape in (Service, ServiceImport, EndpointSlice, Endpoints, Pod, Namespace)
}


def from_json(shape: type[Shape], octets: bytes | Raw) -> Shape:
    """The object that this JSON text spells. Raises SourceError: object and field named."""
    try:
        decoded: Shape = _DECODERS[shape].decode(octets)
    except (msgspec.DecodeError, RecursionError) as error:  # DecodeError: ValidationError as well
        raise _source_error(shape, _parsed(octets), error) from error
    return decoded


def from_value(shape: type[Shape], value: Any) -> Shape:
    """The object that this parsed value spells. Raises SourceError: object and field named."""
    try:
        return msgspec.convert(value, shape)
    except (ValidationError, RecursionError) as error:
        raise _source_error(shape, value, error) from error


def described(kind: str, value: Any) -> str:
    """`<kind> <namespace>/<name>` as far as a value that may be anything tells it."""
    metadata = value.get("metadata") if isinstance(value, dict) else None
    if not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str):
        return f"{kind} without a name"
    namespace, name = metadata.get("namespace"), metadata["name"]
    return f"{kind} {namespace}/{name}" if isinstance(namespace, str) else f"{kind} {name}"


def _parsed(octets: bytes | Raw) -> Any:
    """The JSON value, or None where there is none."""
    try:
        return msgspec.json.decode(octets)
    except (msgspec.DecodeError, RecursionError):
        return None


def _source_error(shape: type[Any], value: Any, error: Exception) -> SourceError:
    what, _, path = str(error).partition(" - at `")
    what = what[:1].lower() + what[1:]
    if "matching regex" in what:
        what = "expected a DNS name" if "!-" in what else "expected a DNS label"
        what += f", got {_at(value, _steps(value, path))!r}"[:120]
    of_key = path.startswith("key` in `")
    steps = _steps(value, path.removeprefix("key` in `"))
    spelled = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)
    where = ("a key of " if of_key else "") + (spelled.removeprefix(".") or "the object")
    return SourceError(f"{described(shape.__name__, value)}: {where}: {what}")


def _steps(value: Any, path: str) -> list[str | int]:
    """A path of msgspec's as keys and indexes; the key of a dict that it leaves out is put in."""
    steps: list[str | int] = []
    for key, index in re.findall(r"\.([^.\[`]+)|\[([0-9]+|\.\.\.)\]", path):
        if index == "...":  # dictionaries of texts are the only ones that we read
            within = _at(value, steps)
            wrong = (key for key, text in (within or {}).items() if not isinstance(text, str))
            steps.append(next(wrong, "..."))
        else:
            steps.append(int(index) if index else key)
    return steps


def _at(value: Any, steps: list[str | int]) -> Any:
    """What the steps lead to; None where they lead nowhere."""
    for step in steps:
        try:
            value = value[step]
        except (LookupError, TypeError):
            return None
    return value
