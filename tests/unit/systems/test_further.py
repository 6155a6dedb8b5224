"""Pools of tasks: the tasks of a case stay what they are, and no pool has a task of another."""

import itertools
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metalqr.config.registries import families
from metalqr.lqr import LQRTasks
from metalqr.systems.addresses import MAX_PLACE, MAX_REDRAW, MAX_SEED, Address, Pool, addresses
from metalqr.systems.catalogue import find
from metalqr.systems.family import MAX_DRAWS, Family, FamilyError
from metalqr.systems.further import Drawn, digest, further_tasks
from metalqr.systems.system import NamedSystem

SIMILAR = {"spectral_radius": 0.8, "perturbed_share": 0.3, "perturbation_deviation": 0.25}
#: A system with a parameter that may be a range.
RANGED = [
    (plugin.name, name)
    for plugin in families
    if issubclass(plugin, NamedSystem)
    for name, each in plugin.Settings.parameters().items()
    if not each.is_choice
]


def make(name: str, **settings: Any) -> Family:
    plugin = families.get(name)
    return plugin(plugin.Settings(**settings))


def ranged(name: str, parameter: str, count: int = 5) -> Family:
    low, high = find(name).Settings.parameters()[parameter].typical
    return make(name, count=count, **{parameter: {"low": low, "high": high}})


def drawing() -> list[tuple[Family, int, int]]:
    """Every family that draws, at its defaults, with dimensions."""
    named = [ranged(*each) for each in RANGED]
    found = [(make("similar", **SIMILAR), 3, 2), (make("legacy"), 3, 2)]
    return found + [(each, *(each.dimensions or (0, 0))) for each in named]


@pytest.mark.parametrize(
    ("family", "d", "k"), drawing(), ids=lambda each: each.name if isinstance(each, Family) else ""
)
def test_pools_have_no_task_in_common(family: Family, d: int, k: int) -> None:
    pools = [further_tasks(family, d, k, 7, pool, 6).tasks for pool in Pool]
    found = list(itertools.chain.from_iterable(map(digest, pools)))
    assert len(set(found)) == 6 * len(Pool)
    if family.has_nominal and family.name != "legacy":  # the first task of legacy is its nominal one
        assert not set(digest(family.nominal(d, k, 7))) & set(found)
    case = digest(family.tasks(d, k, 7))
    assert case == digest(pools[Pool.TRAINING])[:5]


def test_tasks_of_a_case_have_the_random_numbers_of_before_the_pools() -> None:
    """Their addresses are the seed, the task and a matrix, or the name of a parameter."""
    changed = (
        make("similar", **SIMILAR).tasks(3, 2, 5).B
        - make("similar", **SIMILAR | {"perturbed_share": 0}).tasks(3, 2, 5).B
    )
    for task in range(5):
        rng = np.random.default_rng([5, task + 1, 1])
        entries = rng.choice(6, size=2, replace=False)
        expected = np.zeros(6)
        expected[entries] = 0.25 * rng.standard_normal(2)
        np.testing.assert_allclose(changed[task].reshape(-1), expected, atol=1e-15)
    legacy = make("legacy").tasks(3, 2, 5)
    for task in range(1, 5):
        step = 0.01 * np.random.default_rng([5, task]).standard_normal((3, 3))
        np.testing.assert_array_equal(legacy.A[task], legacy.A[0] + step)
    bus = ranged("bus", "speed")
    assert isinstance(bus, NamedSystem)
    for task in range(5):
        uniform = np.random.default_rng([5, task, *b"speed"]).uniform(-0.5, 0.5)
        assert bus.values(Address(Pool.TRAINING, task), 5)["speed"] == pytest.approx(10 + 10 * uniform, rel=1e-15)


NUMBERS = st.tuples(
    st.sampled_from(list(Pool)),
    st.sampled_from(["", "a", "bus", "similar"]),
    st.one_of(st.integers(0, 3), st.integers(0, MAX_SEED)),
    st.one_of(st.integers(0, 3), st.integers(0, MAX_PLACE)),
    st.one_of(st.integers(0, 3), st.integers(0, MAX_REDRAW)),
    st.lists(st.integers(0, 3), max_size=4),
)


def entropy(pool: Pool, family: str, seed: int, place: int, redraw: int, words: list[int]) -> tuple[int, ...]:
    generator = Address(pool, place, redraw).generator(family, seed, *words)
    found = generator.bit_generator.seed_seq.entropy  # type: ignore[attr-defined]
    return tuple(np.asarray(found).tolist())


@given(NUMBERS, NUMBERS)
def test_addresses_have_words_of_their_own(one: tuple[Any, ...], other: tuple[Any, ...]) -> None:
    """NumPy pads with zeros up to four words; all have more, so that other words are another state."""
    assert len(entropy(*one)) > 4
    assert (entropy(*one) == entropy(*other)) == (one == other)


@given(NUMBERS, st.integers(0, MAX_SEED), st.integers(0, 2**32 - 1), st.text("abcxyz_", min_size=1, max_size=12))
def test_no_address_is_an_older_one(numbers: tuple[Any, ...], seed: int, task: int, parameter: str) -> None:
    """Those of the tasks of a case: with the bytes of a name, or with the number of a matrix and at most four words."""
    words = [seed & (2**32 - 1), *([seed >> 32] if seed >> 32 else []), task, *parameter.encode()]
    assert entropy(*numbers)[2:4] == (0, 0)
    assert len(words) <= 4 or 0 not in words[3:4]


def test_words_are_what_numpy_mixes() -> None:
    """An array of words is as good as the list of their numbers, and trailing zeros beyond the fourth word count."""
    same = [
        np.random.default_rng(each).integers(2**62) for each in ([1, 2, 3, 4, 5], np.array([1, 2, 3, 4, 5], np.uint32))
    ]
    assert same[0] == same[1]
    padded = [np.random.default_rng([1, 2, 3, *zeros]).integers(2**62) for zeros in ([], [0], [0, 0], [0, 0, 0])]
    assert padded[0] == padded[1]
    assert len(set(padded)) == 3


@pytest.mark.parametrize(
    ("address", "seed", "message"),
    [
        (Address(Pool.TEST, MAX_PLACE + 1), 0, "place: "),
        (Address(Pool.TEST, 0, MAX_REDRAW + 1), 0, "redraw: "),
        (Address(Pool.TEST, 0), MAX_SEED + 1, "seed: "),
    ],
)
def test_numbers_beyond_their_words_are_refused(address: Address, seed: int, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        address.generator("similar", seed)


@pytest.mark.parametrize(("name", "settings"), [("similar", SIMILAR), ("legacy", {})])
def test_a_further_task_depends_on_its_place_alone(name: str, settings: dict[str, Any]) -> None:
    family = make(name, **settings)
    many = further_tasks(family, 3, 2, 7, Pool.TEST, 8).tasks
    assert digest(further_tasks(family, 3, 2, 7, Pool.TEST, 3, first=4).tasks) == digest(many)[4:7]
    assert digest(further_tasks(make(name, **settings, count=2), 3, 2, 7, Pool.TEST, 8).tasks) == digest(many)
    assert not set(digest(further_tasks(family, 3, 2, 8, Pool.TEST, 8).tasks)) & set(digest(many))
    np.testing.assert_array_equal(many.p, np.full(8, 1 / 8))


def test_further_tasks_have_the_stated_share_and_deviation() -> None:
    """3600 of 12000 entries of B, in each position equally often, and their deviation, within 4.5 standard errors."""
    common, drawn = (
        further_tasks(make("similar", **SIMILAR | {"perturbation_deviation": each}), 3, 4, 7, Pool.TEST, 1000).tasks.B
        for each in (0.0, 0.25)
    )
    changed = drawn != common
    np.testing.assert_array_equal(changed.sum(axis=(1, 2)), 4)  # 0.3 of 12, rounded
    often = changed.sum(axis=0)
    assert np.abs(often - 1000 / 3).max() < 4.5 * np.sqrt(1000 * (1 / 3) * (2 / 3))
    steps = (drawn - common)[changed]
    assert abs(steps.mean()) < 4.5 * 0.25 / np.sqrt(4000)
    assert abs(steps.var() / 0.25**2 - 1.0) < 4.5 * np.sqrt(2 / 4000)


def test_a_sweep_of_the_deviation_keeps_the_directions() -> None:
    """Where no eigenvalue is shifted, the difference to the common task is proportional to the deviation."""
    common, small, large = (
        further_tasks(make("similar", **SIMILAR | {"perturbation_deviation": each}), 3, 2, 7, Pool.TEST, 4).tasks.B
        for each in (0.0, 0.1, 0.4)
    )
    np.testing.assert_allclose(large - common, 4.0 * (small - common), atol=1e-14)
    assert np.abs(small - common).max() > 0.01


class Half(Family):
    """Tasks of which every second draw has a mode that no input reaches."""

    name = "half"
    #: A draw with such a mode for a first number below this.
    share = 0.5

    def draw(self, state_dim: int, action_dim: int, seed: int, places: Any) -> LQRTasks:
        """Two states, the second of which the input reaches or not."""
        uniform = np.array([address.generator(self.name, seed).uniform() for address in places])
        A = np.tile(np.diag([0.5, 1.5]), (len(places), 1, 1)) + 0.1 * uniform[:, np.newaxis, np.newaxis] * np.eye(2)
        B = np.ones((len(places), 2, 1))
        B[uniform < self.share, 1] = 0.0
        two, one = np.tile(np.eye(2), (len(places), 1, 1)), np.ones((len(places), 1, 1))
        return LQRTasks(A, B, two, one, two)


def test_tasks_without_any_stabilising_gain_are_drawn_again_and_counted() -> None:
    family = Half(make("legacy", count=2).settings)
    together = further_tasks(family, 2, 1, 3, Pool.RESAMPLED, 40)
    assert together.tasks.B.all()
    single = [further_tasks(family, 2, 1, 3, Pool.RESAMPLED, 1, first=place) for place in range(40)]
    assert digest(together.tasks) == [digest(each.tasks)[0] for each in single]
    assert together.redrawn == sum(each.redrawn for each in single)
    # The number of failures before 40 successes of probability 1/2 has the mean 40 and the variance 80.
    assert abs(together.redrawn - 40) < 4.5 * np.sqrt(80)
    assert digest(family.tasks(2, 1, 3)) != digest(further_tasks(family, 2, 1, 3, Pool.TRAINING, 2).tasks) or (
        further_tasks(family, 2, 1, 3, Pool.TRAINING, 2).redrawn == 0
    )


def test_a_family_without_stabilisable_tasks_is_given_up() -> None:
    family = Half(make("legacy").settings)
    family.share = 1.0
    message = f"the family half gave {MAX_DRAWS} draws in a row that no gain stabilises; narrow the ranges"
    with pytest.raises(FamilyError, match=re.escape(message)):
        further_tasks(family, 2, 1, 3, Pool.TEST, 2)


NOT_DRAWN = "cannot draw further tasks, "
NO_RANGE = f"{NOT_DRAWN}no parameter of it is a range; "
IN_LIST = "is a list with a value for each task, and none for further ones; "
OTHER = "choose a family that draws them: similar, legacy, a named system with a range"


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("bus", {}, f"the family bus {NO_RANGE}give a parameter a range, such as mass: {{low: 9.95, high: 16}}"),
        ("bus", {"speed": [5, 10]}, f"speed {IN_LIST}give a range, speed: {{low: 5, high: 10}}"),
        ("ship", {"ship": [1, 2]}, f"ship {IN_LIST}{OTHER}"),
        ("fedlqr", {}, f"the family fedlqr {NO_RANGE}{OTHER}"),
        (
            "given",
            {name: [[[0.5]]] for name in ("A", "B", "Q", "R", "Psi")},
            f"the family given {NOT_DRAWN}it has those that it is given; {OTHER}",
        ),
    ],
)
def test_a_family_that_cannot_draw_names_the_key_and_the_next_step(
    name: str, settings: dict[str, Any], message: str
) -> None:
    family = make(name, **settings)
    assert family.why_fixed.startswith(message)
    d, k = family.dimensions or (0, 0)
    with pytest.raises(FamilyError, match=re.escape(message)):
        further_tasks(family, d, k, 0, Pool.TEST, 2)


def test_a_digest_shows_every_matrix_and_no_probability() -> None:
    tasks = make("similar", **SIMILAR).tasks(2, 1, 0)
    assert len(set(digest(tasks))) == 5
    assert digest(tasks.subset([3, 1])) == [digest(tasks)[3], digest(tasks)[1]]
    for name in ("A", "B", "Q", "R", "Psi", "Sigma0"):
        other = getattr(tasks, name).copy()
        other[2] *= 1.0 + 1e-15
        changed = digest(tasks.replace(**{name: other}))
        assert [one == two for one, two in zip(changed, digest(tasks), strict=True)] == [True, True, False, True, True]
    zero = tasks.A.copy()
    zero[0, 0, 0] = 0.0
    negative = zero.copy()
    negative[0, 0, 0] = -0.0
    assert digest(tasks.replace(A=zero)) == digest(tasks.replace(A=negative))


def test_draws_are_tasks_and_a_count() -> None:
    drawn = further_tasks(make("legacy"), 2, 1, 0, Pool.VALIDATION, 3)
    assert isinstance(drawn, Drawn)
    assert (drawn.tasks.count, drawn.redrawn) == (3, 0)
    assert addresses(Pool.TEST, [4]) == [Address(Pool.TEST, 4)]
