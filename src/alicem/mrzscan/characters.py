"""A straightened line read: what stands in each column, and where its letters are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from alicem.mrzscan import networks
from alicem.mrzscan.light import Grey, even

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ<"
BLANK = len(ALPHABET)
ROWS = 32  # of a strip, its letters 16 high in the middle
PITCH = 16  # pixels from letter to letter
COLUMN = 4  # pixels that make a column of the network's answer
REACH = 41  # pixels over which light is evened
BETWEEN = {3: (1, 2), 4: (2,), 5: (2, 3)}  # columns from letter to letter, and which of them are to be blank
STEPS = tuple(BETWEEN)
Shares = NDArray[np.float64]  # logarithms


@dataclass(frozen=True, repr=False)
class Letters:
    """So many letters in a row: where they are (pixels of the strip), what each may be, how surely it is a letter."""

    places: NDArray[np.float64]
    shares: Shares  # n × 37, logarithms
    odds: NDArray[np.float64]  # of each, from -8 to 8: ln(letter or not)


def columns(strips: list[Grey]) -> Shares:
    """Logarithms of what each column may be: strips × columns × 38. The strips are of one size."""
    answer = networks.run("characters", np.stack([even(strip, REACH) for strip in strips]))[:, :, 0]
    scores = answer.transpose(0, 2, 1).astype(np.float64)
    top = scores.max(2, keepdims=True)
    return np.asarray(scores - top - np.log(np.exp(scores - top).sum(2, keepdims=True)), np.float64)


def letters(shares: Shares, counts: tuple[int, ...], stiff: float = 0) -> list[dict[int, Letters]]:
    """For each strip and count the best so many letters in a row, the surest not blank: three to five columns apart.

    `stiff` is what each distance but four takes from the score, where a strip is known to be true to size.
    """
    odds = shares[..., :BLANK].max(2) - shares[..., BLANK]
    here, gap = np.clip(odds, -8, 8), np.clip(-odds, -4, 4)
    best, origin = [here], []
    for _ in range(max(counts) - 1):
        before = np.full((len(BETWEEN), *odds.shape), -1e9)
        for place, (step, blanks) in enumerate(BETWEEN.items()):
            between = sum(gap[:, step - back : -back] for back in blanks) / len(blanks)
            before[place, :, step:] = best[-1][:, :-step] + between - stiff * (step * COLUMN != PITCH)
        origin.append(before.argmax(0))
        best.append(before.max(0) + here)
    return [
        {
            count: _trace(shares[one], here[one], best[count - 1][one], [back[one] for back in origin[: count - 1]])
            for count in counts
        }
        for one in range(len(shares))
    ]


def _trace(
    shares: Shares, odds: NDArray[np.float64], best: NDArray[np.float64], origin: list[NDArray[np.intp]]
) -> Letters:
    at = [int(best.argmax())]
    for steps in reversed(origin):
        at.append(at[-1] - STEPS[steps[at[-1]]])
    chosen = np.array(at[::-1])
    hidden = shares[chosen, BLANK:] - np.log(BLANK)  # where no letter is to be seen, it may be any
    return Letters((chosen + 0.5) * COLUMN, np.logaddexp(shares[chosen, :BLANK], hidden), odds[chosen])
