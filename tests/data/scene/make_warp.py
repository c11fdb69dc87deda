"""Makes warp.json: a small scene warped by GDAL with exact positions (gdalwarp -et 0), bilinear.

GDAL's default (-et 0.125) replaces positions by straight lines along each row, up to an eighth of a pixel
off, so only its exact mode is an oracle for single pixels. Needs gdalwarp, numpy and rasterio.
"""
import json
import os
import subprocess
import tempfile

import numpy as np
import rasterio
from rasterio.transform import Affine

HERE = os.path.dirname(os.path.abspath(__file__))


def scene(width, height, seed):
    """Smooth 8-bit values with a black wedge (no data) in one corner."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(1, 255, (height // 4 + 2, width // 4 + 2))
    y, x = np.mgrid[0:height, 0:width] / 4.0
    y0, x0 = y.astype(int), x.astype(int)
    fy, fx = y - y0, x - x0
    values = (1 - fy) * ((1 - fx) * coarse[y0, x0] + fx * coarse[y0, x0 + 1])
    values += fy * ((1 - fx) * coarse[y0 + 1, x0] + fx * coarse[y0 + 1, x0 + 1])
    values = values.round().astype("uint8")
    values[x * 2 + y * 3 < 12] = 0
    return values


def main():
    cases = []
    for epsg, east, north, width, height, nodata, dst in [
        (32631, 399960, 5400000, 44, 36, None, (3857, 9.554628535647032)),
        (32736, 600000, 9890240, 40, 44, 0, (3857, 9.554628535647032)),
        (32633, 300000, 7700040, 36, 36, 0, (32632, 10)),
    ]:
        with tempfile.TemporaryDirectory() as folder:
            src, out = folder + "/src.tif", folder + "/out.tif"
            values = scene(width, height, epsg)
            with rasterio.open(
                src, "w", driver="GTiff", width=width, height=height, count=1, dtype="uint8", nodata=nodata,
                crs=f"EPSG:{epsg}", transform=Affine(10, 0, east, 0, -10, north),
            ) as f:
                f.write(values, 1)
            subprocess.run(
                ["gdalwarp", "-q", "-et", "0", "-r", "bilinear", "-t_srs", f"EPSG:{dst[0]}",
                 "-tr", str(dst[1]), str(dst[1]), src, out], check=True)
            with rasterio.open(out) as f:
                want, transform = f.read(1), f.transform.to_gdal()
        cases.append({
            "src_epsg": epsg, "src_transform": [east, 10, 0, north, 0, -10], "nodata": nodata,
            "src": values.tolist(), "dst_epsg": dst[0], "dst_transform": transform, "dst": want.tolist(),
        })
    with open(os.path.join(HERE, "warp.json"), "w") as f:
        json.dump(cases, f, separators=(",", ":"))
        f.write("\n")


if __name__ == "__main__":
    main()
