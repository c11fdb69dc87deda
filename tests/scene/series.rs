//! Series of real files against what other readers say of them.

use std::path::PathBuf;

use swath::raster::scene::{MercatorGrid, Series, SeriesOptions, Target};
use swath::raster::{FrameSource, GeoTransform, Georef};
use swath::tile::Rect;

use crate::{npy, shared};

fn open(path: PathBuf, bands: &[&str]) -> swath::Result<Series> {
    let bands = bands.iter().map(|b| b.to_string()).collect();
    Series::open(&[path], SeriesOptions { bands, ..SeriesOptions::default() })
}

fn read_all(series: &Series, frame: usize) -> (Vec<f32>, Vec<u8>) {
    let grid = series.grid();
    let rect = Rect::of_size(grid.width, grid.height);
    let (mut out, mut valid) = (vec![f32::NAN; series.bands().len() * rect.area()], vec![9; rect.area()]);
    series.read(frame, rect, &mut out, &mut valid).unwrap();
    (out, valid)
}

#[test]
fn a_georeferenced_jp2_is_read_as_it_is() {
    for name in ["utm31n_48N", "utm36s_1S"] {
        let Some(path) = shared(&format!("golden/ssr/reproject/{name}_TCI.jp2")) else { return };
        let series = open(path, &["tci"]).unwrap();
        let want = npy::read(&shared(&format!("golden/ssr/reproject/{name}_src.npy")).unwrap());
        assert_eq!(series.bands(), ["red", "green", "blue"]);
        assert_eq!([3, series.grid().height, series.grid().width], want.shape[..]);
        let (pixels, valid) = read_all(&series, 0);
        assert!(pixels.iter().zip(&want.values).all(|(g, w)| f64::from(*g) == *w));
        let area = valid.len();
        let black = |i: usize| (0..3).all(|band| want.values[band * area + i] == 0.0);
        assert!((0..area).all(|i| (valid[i] == 0) == black(i)));
        assert!(valid.contains(&0) && valid.contains(&1));
    }
}

#[test]
fn web_mercator_lattice_of_a_jp2() {
    for name in ["utm31n_48N", "utm36s_1S"] {
        let Some(path) = shared(&format!("golden/ssr/reproject/{name}_TCI.jp2")) else { return };
        let target = Target::Mercator(MercatorGrid::Z17Lattice);
        let series = Series::open(&[path], SeriesOptions { target, ..SeriesOptions::default() }).unwrap();
        let want = npy::read(&shared(&format!("golden/ssr/reproject/{name}_dst_z17grid.npy")).unwrap());
        assert_eq!([3, series.grid().height, series.grid().width], want.shape[..]);
        let (pixels, valid) = read_all(&series, 0);
        let differ = (0..pixels.len()).filter(|&i| {
            valid[i % valid.len()] == 1 && (f64::from((pixels[i] + 0.5).floor()) - want.values[i]).abs() > 1.0
        });
        // Black borders were blended into the recorded run, which declared no nodata value.
        assert!(differ.count() * 100 < pixels.len());
        assert!(
            series.frames()[0].notes.iter().any(|n| n.contains("reprojected")),
            "{:?}",
            series.frames()[0]
        );
    }
}

#[test]
fn jp2_bands_without_georeferencing_are_marked_so() {
    let Some(folder) = shared("data/s2_l1c_19UDP_jp2") else { return };
    let series = open(folder.clone(), &["b04", "b03", "b02", "b08"]).unwrap();
    assert_eq!(series.bands(), ["B04", "B03", "B02", "B08"]);
    assert_eq!((series.grid().width, series.grid().height), (687, 687));
    assert!(series.grid().georef.is_none());
    let notes = &series.frames()[0].notes;
    assert!(notes.iter().any(|n| n.contains("no georeferencing")), "{notes:?}");
    assert_eq!(series.frames()[0].files.len(), 4);

    let error = open(folder.clone(), &["tci", "b08"]).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("343×343") || error.contains("georeferenc"), "{error}");
    let error = open(folder.clone(), &["b05"]).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("no band B05") && error.contains("B08"), "{error}");

    let transform = GeoTransform::north_up(399_960.0, 5_700_000.0, 160.0, -160.0);
    let given = SeriesOptions {
        bands: vec!["b04".into()],
        georef: Some(Georef { epsg: 32619, transform }),
        ..SeriesOptions::default()
    };
    let series = Series::open(&[folder], given).unwrap();
    assert_eq!(series.grid().georef.as_ref().unwrap().transform, transform);
}

#[test]
fn windows_agree_with_the_whole_from_many_threads() {
    let Some(folder) = shared("data/s2_l1c_19UDP_jp2") else { return };
    let series = open(folder, &["b04", "b08"]).unwrap();
    let (all, all_valid) = read_all(&series, 0);
    std::thread::scope(|scope| {
        for thread in 0..4_i64 {
            let (series, all, all_valid) = (&series, &all, &all_valid);
            scope.spawn(move || {
                for step in 0..8_i64 {
                    let rect = Rect::at(70 * step + 13 * thread, 60 * thread + 40 * step, 90, 77);
                    let mut out = vec![0.0; 2 * rect.area()];
                    let mut valid = vec![0; rect.area()];
                    series.read(0, rect, &mut out, &mut valid).unwrap();
                    for i in 0..rect.area() {
                        let at = (rect.y0 as usize + i / 90) * 687 + rect.x0 as usize + i % 90;
                        assert_eq!(valid[i], all_valid[at]);
                        assert_eq!((out[i], out[rect.area() + i]), (all[at], all[687 * 687 + at]));
                    }
                }
            });
        }
    });
    let error = series.read(0, Rect::at(600, 600, 100, 10), &mut [0.0; 2000], &mut [0; 1000]).unwrap_err();
    assert!(error.to_string().contains("687×687"), "{error}");
}
