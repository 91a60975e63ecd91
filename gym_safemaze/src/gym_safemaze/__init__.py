"""The four domains of the safe-mutation paper as Gymnasium environments."""

__version__ = "0.1.0"
