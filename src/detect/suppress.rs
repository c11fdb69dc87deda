//! What several windows show of one object, made one.

use std::collections::HashMap;

use super::{Bounds, Object};

/// When two objects of one class, found in different windows, are taken for the same.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Suppression {
    /// Common area over the area of both together, above which they are.
    pub iou: f64,
    /// Common area over that of the smaller one, above which they are when a border cuts one of them.
    pub part: f64,
}

/// Side of the cells that objects are looked up by, pixels.
const CELL: f64 = 128.0;

/// The objects that are left, the surest first. Whole objects go before those that a border cuts, of these larger ones
/// before smaller ones, else surer ones, then those of the window that answers for their centre; the result does not
/// depend on the order given. Objects of
/// one window are never compared: the detector has done that.
pub fn suppress(mut objects: Vec<Object>, rule: Suppression) -> Vec<Object> {
    objects.sort_by(|a, b| {
        let place = |o: &Object| [o.bounds.y0, o.bounds.x0, o.bounds.y1, o.bounds.x1];
        let part = |o: &Object| if o.cut { o.bounds.area() } else { 0.0 };
        let first = a.cut.cmp(&b.cut).then(part(b).total_cmp(&part(a)));
        let first = first.then(b.score.total_cmp(&a.score)).then(b.own.cmp(&a.own));
        let places = place(a).into_iter().zip(place(b)).map(|(a, b)| a.total_cmp(&b));
        let by_place = places.fold(first, |order, next| order.then(next));
        by_place.then(a.class.cmp(&b.class)).then(a.window.cmp(&b.window))
    });
    let mut kept: Vec<Object> = Vec::new();
    let mut cells: HashMap<(i64, i64), Vec<usize>> = HashMap::new();
    for object in objects {
        let same = |other: &Object| {
            let (iou, part) = object.bounds.overlap(&other.bounds);
            let elsewhere = other.class == object.class && other.window != object.window;
            elsewhere && (iou > rule.iou || (object.cut || other.cut) && part > rule.part)
        };
        let near = |cell: (i64, i64)| cells.get(&cell).into_iter().flatten();
        if cells_of(&object.bounds).flat_map(near).any(|other| same(&kept[*other])) {
            continue;
        }
        cells_of(&object.bounds).for_each(|cell| cells.entry(cell).or_default().push(kept.len()));
        kept.push(object);
    }
    kept.sort_by(|a, b| b.score.total_cmp(&a.score));
    kept
}

/// The cells a box touches.
fn cells_of(bounds: &Bounds) -> impl Iterator<Item = (i64, i64)> {
    let cell = |v: f64| (v / CELL).floor() as i64;
    let (x0, x1, y0, y1) = (cell(bounds.x0), cell(bounds.x1), cell(bounds.y0), cell(bounds.y1));
    (y0..=y1).flat_map(move |y| (x0..=x1).map(move |x| (x, y)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: Suppression = Suppression { iou: 0.5, part: 0.6 };

    fn object(x0: f64, width: f64, score: f32, window: u32) -> Object {
        let bounds = Bounds { x0, y0: 10.0, x1: x0 + width, y1: 30.0 };
        Object { bounds, score, class: 1, window, place: 0, own: true, cut: false }
    }

    #[test]
    fn the_surer_of_two_windows_is_kept_whatever_the_order() {
        let (a, b) = (object(100.0, 20.0, 0.7, 0), object(102.0, 20.0, 0.9, 1));
        assert_eq!(suppress(vec![a, b], RULE), [b]);
        assert_eq!(suppress(vec![b, a], RULE), [b]);
        assert_eq!(suppress(vec![a, Object { own: false, score: 0.7, ..b }], RULE), [a]);
    }

    #[test]
    fn one_windows_objects_other_classes_and_neighbours_stay() {
        let a = object(100.0, 20.0, 0.7, 0);
        for b in [
            object(102.0, 20.0, 0.6, 0),
            Object { class: 2, ..object(102.0, 20.0, 0.6, 1) },
            object(112.0, 20.0, 0.6, 1),
        ] {
            assert_eq!(suppress(vec![a, b], RULE), [a, b]);
        }
    }

    /// A small object inside a large one is an object of its own, unless it is what a border has left of the large one.
    #[test]
    fn parts_give_way_to_the_whole() {
        let (whole, part) = (object(100.0, 100.0, 0.6, 0), object(150.0, 30.0, 0.9, 1));
        assert_eq!(suppress(vec![whole, part], RULE), [part, whole]);
        assert_eq!(suppress(vec![whole, Object { cut: true, ..part }], RULE), [whole]);
    }
}
