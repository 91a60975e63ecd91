"""Studies beyond the paper: operators, adapted divergences, held-out safety, crossover. One file each."""
