"""Tasks at which bounds break if they can, and the perturbations of a gain that come closest to breaking them."""

import numpy as np

from metalqr import lqr
from metalqr.lqr import FloatArray, LQRTasks

KINDS = ("plain", "scalar", "more_inputs", "near_instability", "not_normal", "cheap_inputs", "uneven_noise")


def hostile_task(seed: int, kind: str) -> tuple[LQRTasks, FloatArray]:
    """One random task of a kind, with a gain that stabilises it."""
    rng = np.random.default_rng([seed, KINDS.index(kind)])
    d, k = int(rng.integers(1, 5)), int(rng.integers(1, 4))
    if kind == "scalar":
        d = 1
    if kind == "more_inputs":
        d, k = int(rng.integers(1, 3)), int(rng.integers(3, 5))
    F, radius = rng.standard_normal((d, d)), rng.uniform(0.0, 0.95)
    if kind == "near_instability":
        radius = 1.0 - 10.0 ** rng.uniform(-6, -2)
    if kind == "not_normal":
        F = np.triu(F, 1) * 10.0 ** rng.uniform(0, 1.5) + np.diag(rng.uniform(-radius, radius, d))
    else:
        F *= radius / np.abs(np.linalg.eigvals(F)).max()
    B = 10.0 ** rng.uniform(-1, 1) * rng.standard_normal((d, k))
    Q, R, Psi = _definite(rng, d, 1), _definite(rng, k, 1), _definite(rng, d, 1)
    if kind == "cheap_inputs":
        R = R * 10.0 ** rng.uniform(-8, -3)
    if kind == "uneven_noise":
        Psi = _definite(rng, d, 4) * 10.0 ** rng.uniform(-6, 6)
    K = rng.uniform(0.0, 0.3) * rng.standard_normal((k, d))
    return LQRTasks(A=[F + B @ K], B=[B], Q=[Q], R=[R], Psi=[Psi]), K


def perturbations(tasks: LQRTasks, K: FloatArray, radius: float, count: int, seed: int) -> FloatArray:
    """Perturbations of spectral norm ``radius`` or less for the first task, shape (count, k, d).

    First the worst of rank one: real parts of those that destabilise at the angle of an eigenvalue, at 0 and at π, with
    both signs; then random ones of rank one and of full rank, up to the boundary.
    """
    rng = np.random.default_rng([seed, 2])
    F, B = lqr.closed_loop(tasks, K)[0], tasks.B[0]
    angles = [0.0, np.pi, *np.abs(np.angle(np.linalg.eigvals(F)))]
    found = []
    for number in range(count):
        angle = angles[number // 2] if number < 2 * len(angles) else None
        if angle is not None:
            u, _, v = np.linalg.svd(np.linalg.solve(np.exp(1j * angle) * np.eye(len(F)) - F, B.astype(complex)))
            X = (-1) ** number * np.real(np.outer(v[0].conj(), u[:, 0].conj()))
        elif number % 2:
            X = np.outer(rng.standard_normal(len(K)), rng.standard_normal(len(F)))
        else:
            X = rng.standard_normal(K.shape)
        size = radius if number % 3 else radius * rng.uniform()
        found.append(size * X / max(np.linalg.norm(X, 2), 1e-12))
    return np.array(found)


def _definite(rng: np.random.Generator, dim: int, decades: float) -> FloatArray:
    """Symmetric, with eigenvalues over so many decades below one."""
    basis = np.linalg.qr(rng.standard_normal((dim, dim)))[0]
    found = basis * 10.0 ** rng.uniform(-decades, 0, dim) @ basis.T
    return np.asarray(0.5 * (found + found.T))
