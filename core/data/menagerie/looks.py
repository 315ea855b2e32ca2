"""The colours of every actor."""

from __future__ import annotations

from dataclasses import dataclass

from .canvas import Colour

WHITE: Colour = (252, 252, 252)
BLACK: Colour = (26, 24, 32)
ORANGE: Colour = (250, 145, 25)


@dataclass(frozen=True)
class Look:
    """`edge` outlines everything, `mark` is the second colour of the head."""

    fur: Colour
    edge: Colour
    belly: Colour
    mark: Colour
    hand: Colour
    foot: Colour
    limb: Colour | None = None  # as the fur, unless given
    leg: Colour | None = None  # as the limbs, unless given

    @property
    def arm(self) -> Colour:
        return self.limb or self.fur

    @property
    def thigh(self) -> Colour:
        return self.leg or self.arm


LOOKS = {
    "lion": Look(
        (248, 186, 62),
        (104, 50, 12),
        (255, 226, 150),
        (166, 82, 24),
        (248, 186, 62),
        (248, 186, 62),
    ),
    "penguin": Look((34, 40, 66), (14, 16, 32), WHITE, ORANGE, (34, 40, 66), ORANGE, leg=ORANGE),
    "cat": Look((112, 104, 138), (48, 42, 68), (226, 220, 236), (246, 158, 178), WHITE, WHITE),
    "dog": Look(
        (236, 196, 138),
        (92, 56, 26),
        (255, 240, 214),
        (112, 64, 30),
        (255, 240, 214),
        (112, 64, 30),
    ),
    "elephant": Look(
        (146, 172, 208),
        (62, 82, 120),
        (188, 208, 234),
        (240, 168, 190),
        (174, 198, 230),
        (118, 142, 180),
    ),
    "rabbit": Look(
        (252, 240, 246),
        (158, 104, 134),
        (255, 255, 255),
        (248, 156, 182),
        (252, 240, 246),
        (248, 222, 234),
    ),
    "chick": Look(
        (255, 222, 44), (176, 118, 8), (255, 240, 140), ORANGE, (255, 206, 20), ORANGE, leg=ORANGE
    ),
    "robot": Look(
        (186, 194, 204), (62, 68, 84), (92, 102, 124), (40, 228, 240), (235, 70, 60), (92, 102, 124)
    ),
    "panda": Look(WHITE, (84, 84, 100), WHITE, BLACK, BLACK, BLACK, limb=BLACK),
    "frog": Look(
        (86, 190, 62), (24, 84, 28), (206, 240, 140), (86, 190, 62), (86, 190, 62), (60, 158, 50)
    ),
    "bear": Look(
        (132, 80, 46), (62, 32, 16), (198, 146, 98), (222, 180, 136), (132, 80, 46), (106, 60, 34)
    ),
    "fox": Look((238, 96, 30), (112, 34, 10), WHITE, WHITE, (66, 36, 34), (66, 36, 34)),
}
