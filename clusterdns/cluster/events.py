"""All that a source of cluster objects may say.

The same stream feeds the zone, other processes, the snapshot on disk and tests, so events are
msgspec structs. A source says Upsert and Delete in any order and as often as it likes; applying an
event twice changes nothing. After it has said everything it knows of a kind it says Synced, once.
"""

from typing import Literal

from msgspec import Struct

from clusterdns.cluster.model import EndpointSlice, Namespace, Pod, Service, ServiceImport

Kind = Literal["Service", "ServiceImport", "EndpointSlice", "Pod", "Namespace"]
KINDS: tuple[Kind, ...] = ("Service", "ServiceImport", "EndpointSlice", "Pod", "Namespace")


class Upsert(Struct, frozen=True, gc=False, tag="upsert"):
    """This object exists and looks like this now."""

    object: Service | ServiceImport | EndpointSlice | Pod | Namespace
    triggered: float | None = None  # Unix seconds of annotation last-change-trigger-time, of slices


class Delete(Struct, frozen=True, gc=False, tag="delete"):
    """This object does not exist any more. Deleting what was never there is allowed."""

    kind: Kind
    namespace: str  # "" for a Namespace
    name: str


class Synced(Struct, frozen=True, gc=False, tag="synced"):
    """Everything of this kind that existed at the start has been said."""

    kind: Kind


Event = Upsert | Delete | Synced
