"""What the command line says."""

from dataclasses import dataclass

from clusterdns.cluster.connection import AuditMode


@dataclass(frozen=True)
class Options:
    """port: of server blocks that name none."""

    corefile: str | None = None  # a path, or "stdin"
    port: int = 53
    manifests: tuple[str, ...] = ()
    pidfile: str | None = None
    quiet: bool = False
    drain_s: float = 20.0
    next_free_port: bool = False
    banner: str = ""  # printed at start, below the zones
    state: str | None = None  # folder of the last known state
    state_max_age_s: float = 86_400.0
    audit: AuditMode = "heal"
    last_good: str | None = None  # folder of the last Corefile that could be used
