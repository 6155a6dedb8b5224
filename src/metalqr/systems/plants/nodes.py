"""The base of systems of any number of nodes, each with a state and an input."""

from metalqr.config.settings import Count, setting
from metalqr.systems.system import NamedSystem, SystemSettings


class NodesSettings(SystemSettings):
    """The number of nodes."""

    size: Count = setting(3, label="nodes", about="number of nodes, states and inputs", size=True)


class Nodes(NamedSystem):
    """Nodes whose names follow from their number."""

    @property
    def states(self) -> tuple[str, ...]:  # type: ignore[override] # they depend on the size
        """Names of the states."""
        return tuple(f"node {place + 1}" for place in range(self.settings.size))

    @property
    def inputs(self) -> tuple[str, ...]:  # type: ignore[override]
        """Names of the inputs."""
        return tuple(f"input of node {place + 1}" for place in range(self.settings.size))
