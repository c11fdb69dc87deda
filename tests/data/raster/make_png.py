"""Makes the small PNG files of tests/raster_png.rs with Pillow and prints its table EXPECTED.

Run in this folder: python make_png.py (needs numpy and pillow).
"""

import zlib
from pathlib import Path

import numpy as np
from PIL import Image

HERE = Path(__file__).parent
Y, X = np.mgrid[0:17, 0:23]


def crc(data):
    return zlib.crc32(np.ascontiguousarray(data).tobytes())


def line(name, pixels, mask=None):
    bands = 1 if pixels.ndim == 2 else pixels.shape[2]
    sample = {"uint8": "U8", "uint16": "U16"}[str(pixels.dtype)]
    mask = "None" if mask is None else f"Some({crc(np.where(mask > 0, 255, 0).astype('uint8'))})"
    print(f'    ("{name}.png", {bands}, SampleType::{sample}, {crc(pixels)}, {mask}),')


def main():
    rgb = np.stack([X * 9, Y * 13, X * Y], -1).astype("uint8")
    gray = (X * 7 + Y).astype("uint8")
    deep = (X * 2500 + Y * 31).astype("uint16")
    alpha = np.where((X + Y) % 5 == 0, 0, 200).astype("uint8")
    Image.fromarray(rgb).save(HERE / "rgb.png")
    line("rgb", rgb)
    Image.fromarray(gray).save(HERE / "gray.png")
    line("gray", gray)
    Image.fromarray(deep).save(HERE / "deep.png")
    line("deep", deep)
    Image.fromarray(np.dstack([rgb, alpha])).save(HERE / "rgba.png")
    line("rgba", rgb, alpha)
    Image.fromarray(np.dstack([gray, alpha]), "LA").save(HERE / "gray_alpha.png")
    line("gray_alpha", gray, alpha)
    palette = Image.fromarray(rgb).convert("P", palette=Image.Palette.ADAPTIVE, colors=7)
    palette.save(HERE / "palette.png")
    line("palette", np.asarray(palette.convert("RGB")))
    bits = Image.fromarray(gray > 60)
    bits.save(HERE / "bits.png")
    line("bits", np.asarray(bits.convert("L")))


main()
