"""Pixels: files, colour spaces, measures from pictures, look-up tables, filters, metrics."""

# names that a person may choose from; here, where reading them costs no import of jax
INTERPOLATIONS = ("tetrahedral", "trilinear")  # of a look-up table
SMOOTHINGS = ("guided", "yaroslavsky", "regrain", "none")  # of what a transfer changes
GAMUTS = ("clip", "fade")  # of colours beyond what a screen shows
