"""The studies that ``reproduce.py`` knows; a new one needs its name here."""

from beyond.adaptation import ADAPTATION
from beyond.crossover import CROSSOVER
from beyond.damping import DAMPING
from beyond.drawn import DRAWN
from beyond.finalists import FINALISTS
from beyond.gymnasium_tasks import GYMNASIUM_TASKS
from beyond.held_out import HELD_OUT
from beyond.lag import LAG
from beyond.other_networks import OTHER_NETWORKS
from beyond.race import DIRECTIONS, SEMIFINALS
from beyond.study import Study
from beyond.sums import SUMS

STUDIES: dict[str, Study] = {
    study.name: study
    for study in (
        DIRECTIONS,
        SEMIFINALS,
        FINALISTS,
        ADAPTATION,
        DRAWN,
        DAMPING,
        SUMS,
        HELD_OUT,
        CROSSOVER,
        GYMNASIUM_TASKS,
        LAG,
        OTHER_NETWORKS,
    )
}
