"""Which objects of the cluster a source is asked for: the server side of `kubernetes`' options."""

from dataclasses import dataclass

from clusterdns.cluster.events import Kind


@dataclass(frozen=True)
class Selection:
    """What one zone needs to see. Zones with equal selections share a source and an index.

    labels, namespace_labels: Kubernetes label selectors, "" for all; `labels` is applied to
        Services, Pods and EndpointSlices, `namespace_labels` to Namespaces.
    """

    labels: str = ""
    namespace_labels: str = ""
    endpoints: bool = True  # False: `noendpoints`
    pods: bool = False  # True: `pods verified`
    pod_names: bool = False  # True: `endpoint_pod_names`; slices keep targetRef names
    topology_zones: bool = False  # True: `zonal`

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The kinds a source must have listed before the zone is synced."""
        raise NotImplementedError
