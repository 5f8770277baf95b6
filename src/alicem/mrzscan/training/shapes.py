"""The two networks: convolutions alone, so that a picture or a line of any size goes through."""

from __future__ import annotations

from alicem.mrzscan.characters import BLANK
from alicem.mrzscan.training.layers import Conv

CHARACTERS = (  # 32 rows become one, four columns become one
    Conv(24, (5, 5), (2, 2), padding=(2, 2)),
    Conv(32),
    Conv(48, stride=(2, 2)),
    Conv(64, stride=(2, 1)),
    Conv(96, (4, 3), padding=(0, 1)),
    Conv(96, (1, 3), padding=(0, 1)),
    Conv(BLANK + 1, (1, 1), padding=(0, 0)),
)

LINES = (  # four pixels become one cell, which sees some 250 pixels around it
    Conv(16, (5, 5), (2, 2), padding=(2, 2)),
    Conv(32, stride=(2, 2)),
    Conv(32),
    Conv(32, dilation=2, padding=(2, 2)),
    Conv(32, dilation=4, padding=(4, 4)),
    Conv(32, dilation=8, padding=(8, 8)),
    Conv(32, dilation=4, padding=(4, 4)),
    Conv(2, (1, 1), padding=(0, 0)),
)
