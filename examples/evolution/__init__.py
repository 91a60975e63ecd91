"""The evolution library that the experiments run on: algorithms, domains, networks, and what runs them."""
