//! Reprojection against GDAL: exactly positioned small scenes (`tests/data/scene/warp.json`), and the
//! recorded runs of the reference's pipeline (`golden/ssr/reproject`).

use swath::raster::crs::{Bounds, PointTransform, WEB_MERCATOR};
use swath::raster::scene::{MercatorGrid, Z17_PIXEL};
use swath::raster::warp::{Mapping, Resampler, Sampling, SourceWindow};
use swath::raster::{GeoTransform, Georef};
use swath::tile::Rect;

use crate::{npy, shared};

/// An image with its place.
struct Image {
    georef: Georef,
    /// Columns and rows.
    size: (usize, usize),
    bands: usize,
    /// `[band][y][x]`
    values: Vec<f32>,
}

impl Image {
    fn not_equal(&self, nodata: f32) -> Vec<u8> {
        let area = self.size.0 * self.size.1;
        (0..area).map(|i| u8::from(self.values.iter().skip(i).step_by(area).any(|&v| v != nodata))).collect()
    }

    /// Warps to a grid in windows of `step` pixels.
    fn warp(&self, dst: &Georef, size: (usize, usize), valid: &[u8], step: usize) -> (Vec<f32>, Vec<u8>) {
        let mapping = Mapping::between(Some(dst), size, Some(&self.georef)).unwrap();
        let resampler = Resampler::new(mapping, Sampling::Bilinear, size, self.size);
        let (mut out, mut ok) = (vec![f32::NAN; self.bands * size.0 * size.1], vec![9; size.0 * size.1]);
        for y in (0..size.1).step_by(step) {
            for x in (0..size.0).step_by(step) {
                let rect = Rect::at(x as i64, y as i64, step, step).intersect(&Rect::of_size(size.0, size.1));
                self.warp_window(&resampler, rect, valid, size, &mut out, &mut ok);
            }
        }
        (out, ok)
    }

    /// Cuts only what the resampler says it needs, as a reader would.
    fn warp_window(
        &self,
        resampler: &Resampler,
        rect: Rect,
        valid: &[u8],
        size: (usize, usize),
        out: &mut [f32],
        ok: &mut [u8],
    ) {
        let needed = resampler.source_rect(&rect);
        let cut = |band: usize| {
            (needed.y0..needed.y1)
                .flat_map(move |y| (needed.x0..needed.x1).map(move |x| (x as usize, y as usize)))
                .map(move |(x, y)| (band * self.size.1 + y) * self.size.0 + x)
        };
        let planes: Vec<f32> = (0..self.bands).flat_map(|band| cut(band).map(|i| self.values[i])).collect();
        let flags: Vec<u8> = cut(0).map(|i| valid[i]).collect();
        let mut window = vec![0.0; self.bands * rect.area()];
        let mut window_ok = vec![0; rect.area()];
        let source = SourceWindow { rect: needed, planes: &planes, valid: &flags };
        resampler.resample(&rect, &source, &mut window, &mut window_ok);
        for i in 0..rect.area() {
            let (x, y) = (rect.x0 as usize + i % rect.width(), rect.y0 as usize + i / rect.width());
            ok[y * size.0 + x] = window_ok[i];
            for band in 0..self.bands {
                out[(band * size.1 + y) * size.0 + x] = window[band * rect.area() + i];
            }
        }
    }
}

fn numbers(value: &serde_json::Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

/// GDAL's rounding to 8 bits.
fn rounded(v: f32) -> f64 {
    f64::from((v + 0.5).floor())
}

#[test]
fn pixels_equal_gdals_exact_mode() {
    let text = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/scene/warp.json")).unwrap();
    let cases: serde_json::Value = serde_json::from_slice(&text).unwrap();
    for case in cases.as_array().unwrap() {
        let image = |key: &str| {
            let rows = case[key].as_array().unwrap();
            let values: Vec<f32> = rows.iter().flat_map(numbers).map(|v| v as f32).collect();
            let transform = numbers(&case[format!("{key}_transform")]);
            let georef = Georef {
                epsg: case[format!("{key}_epsg")].as_u64().unwrap() as u32,
                transform: GeoTransform(transform.try_into().unwrap()),
            };
            Image { georef, size: (values.len() / rows.len(), rows.len()), bands: 1, values }
        };
        let (src, dst) = (image("src"), image("dst"));
        let nodata = case["nodata"].as_f64();
        let valid = nodata.map_or_else(|| vec![1; src.values.len()], |v| src.not_equal(v as f32));
        let (got, ok) = src.warp(&dst.georef, dst.size, &valid, 1000);
        let mut ties = 0;
        for i in 0..got.len() {
            let want = f64::from(dst.values[i]);
            if ok[i] == 0 {
                assert_eq!((got[i], want), (0.0, 0.0), "pixel {i}");
                continue;
            }
            let near_tie = (got[i].fract() - 0.5).abs() < 0.01;
            assert!(
                (rounded(got[i]) - want).abs() <= f64::from(u8::from(near_tie)),
                "pixel {i}: {} {want}",
                got[i]
            );
            ties += usize::from(rounded(got[i]) != want);
        }
        assert!(ties * 200 < got.len(), "{ties} of {} pixels rounded the other way", got.len());
        assert!(ok.iter().filter(|&&v| v == 1).count() * 2 > ok.len());

        let (tiled, tiled_ok) = src.warp(&dst.georef, dst.size, &valid, 7);
        assert!(tiled == got && tiled_ok == ok, "a pixel depends on the window it is read in");
    }
}

struct Recorded {
    name: &'static str,
    meta: serde_json::Value,
    src: Image,
}

impl Recorded {
    fn array(&self, what: &str) -> npy::Array {
        npy::read(&shared(&format!("golden/ssr/reproject/{}_{what}.npy", self.name)).unwrap())
    }
}

/// rasterio writes a transform as a, b, c, d, e, f.
fn affine(value: &serde_json::Value) -> GeoTransform {
    let t = numbers(value);
    GeoTransform([t[2], t[0], t[1], t[5], t[3], t[4]])
}

fn recorded() -> Vec<Recorded> {
    let Some(folder) = shared("golden/ssr/reproject") else { return Vec::new() };
    let meta: serde_json::Value =
        serde_json::from_slice(&std::fs::read(folder.join("meta.json")).unwrap()).unwrap();
    ["utm31n_48N", "utm36s_1S"]
        .into_iter()
        .map(|name| {
            let meta = meta[name].clone();
            let array = npy::read(&folder.join(format!("{name}_src.npy")));
            let epsg = meta["src_epsg"].as_u64().unwrap() as u32;
            let src = Image {
                georef: Georef { epsg, transform: affine(&meta["src_transform"]) },
                size: (array.shape[2], array.shape[1]),
                bands: array.shape[0],
                values: array.values.iter().map(|&v| v as f32).collect(),
            };
            Recorded { name, meta, src }
        })
        .collect()
}

#[test]
fn points_map_where_proj_maps_them() {
    for case in recorded() {
        let dst = affine(&case.meta["dst_transform"]);
        let to_utm = PointTransform::new(WEB_MERCATOR, case.src.georef.epsg).unwrap();
        for p in case.array("points_row_col_E_N").values.chunks_exact(4) {
            let (x, y) = dst.apply(p[1] + 0.5, p[0] + 0.5);
            let (e, n) = to_utm.point(x, y).unwrap();
            assert!((e - p[2]).abs() < 1e-6 && (n - p[3]).abs() < 1e-6, "{} {p:?} {e} {n}", case.name);
        }
    }
}

#[test]
fn grids_start_where_gdals_do_and_zoom_17_coincides() {
    for case in recorded() {
        let src = &case.src;
        let area = Bounds::of_grid(&src.georef, src.size.0, src.size.1, WEB_MERCATOR).unwrap();
        let grid = MercatorGrid::Bounds { pixel: 9.555 }.covering(&area).unwrap();
        let same = |got: GeoTransform, want: GeoTransform| {
            got.0.iter().zip(want.0).all(|(g, w)| (g - w).abs() < 1e-6)
        };
        assert!(same(grid.georef.unwrap().transform, affine(&case.meta["dst_transform"])), "{}", case.name);
        // GDAL rounds the far edges to a pixel size of its own first, so its size may differ by one.
        let size = numbers(&case.meta["dst_size"]);
        assert!((grid.height as f64 - size[0]).abs() <= 1.0 && (grid.width as f64 - size[1]).abs() <= 1.0);

        let grid = MercatorGrid::Z17Lattice.covering(&area).unwrap();
        let georef = grid.georef.unwrap();
        assert!(same(georef.transform, affine(&case.meta["z17_transform"])), "{}", case.name);
        assert_eq!(case.meta["pixel"].as_f64().unwrap(), Z17_PIXEL);
        assert_eq!(case.array("dst_z17grid").shape, [3, grid.height, grid.width]);
    }
}

/// The recorded runs used GDAL's default, which bends positions by up to an eighth of a pixel, so most
/// pixels agree after rounding, nearly all others by one, and the image's rim may move by one pixel.
/// (`gdalwarp -et 0` on the same files differs from them in as many samples as this does.)
#[test]
fn the_references_warp_is_met_within_gdals_own_tolerance() {
    for case in recorded() {
        let src = &case.src;
        let all = vec![1; src.size.0 * src.size.1];
        let not_black = src.not_equal(0.0);
        for (what, transform, valid) in [
            ("dst_default", "dst_transform", &all),
            ("dst_nodata0", "dst_transform", &not_black),
            ("dst_z17grid", "z17_transform", &all),
        ] {
            let want = case.array(what);
            let size = (want.shape[2], want.shape[1]);
            let georef = Georef { epsg: WEB_MERCATOR, transform: affine(&case.meta[transform]) };
            let (got, ok) = src.warp(&georef, size, valid, 128);
            let rim = rim(&ok, size);
            let (mut differ, mut beyond_one) = (0, 0);
            for (i, (&g, &w)) in got.iter().zip(&want.values).enumerate() {
                let d = (rounded(g) - w).abs();
                differ += usize::from(d > 0.0);
                beyond_one += usize::from(d > 1.0 && !rim[i % ok.len()]);
            }
            println!(
                "{} {what}: {differ} of {} samples differ, {beyond_one} by more than one",
                case.name,
                got.len()
            );
            assert!(differ * 100 < got.len() * 13, "{} {what}: {differ}", case.name);
            assert!(beyond_one * 1_000 < got.len(), "{} {what}: {beyond_one}", case.name);
        }
    }
}

/// Pixels with a neighbour that has data where they have none, or the other way round.
fn rim(ok: &[u8], size: (usize, usize)) -> Vec<bool> {
    let at = |x: i64, y: i64| {
        ok[(y.clamp(0, size.1 as i64 - 1) as usize) * size.0 + x.clamp(0, size.0 as i64 - 1) as usize]
    };
    (0..ok.len())
        .map(|i| {
            let (x, y) = ((i % size.0) as i64, (i / size.0) as i64);
            (-1..=1).any(|dy| (-1..=1).any(|dx| at(x + dx, y + dy) != ok[i]))
        })
        .collect()
}
