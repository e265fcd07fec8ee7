"""One of several processes that solve the same problems; what it found goes into a file.

python process.py INDEX COUNT PORT FILE
"""

import sys
from pathlib import Path


def solve_all(count: int, file: Path) -> None:
    """What every process does, whether it is one of several or alone."""
    import jax
    import jax.numpy as jnp
    import numpy as np
    from jax.experimental.multihost_utils import process_allgather

    from jaxcolor import Measure, shard, solve, solve_batch
    from jaxcolor.transport import flow

    assert jax.process_count() == count

    def measure(*shape: int) -> Measure:
        rng = np.random.default_rng(sum(shape))
        weights = rng.random(shape[:-1], np.float32)
        weights /= weights.sum(-1, keepdims=True)
        return Measure(jnp.asarray(rng.random(shape, np.float32)), jnp.asarray(weights))

    mu, nu = measure(601, 3), measure(590, 3)
    mus, nus = measure(7, 20, 3), measure(7, 18, 3)
    if count > 1:
        mu, mus, nus = shard(mu), shard(mus), shard(nus)
    one = solve(mu, nu, epsilon=1e-2)
    many = solve_batch(mus, nus, epsilon=1e-2)
    flowing = flow.solve(mu, nu, jax.random.key(0), steps=5)
    found = {
        "value": one.value,
        "f": one.f[:601],
        "g": one.g,
        "steps": one.info.steps,
        "error": one.info.error,
        "values": many.value[:7],
        "fs": process_allgather(many.f, tiled=True)[:7] if count > 1 else many.f,
        "losses": flowing.losses,
    }
    np.savez(file, **{name: np.asarray(array) for name, array in found.items()})


if __name__ == "__main__":
    index, count, port = (int(word) for word in sys.argv[1:4])
    if count > 1:
        import jax

        jax.distributed.initialize(
            f"127.0.0.1:{port}", count, index, cluster_detection_method="deactivate"
        )
    solve_all(count, Path(sys.argv[4]))
