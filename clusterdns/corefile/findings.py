"""What reading a Corefile brings to light: warnings, and faults raised or gathered."""

from clusterdns.errors import ConfigError, Place


class Findings:
    """Warnings and faults of one Corefile, each with its place.

    errors: None raises the first fault; a list gathers every one, and reading goes on.
    """

    def __init__(self, errors: list[ConfigError] | None = None) -> None:
        self._warnings: dict[str, None] = {}  # an ordered set: a snippet imported twice warns once
        self._errors = errors

    @property
    def warnings(self) -> tuple[str, ...]:
        """Each as "file:line:column: text", in the order of reading."""
        return tuple(self._warnings)

    def warn(self, message: str, place: Place) -> None:
        """Notes what is accepted though it is odd."""
        self._warnings[f"{place}: {message}"] = None

    def fault(self, message: str, place: Place, cause: Exception | None = None) -> None:
        """Raises the ConfigError, or gathers it and returns."""
        error = ConfigError(message, place)
        if self._errors is None:
            raise error from cause
        error.__cause__ = cause
        self._errors.append(error)
