"""The evolution library that the experiments run on: algorithms, domains, networks, and what runs them."""

from evolution.wide_vectors import use_wide_vectors

use_wide_vectors()
