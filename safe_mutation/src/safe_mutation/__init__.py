"""Safe (behaviour-preserving) mutation operators for evolving neural networks."""

__version__ = "0.1.0"
