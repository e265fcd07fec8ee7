"""How the codes of a clip stand for colours: matrices and ranges of ITU-T H.273."""

from dataclasses import dataclass

import numpy as np

RGB, BT709, UNSPECIFIED, FCC, BT601, NTSC, ST240, BT2020 = 0, 1, 2, 4, 5, 6, 7, 9
# what red and blue weigh in luma
WEIGHTS = {
    BT709: (0.2126, 0.0722),
    FCC: (0.30, 0.11),
    BT601: (0.299, 0.114),
    NTSC: (0.299, 0.114),
    ST240: (0.212, 0.087),
    BT2020: (0.2627, 0.0593),
}
LIMITED, FULL = 1, 2  # 16..235 and 0..255, as FFmpeg counts them
HD = 576  # rows, above which a clip that does not say so has the colours of BT.709
PQ, HLG = 16, 18  # transfer curves of high dynamic range


@dataclass(frozen=True)
class Encoding:
    """How three 8-bit codes stand for encoded RGB.

    Attributes:
        matrix: a key of `WEIGHTS`, or RGB, whose codes are red, green and blue.
        full: codes go from 0 to 255, rather than to 16..235 and 16..240.
    """

    matrix: int
    full: bool = False

    @property
    def affine(self) -> tuple[np.ndarray, np.ndarray]:
        """A (3, 3) and o (3,) such that codes = A rgb + o.

        Example:
            >>> matrix, offset = Encoding(BT709).affine
            >>> (matrix @ [1, 1, 1] + offset).round(3).tolist()
            [235.0, 128.0, 128.0]
        """
        if self.matrix == RGB:
            return 255 * np.eye(3), np.zeros(3)
        red, blue = WEIGHTS[self.matrix]
        luma = np.array([red, 1 - red - blue, blue])
        rows = [
            luma,
            (np.array([0, 0, 1]) - luma) / (2 - 2 * blue),
            (np.array([1, 0, 0]) - luma) / (2 - 2 * red),
        ]
        scale = [255, 255, 255] if self.full else [219, 224, 224]
        return np.diag(scale) @ np.stack(rows), np.array([0 if self.full else 16, 128, 128])


def encoding(frame) -> Encoding:
    """Of PyAV's frame: by what it says, else BT.709 above 576 rows and BT.601 below."""
    if frame.format.is_rgb or frame.format.has_palette:
        return Encoding(RGB, full=True)
    matrix = int(frame.colorspace or UNSPECIFIED)
    if matrix not in WEIGHTS:
        matrix = BT709 if frame.height > HD else BT601
    full = frame.color_range == FULL or frame.format.name.startswith("yuvj")
    return Encoding(matrix, full)
