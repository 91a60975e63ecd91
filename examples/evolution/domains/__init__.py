"""Tasks to evolve for, one file each; a new one needs its name here to be found by the command lines."""

from evolution.domain import Domain
from evolution.domains.breadcrumb_hard_maze import BreadcrumbHardMaze
from evolution.domains.first_person_maze import FirstPersonMaze
from evolution.domains.large_scale import LargeScale32, LargeScale64, LargeScale101
from evolution.domains.recurrent_parity import RecurrentParity
from evolution.domains.topdown_maze import TopdownMaze
from evolution.domains.toy import Toy

DOMAINS: dict[str, type[Domain]] = {
    domain.name: domain
    for domain in (
        RecurrentParity,
        BreadcrumbHardMaze,
        LargeScale32,
        LargeScale64,
        LargeScale101,
        TopdownMaze,
        FirstPersonMaze,
        Toy,
    )
}
