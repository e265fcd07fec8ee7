"""Pixels: files, colour spaces, measures from pictures, look-up tables, metrics."""
