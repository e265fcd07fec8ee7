"""Pixels: files, colour spaces, measures from pictures, look-up tables, metrics."""

# of a look-up table; here, where reading it costs no import of jax
INTERPOLATIONS = ("tetrahedral", "trilinear")
