"""The figures and tables of the paper, one file for each kind; a new one needs its name here."""

from paper.figure import Figure
from paper.figures.first_person_pilot import PILOT
from paper.figures.intensity_grid import TABLE_S1
from paper.figures.large_networks import FIGURE_4
from paper.figures.maze_mutants import MAZE_MUTANTS
from paper.figures.open_choices import OPEN_CHOICES
from paper.figures.parity_mutants import FIGURE_S2
from paper.figures.pixel_mazes import FIGURE_6, FIGURE_8
from paper.figures.removal import REMOVAL
from paper.figures.success_curves import FIGURE_1, FIGURE_3
from paper.figures.toy_errors import FIGURE_S1

FIGURES: dict[str, Figure] = {
    figure.name: figure
    for figure in (
        FIGURE_S1,
        FIGURE_1,
        FIGURE_3,
        FIGURE_4,
        *FIGURE_4.panels,
        FIGURE_6,
        FIGURE_8,
        PILOT,
        FIGURE_S2,
        TABLE_S1,
        REMOVAL,
        *REMOVAL.others,
        OPEN_CHOICES,
        MAZE_MUTANTS,
    )
}
