"""k-means of values that lie far apart, against the optimum: at any scale, and where blocks stand for single values."""

from collections.abc import Callable

import numpy as np
import pytest

from prune_core.transforms import kmeans
from prune_core.transforms.kmeans import Codebook, kmeans_1d

Generator = np.random.Generator
# Largest cost relative to the optimum, where blocks stand for several values, by k: 256 blocks, so 4 for each of 64
# clusters.
MOST = {2: 1.005, 8: 1.005, 16: 1.005, 64: 1.02}


def _signs(rng: Generator, n: int) -> np.ndarray:
    return rng.choice([-1.0, 1.0], n)


DISTRIBUTIONS: dict[str, Callable[[Generator, int], np.ndarray]] = {
    "crowd_and_far_group": lambda rng, n: np.append(rng.random(n - 10) * 1e-5, rng.normal(1000, 1, 10)),
    "crowd_and_one_far_value": lambda rng, n: np.append(rng.random(n - 10) * 1e-5, np.full(10, 1e10)),
    "outliers_at_all_scales": lambda rng, n: np.append(
        rng.random(n - 40) * 1e-5, 10.0 ** rng.uniform(-3, 15, 40) * _signs(rng, 40)
    ),
    "cauchy": lambda rng, n: rng.standard_cauchy(n),
    "lognormal": lambda rng, n: rng.lognormal(0, 5, n) * _signs(rng, n),
    "two_far_groups": lambda rng, n: np.append(rng.normal(size=n // 2), rng.normal(1e8, 100, n - n // 2)),
    "geometric": lambda rng, n: 2.0 ** np.linspace(-120, 120, n) * _signs(rng, n),
    "slowly_geometric": lambda rng, n: 1.01 ** np.arange(n) * (1 + 1e-3 * rng.random(n)),
    "limits_of_float32": lambda rng, n: np.append(rng.normal(size=n - 4), [3e38, -3e38, 1e-38, -1e-38]),
    "nearly_whole_numbers": lambda rng, n: np.round(rng.normal(0, 3, n)) + 1e-6 * rng.normal(size=n),
    "groups_of_groups": lambda rng, n: rng.integers(0, 2, (n, 8)) @ 1000.0 ** -np.arange(8) + 1e-26 * rng.random(n),
    "uniform": lambda rng, n: rng.random(n),
    "normal": lambda rng, n: rng.normal(size=n),
    "with_repeats": lambda rng, n: np.append(np.zeros(n // 2), rng.standard_t(2, n - n // 2)),
}


def _sample(name: str, seed: int, n: int) -> np.ndarray:
    """Values of float32, as float64, so that no center is rounded."""
    return DISTRIBUTIONS[name](np.random.default_rng(seed), n).astype(np.float32).astype(np.float64)


def _inertia(values: np.ndarray, book: Codebook) -> float:
    return float(np.sum((values - book.centers[book.indices]) ** 2))


def _optimum(values: np.ndarray, k: int) -> float:
    """The optimal cost, by a plain dynamic program over all values; costs are about the first of each interval."""
    ordered = np.sort(values)
    n = ordered.size
    costs = np.full((n + 1, n + 1), np.inf)  # [start, end]
    for start in range(n):
        apart = ordered[start:] - ordered[start]
        sums = np.cumsum(apart) ** 2 / np.arange(1, n - start + 1)
        costs[start, start + 1 :] = np.maximum(np.cumsum(apart**2) - sums, 0)
    least = costs[0]
    for _ in range(k - 1):
        least = np.min(least[:, None] + costs, axis=0)
    return float(least[n])


@pytest.mark.parametrize("name", DISTRIBUTIONS)
@pytest.mark.parametrize("k", [2, 8, 16])
def test_is_optimal_at_any_scale(name: str, k: int) -> None:
    for seed in range(2):
        values = _sample(name, seed, 300)
        assert _inertia(values, kmeans_1d(values, k)) <= _optimum(values, k) * (1 + 1e-9)


@pytest.mark.parametrize("name", DISTRIBUTIONS)
@pytest.mark.parametrize("k", MOST)
def test_blocks_are_nearly_as_good(name: str, k: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kmeans, "_MAX_BLOCKS", 256)
    monkeypatch.setattr(kmeans, "_MIN_BLOCKS", 64)
    for seed in range(2):
        values = _sample(name, seed, 600)
        assert _inertia(values, kmeans_1d(values, k)) <= _optimum(values, k) * MOST[k]


@pytest.mark.parametrize("k", [8, 64])
def test_a_crowd_and_ten_values_far_away(k: int, monkeypatch: pytest.MonkeyPatch) -> None:
    values = _sample("crowd_and_far_group", 0, 4200)
    found = _inertia(values, kmeans_1d(values, k))
    monkeypatch.setattr(kmeans, "_MAX_BLOCKS", values.size)
    assert found <= _inertia(values, kmeans_1d(values, k)) * 1.001


@pytest.mark.parametrize("exponent", [900, -900])
def test_numbers_whose_squares_are_none_are_clustered_alike(exponent: int) -> None:
    values = _sample("cauchy", 0, 300)
    plain, scaled = kmeans_1d(values, 7), kmeans_1d(np.ldexp(values, exponent), 7)
    assert np.array_equal(plain.indices, scaled.indices)
    assert np.array_equal(np.ldexp(plain.centers, exponent), scaled.centers)


def test_more_clusters_than_are_planned_leave_no_crowd_behind() -> None:
    values = np.append(np.linspace(0, 1e-5, 3000), 10.0 ** np.arange(5, 35))
    book = kmeans_1d(values, 1500)
    assert book.centers.size == 1500
    assert np.array_equal(book.centers[-30:], 10.0 ** np.arange(5, 35))
    assert np.abs(values - book.centers[book.indices]).max() < 1e-8
