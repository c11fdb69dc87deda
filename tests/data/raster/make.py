"""Makes the small TIFF files of tests/raster_tiff.rs with GDAL, and the table of what GDAL reads from them.

Run in this folder: python make.py (needs numpy and rasterio). Writes *.tif, *.msk and expected.json: for
every file size, bands, sample type, names, nodata, georeferencing, and CRC-32 sums of the interleaved
little-endian pixels of every level (types that readers deliver as float32 are summed as float32) and of the
validity mask (0 or 255 a pixel) where there is one.
"""

import json
import zlib
from pathlib import Path

import numpy as np
import rasterio
from rasterio.enums import ColorInterp, Resampling
from rasterio.transform import Affine, from_origin

HERE = Path(__file__).parent
UTM = dict(crs="EPSG:32631", transform=from_origin(399960, 5400000, 10, 10))


def picture(bands, height, width, dtype, seed=1):
    """Smooth values with some noise, over a good part of the type's range."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    out = []
    for band in range(bands):
        wave = np.sin(x / 17 + band) + np.cos(y / 11 - band)
        value = (wave + 2) / 4 + rng.integers(0, 3, (height, width)) / 100
        kind = np.dtype(dtype)
        if kind.kind == "f":
            out.append((value * 1000 - 300).astype(dtype))
        else:
            info = np.iinfo(dtype)
            low, high = max(info.min, -(2**20)), min(info.max, 2**20)
            out.append((low + value * 0.9 * (high - low)).astype(dtype))
    return np.stack(out)


def write(name, data, names=None, mask=None, overviews=(), interp=None, config=None, **options):
    profile = dict(driver="GTiff", count=data.shape[0], height=data.shape[1], width=data.shape[2], dtype=data.dtype)
    profile.update({**UTM, **options})
    with rasterio.Env(**(config or {})):
        with rasterio.open(HERE / name, "w", **profile) as file:
            if interp:
                file.colorinterp = interp
            file.write(data)
            if mask is not None:
                file.write_mask(mask)
            for i, text in enumerate(names or []):
                file.set_band_description(i + 1, text)
        if overviews:
            with rasterio.open(HERE / name, "r+") as file:
                file.build_overviews(list(overviews), Resampling.average)


def make():
    tiled = dict(tiled=True, blockxsize=32, blockysize=16)
    for compress in ["none", "lzw", "deflate", "packbits", "zstd"]:
        write(f"tiles_{compress}_u16.tif", picture(1, 50, 75, "uint16"), compress=compress, **tiled)
        write(f"strips_{compress}_rgb.tif", picture(3, 50, 75, "uint8"), compress=compress, photometric="rgb", blockysize=7)
    for dtype in ["uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64"]:
        data = picture(2, 40, 45, dtype)
        for predictor in [2, 3] if data.dtype.kind == "f" else [2]:
            write(f"predictor{predictor}_{dtype}.tif", data, compress="deflate", predictor=predictor, interleave="pixel", **tiled)
    write("planar_u16.tif", picture(3, 40, 45, "uint16"), interleave="band", compress="lzw", predictor=2, **tiled)
    write("planar_strips_f32.tif", picture(2, 40, 45, "float32"), interleave="band", compress="deflate", predictor=3)
    write("half.tif", picture(2, 40, 45, "float32"), compress="deflate", predictor=3, nbits=16, **tiled)
    write("big.tif", picture(2, 40, 45, "uint16"), bigtiff="yes", compress="zstd", predictor=2, **tiled)
    write("big_endian_u16.tif", picture(2, 40, 45, "uint16"), endianness="big", compress="lzw", predictor=2, **tiled)
    write("big_endian_f32.tif", picture(1, 40, 45, "float32"), endianness="big", compress="deflate", predictor=3)
    write("big_endian_big.tif", picture(1, 40, 45, "float64"), endianness="big", bigtiff="yes", **tiled)
    write("ten_bands.tif", picture(10, 20, 25, "uint16"), names=[f"B{i:02d}" for i in range(1, 11)], compress="deflate", nodata=0)
    write("four_bands_rgb.tif", picture(4, 40, 45, "uint8"), photometric="rgb", compress="deflate", predictor=2, alpha="no")
    alpha = picture(4, 40, 45, "uint8")
    alpha[3] = np.where(np.add.outer(np.arange(40), np.arange(45)) % 7 < 2, 0, 255)
    rgba = [ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha]
    write("alpha.tif", alpha, photometric="rgb", alpha="yes", interp=rgba, compress="deflate")
    mask = np.where(np.add.outer(np.arange(50), np.arange(75)) % 9 < 4, 0, 255).astype("uint8")
    inside, beside = dict(GDAL_TIFF_INTERNAL_MASK=True), dict(GDAL_TIFF_INTERNAL_MASK=False)
    write("mask_inside.tif", picture(3, 50, 75, "uint8"), mask=mask, config=inside, compress="deflate", overviews=[2, 4], **tiled)
    write("mask_beside.tif", picture(1, 50, 75, "uint16"), mask=mask, config=beside, compress="deflate", **tiled)
    write("overviews.tif", picture(2, 101, 75, "uint16"), compress="deflate", overviews=[2, 4, 8], **tiled)
    write("nan_nodata.tif", picture(1, 20, 25, "float32"), nodata=float("nan"))
    write("minus_nodata.tif", picture(1, 20, 25, "int16"), nodata=-9999)
    sparse = np.zeros((1, 64, 64), "uint16")
    sparse[0, :16, :16] = 7
    write("sparse.tif", sparse, sparse_ok=True, compress="deflate", nodata=0, tiled=True, blockxsize=16, blockysize=16)
    write("one_bit.tif", picture(1, 40, 45, "uint8") % 2, nbits=1)
    write("white_is_zero.tif", picture(1, 20, 25, "uint8"), photometric="miniswhite")
    write("geographic.tif", picture(1, 20, 25, "uint8"), crs="EPSG:4326", transform=from_origin(-8, 5, 0.25, 0.5))
    write("rotated.tif", picture(1, 20, 25, "uint8"), crs="EPSG:32719", transform=Affine(8, 3, 500000, 2, -9, 7e6))
    with rasterio.Env(GTIFF_POINT_GEO_IGNORE=False):
        write("point.tif", picture(1, 20, 25, "uint8"))
        with rasterio.open(HERE / "point.tif", "r+") as file:
            file.update_tags(AREA_OR_POINT="Point")
    write("no_place.tif", picture(1, 20, 25, "uint8"), crs=None, transform=Affine.identity())
    jpeg = dict(compress="jpeg", jpeg_quality=90, tiled=True, blockxsize=32, blockysize=32)
    write("jpeg_ycbcr.tif", picture(3, 50, 75, "uint8", 2), photometric="ycbcr", **jpeg)
    write("jpeg_gray.tif", picture(1, 50, 75, "uint8", 2), **jpeg)
    write("jpeg_rgb.tif", picture(3, 50, 75, "uint8", 2), photometric="rgb", **jpeg)


def crc(data):
    kind = data.dtype
    if kind not in ("uint8", "uint16"):
        data = data.astype("<f4")
    return zlib.crc32(np.ascontiguousarray(data.astype(data.dtype.newbyteorder("<"))).tobytes())


def describe(path):
    with rasterio.open(path) as file:
        colours = [i + 1 for i in range(file.count) if file.colorinterp[i] != ColorInterp.alpha]
        levels = []
        for level in range(len(file.overviews(1)) + 1):
            with rasterio.open(path, **({"overview_level": level - 1} if level else {})) as view:
                levels.append(crc(np.moveaxis(view.read(colours), 0, -1)))
        flags = [f.name for f in file.mask_flag_enums[0]]
        masked = "per_dataset" in flags
        nodata = None if file.nodata is None else repr(file.nodata)
        return {
            "size": [file.width, file.height],
            "bands": len(colours),
            "dtype": "float16" if path.name == "half.tif" else file.dtypes[0],
            "names": [file.descriptions[i - 1] for i in colours],
            "nodata": nodata,
            "epsg": file.crs.to_epsg() if file.crs else None,
            "transform": list(file.transform.to_gdal()) if file.crs else None,
            "levels": levels,
            "mask": crc(file.dataset_mask()) if masked else None,
        }


def main():
    for old in [*HERE.glob("*.tif"), *HERE.glob("*.msk")]:
        old.unlink()
    make()
    table = {path.name: describe(path) for path in sorted(HERE.glob("*.tif"))}
    lines = [f"{json.dumps(name)}: {json.dumps(entry)}" for name, entry in table.items()]
    (HERE / "expected.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")
    for name in ["jpeg_ycbcr", "jpeg_gray", "jpeg_rgb"]:
        with rasterio.open(HERE / f"{name}.tif") as file:
            np.moveaxis(file.read(), 0, -1).tofile(HERE / f"{name}.raw")


if __name__ == "__main__":
    main()
