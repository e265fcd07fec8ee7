"""A picture's colours as a few points in space, for a page that draws them."""

import numpy as np

BITS = 5  # of each channel that tell bins apart
POINTS = 2000  # at most
LOOKED_AT = 1 << 16  # pixels


def cloud(pixels: np.ndarray) -> bytes:
    """The colours of an 8-bit picture: r, g, b and a size for each, a byte each, heaviest first.

    A point is the mean of its bin, its size the cube root of the bin's share: a volume.

    Args:
        pixels: (H, W), (H, W, 2), (H, W, 3) or (H, W, 4) uint8.

    Example:
        >>> list(cloud(np.full((4, 4, 3), 7, np.uint8)))
        [7, 7, 7, 255]
    """
    rows = pixels.reshape(-1, 1 if pixels.ndim == 2 else pixels.shape[2])
    step = -(-len(rows) // LOOKED_AT) | 1  # odd: not the same columns again and again
    rows = rows[::step]
    channels = rows.shape[1]
    color = rows[:, : channels - (channels % 2 == 0)].astype(np.int64)
    color = np.broadcast_to(color, (len(rows), 3))
    weight = rows[:, -1] / 255 if channels % 2 == 0 else np.ones(len(rows))
    red, green, blue = (color >> (8 - BITS)).T
    place = (red << 2 * BITS) | (green << BITS) | blue
    mass = np.bincount(place, weight, 1 << 3 * BITS)
    found = np.flatnonzero(mass)
    found = found[np.argsort(-mass[found], kind="stable")][:POINTS]
    if not len(found):
        return b""
    sums = [np.bincount(place, weight * color[:, k], 1 << 3 * BITS)[found] for k in range(3)]
    size = 255 * np.cbrt(mass[found] / mass[found].max())
    points = np.stack([*(one / mass[found] for one in sums), np.maximum(size, 1)], 1)
    return np.rint(points).astype(np.uint8).tobytes()
