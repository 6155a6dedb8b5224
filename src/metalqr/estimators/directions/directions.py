"""The base of all distributions of perturbations."""

from typing import TYPE_CHECKING, ClassVar

from metalqr.config.registry import Plugin

if TYPE_CHECKING:
    from metalqr.config.algorithm import MetaSettings
    from metalqr.estimators.estimator import Array
    from metalqr.estimators.neighbourhood import DirectionLaw
    from metalqr.simulation.streams import Draws


class Directions(Plugin):
    r"""A distribution of perturbations with :math:`E[U U^\top] = \frac{r^2}{dk} I`, as vectors, and mean zero.

    With that every estimator has the factor :math:`dk/r^2`. Those around one gain may depend on each other; those
    around two gains are independent.

    Attributes
    ----------
    settings : MetaSettings
        All settings of the run; those of the distribution itself are ``own``.
    """

    #: True if each perturbation alone is uniform on the sphere: the mean of an estimate is then that over a ball.
    is_on_sphere: ClassVar[bool] = False
    #: True if the distribution stays the same when states and actions are rotated: compiled rollouts then take the
    #: perturbations in their own coordinates.
    rotation_invariant: ClassVar[bool] = False
    #: True if compiled rollouts draw the perturbations themselves, by the name of the distribution.
    is_compiled: ClassVar[bool] = False

    def __init__(self, settings: "MetaSettings") -> None:
        self.settings = settings
        self.own = settings.of(type(self))

    def law(self, radius: float, size: int, nodes: int) -> "DirectionLaw | None":
        """The lengths and blocks of perturbations of uniform direction, for gains with so many entries.

        Nodes are those of a quadrature rule where the length varies. None if the direction is not uniform, or not
        known: the covariance of an estimate is then measured.
        """
        return None

    def from_normals(self, normals: "Array") -> "Array":
        """Perturbations for r = 1 from as many matrices of standard normals (P, M, k, d): M around each of P gains."""
        raise NotImplementedError(f"{type(self).__name__} overrides neither from_normals nor draw")

    def draw(self, draws: "Draws", shape: tuple[int, int], radius: float, together: int) -> "Array":
        """Perturbations of radius r around gains, ``together`` around each: (gains, together, k, d).

        Override it where :meth:`from_normals` is not enough.
        """
        normals = draws.normals(shape).reshape(-1, together, *shape)
        return radius * self.from_normals(normals)
