"""The networks that evolve, and their compiled policies."""
