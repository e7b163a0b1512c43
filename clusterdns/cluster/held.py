"""What a source has said exists: names and versions, nothing else."""

from collections.abc import Iterator


class Held:
    """Versions of what exists, by namespace and name: all that is remembered of an object."""

    def __init__(self) -> None:
        self._namespaces: dict[str, dict[str, int]] = {}

    def __iter__(self) -> Iterator[tuple[str, str]]:
        for namespace, names in self._namespaces.items():
            for name in names:
                yield namespace, name

    def __contains__(self, key: tuple[str, str]) -> bool:
        return key[1] in self._namespaces.get(key[0], _NOTHING)

    def __len__(self) -> int:
        return sum(map(len, self._namespaces.values()))

    def names(self) -> Iterator[tuple[str, list[str]]]:
        """The names in each namespace, as they are now; they may change while this is walked."""
        for namespace in list(self._namespaces):
            yield namespace, list(self._namespaces.get(namespace, ()))

    def get(self, namespace: str, name: str) -> int:
        """0 for what is not there, or has no comparable version."""
        return self._namespaces.get(namespace, _NOTHING).get(name, 0)

    def put(self, namespace: str, name: str, version: int) -> None:
        self._namespaces.setdefault(namespace, {})[name] = version

    def pop(self, namespace: str, name: str) -> None:
        names = self._namespaces.get(namespace)
        if names and names.pop(name, None) is not None and not names:
            del self._namespaces[namespace]

    def update(self, other: "Held") -> None:
        """Adds what is only in the other."""
        for namespace, names in other._namespaces.items():
            ours = self._namespaces.setdefault(namespace, {})
            for name, version in names.items():
                ours.setdefault(name, version)


_NOTHING: dict[str, int] = {}
