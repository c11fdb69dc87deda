"""Checks Cloud-Optimized GeoTIFFs against what they should hold.

    python check_cog.py CASES.json      expectations written by tests/cog/gdal.rs
    python check_cog.py FILE.tif ...    only the validators

Uses rasterio and rio-cogeo where they are installed, GDAL's own Python bindings and its
validate_cloud_optimized_geotiff where those are. Exits 1 on the first file that fails.
"""

import json
import sys


def validate(path):
    """Runs every validator at hand; returns their names."""
    done = []
    try:
        from rio_cogeo.cogeo import cog_validate

        valid, errors, warnings = cog_validate(path, strict=True)
        assert valid and not errors and not warnings, f"rio-cogeo: {errors} {warnings}"
        done.append("rio-cogeo")
    except ImportError:
        pass
    try:
        from osgeo_utils.samples.validate_cloud_optimized_geotiff import validate as gdal_validate

        warnings, errors, _ = gdal_validate(path, full_check=True)
        assert not errors and not warnings, f"GDAL's validator: {errors} {warnings}"
        done.append("GDAL's validator")
    except ImportError:
        pass
    return done


def check_pixels(case):
    """Compares pixels, mask, georeferencing and metadata through rasterio; returns its name."""
    try:
        import numpy as np
        import rasterio
    except ImportError:
        return []
    with rasterio.open(case["path"]) as file:
        shape = (case["height"], case["width"], len(case["bands"]))
        expected = np.fromfile(case["pixels"], dtype=case["dtype"]).reshape(shape).transpose(2, 0, 1)
        np.testing.assert_array_equal(file.read(), expected)
        assert list(file.descriptions) == case["bands"], file.descriptions
        if case["epsg"] is None:
            assert file.crs is None, file.crs
        else:
            assert file.crs.to_epsg() == case["epsg"], file.crs
            assert list(file.transform.to_gdal()) == case["transform"], file.transform
        if case["nodata"] is None:
            assert file.nodata is None, file.nodata
        else:
            np.testing.assert_equal(file.nodata, float(case["nodata"]))
        tags = file.tags()
        for name, value in case["metadata"]:
            assert tags.get(name) == value, (name, tags.get(name), value)
        structure = file.tags(ns="IMAGE_STRUCTURE")
        compression = "None" if case["compression"] == "NONE" else case["compression"]
        assert structure.get("COMPRESSION", "None") == compression, structure
        assert structure["LAYOUT"] == "COG" and structure["INTERLEAVE"] == "PIXEL" or len(case["bands"]) == 1
        assert file.block_shapes[0] == (case["tile"], case["tile"]), file.block_shapes
        assert file.overviews(1) == [2**n for n in range(1, case["levels"])], file.overviews(1)
        if case["bands"][:3] == ["red", "green", "blue"] and case["dtype"] != "float32":
            assert [c.name for c in file.colorinterp[:3]] == case["bands"][:3], file.colorinterp
        check_mask(case, file, expected)
    check_overview(case, expected)
    with open(case["path"], "rb") as file:
        assert (file.read(4)[2] == 43) == case["bigtiff"]
    return ["rasterio"]


def valid_pixels(case, expected):
    """Which pixels of which bands hold data."""
    import numpy as np

    if case["mask"] is not None:
        mask = np.fromfile(case["mask"], dtype=np.uint8).reshape(expected.shape[1:]) != 0
        return np.broadcast_to(mask, expected.shape)
    if case["nodata"] is None:
        return np.ones(expected.shape, bool)
    nodata = float(case["nodata"])
    return ~np.isnan(expected) if np.isnan(nodata) else expected != nodata


def check_mask(case, file, expected):
    import numpy as np

    masks = file.read_masks() != 0
    np.testing.assert_array_equal(masks, valid_pixels(case, expected))


def check_overview(case, expected):
    """The first overview must be the mean of valid pixels, rounded half up."""
    import numpy as np
    import rasterio

    if case["levels"] < 2:
        return
    valid = valid_pixels(case, expected)
    odd = [(0, 0), (0, expected.shape[1] % 2), (0, expected.shape[2] % 2)]
    weight = np.pad(valid, odd).astype(np.float64)
    value = np.pad(np.where(valid, expected, 0), odd).astype(np.float64) * weight

    def four(a):
        return a[:, ::2, ::2] + a[:, 1::2, ::2] + a[:, ::2, 1::2] + a[:, 1::2, 1::2]

    count = four(weight)
    mean = four(value) / np.maximum(count, 1)
    with rasterio.open(case["path"], OVERVIEW_LEVEL=0) as file:
        got, seen = file.read(), file.read_masks() != 0
    np.testing.assert_array_equal(seen, count > 0)
    if case["dtype"] == "float32":
        np.testing.assert_allclose(got[seen], mean[seen].astype(np.float32), rtol=1e-6)
    else:
        np.testing.assert_array_equal(got[seen], np.floor(mean[seen] + 0.5).astype(case["dtype"]))


def main(arguments):
    cases = []
    for name in arguments:
        if name.endswith(".json"):
            with open(name) as file:
                cases += json.load(file)
        else:
            cases.append({"path": name})
    judges = []
    for case in cases:
        try:
            judges = validate(case["path"]) + (check_pixels(case) if "pixels" in case else [])
            assert judges, "neither rasterio nor osgeo can be imported"
        except AssertionError as error:
            sys.exit(f"{case['path']}: {error}")
    print(f"{len(cases)} files pass: {', '.join(judges)}")


if __name__ == "__main__":
    main(sys.argv[1:])
