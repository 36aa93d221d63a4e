"""The version of the package and of the numbers it produces."""

__version__ = "0.1.0"

MODEL_VERSION = 13
"""Changes whenever the same scenario and seed may give other numbers."""
