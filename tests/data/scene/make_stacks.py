"""Makes the small stacked images of the scene tests: known ramps of row and column.

Needs numpy, rasterio and pillow.
"""
import os

import numpy as np
import rasterio
from PIL import Image
from rasterio.transform import Affine

HERE = os.path.dirname(os.path.abspath(__file__))
WIDTH, HEIGHT = 24, 20


def ramp(band):
    """band·1000 + row·30 + column, the same for every file."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    return band * 1000 + y * 30 + x


def write(name, bands, dtype, names=None, nodata=None, georef=True):
    place = {"crs": "EPSG:32629", "transform": Affine(10, 0, 500000, 0, -10, 4000000)} if georef else {}
    with rasterio.open(
        os.path.join(HERE, name), "w", driver="GTiff", width=WIDTH, height=HEIGHT, count=len(bands), dtype=dtype,
        compress="deflate", nodata=nodata, **place,
    ) as f:
        for i, band in enumerate(bands):
            f.write(band.astype(dtype), i + 1)
            if names:
                f.set_band_description(i + 1, names[i])


def main():
    u16 = [ramp(b) for b in (1, 2, 3, 4)]
    u16[3][0, 0] = 0
    write("stack_named_2021-06-01.tif", u16, "uint16", ["B02", "B03", "B04", "B08"])
    write("stack_plain.tif", u16, "uint16")
    floats = [ramp(b) / 10000.0 for b in (1, 2)]
    floats[0][3, 4] = np.nan
    floats[1][5, 6] = -9999
    write("stack_float.tif", floats, "float32", ["ndvi", "ndwi"], nodata=-9999)
    rgb = [(ramp(0) // (b + 1)) % 256 for b in range(3)]
    write("rgb.tif", rgb, "uint8")
    for name, size in [("rgb_a.png", 24), ("rgb_b.png", 18)]:
        Image.fromarray(np.stack(rgb, -1).astype("uint8")[:, :size]).save(os.path.join(HERE, name))


if __name__ == "__main__":
    main()
