"""A window on the screen for render_mode="human".

pygame is imported when the first picture is shown and at no other time; only its display part is started,
since its sound part can take seconds. Without a screen SDL draws into memory.
"""

import weakref
from types import ModuleType
from typing import Any

import numpy as np
from gymnasium.error import DependencyNotInstalled
from numpy.typing import NDArray


def import_pygame() -> ModuleType:
    """Import pygame, or say how to install it."""
    try:
        import pygame
    except ImportError as error:
        raise DependencyNotInstalled('pictures need pygame: pip install "gym-safemaze[render]"') from error
    return pygame


class Window:
    """Shows pictures, one after the other. Opened by the first; a pickled window comes back closed."""

    def __init__(self) -> None:
        self._surface: Any = None
        self._clock: Any = None
        self._size = (0, 0)

    _owner: "weakref.ref[Window] | None" = None  # whose picture is in the only window of the process

    def show(self, picture: NDArray[np.uint8], fps: int) -> None:
        """Show `picture` (height, width, 3), waiting so that at most `fps` pictures a second are seen."""
        pygame = import_pygame()
        size = (picture.shape[1], picture.shape[0])
        if not self._is_open(pygame) or self._size != size:
            Window._owner = weakref.ref(self)
            pygame.display.init()
            self._surface, self._size = pygame.display.set_mode(size), size
            self._clock = pygame.time.Clock()
            pygame.display.set_caption("safemaze")
        pygame.event.pump()
        pygame.surfarray.blit_array(self._surface, picture.transpose(1, 0, 2))
        pygame.display.flip()
        self._clock.tick(fps)

    def close(self) -> None:
        """Close the window if it is open."""
        if self._surface is not None:
            pygame = import_pygame()
            if self._is_open(pygame):
                pygame.display.quit()
            self._surface = self._clock = None

    def _is_open(self, pygame: ModuleType) -> bool:
        """Whether the process's only window, which others may have closed or taken over, is this one."""
        shown = pygame.display.get_surface()  # the same for all who take it over, perhaps in another size
        mine = Window._owner is not None and Window._owner() is self and shown is not None
        return mine and shown is self._surface and shown.get_size() == self._size

    def __getstate__(self) -> dict[str, Any]:
        return {"_surface": None, "_clock": None, "_size": (0, 0)}
