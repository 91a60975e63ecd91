"""Tasks to evolve for, one file each."""
