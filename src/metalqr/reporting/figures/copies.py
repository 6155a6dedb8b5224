"""Small copies of figures, for the documentation."""

import math
from io import BytesIO
from pathlib import Path

from PIL import Image

#: Most pixels of a copy, from left to right; of one in the gallery, from left to right and from top to bottom.
WIDTH = 1600
GALLERY = (640, 720)


def small(path: Path, size: tuple[float, float] = (WIDTH, math.inf)) -> bytes:
    """A figure as a PNG that is no wider and no higher than a page needs, with a palette of 256 colours."""
    with Image.open(path) as drawn:
        image = drawn.convert("RGB")
    scale = min(most / pixels for most, pixels in zip(size, image.size, strict=True))
    if scale < 1:
        image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.LANCZOS)
    written = BytesIO()
    # The median cut, Pillow's own choice, gives thin lines of different colours the same one.
    image.quantize(256, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(written, "PNG", optimize=True)
    return written.getvalue()
