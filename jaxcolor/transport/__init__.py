"""Solvers: mathematics on measures. Nothing here knows of pictures."""
