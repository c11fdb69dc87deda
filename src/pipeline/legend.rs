//! What the numbers of a map of classes stand for: 0 is "no data", then class + 1, with names and colours.

use crate::error::{Error, Result};
use crate::models::{Colour, Head, Task};

/// Colours of classes for which the reference has none, taken in turn.
const COLOURS: [Colour; 10] = [
    [255, 255, 0],
    [0, 160, 255],
    [255, 80, 60],
    [60, 190, 75],
    [200, 90, 220],
    [255, 150, 30],
    [70, 220, 210],
    [255, 130, 190],
    [150, 110, 60],
    [170, 170, 170],
];

/// Numbers, names and colours of classes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Legend {
    /// Number of the network's first class; the others follow.
    pub first: u8,
    /// Number of pixels that no class counts for.
    pub none: u8,
    /// Name and colour of each number from 1 on.
    pub classes: Vec<(String, Colour)>,
}

impl Legend {
    /// The legend of a head. Where several classes may be true of a pixel and none of them is the background, the
    /// background comes before them.
    ///
    /// # Errors
    /// `Limit` for more classes than 8-bit numbers.
    pub fn of(head: &Head) -> Result<Self> {
        let outputs = head.kind.outputs();
        let has_background = head.task == Task::Segment
            || outputs > 1 && head.categories.first().is_some_and(|name| name == "background");
        let first = if has_background { 1 } else { 2 };
        if outputs + first > 256 {
            return Err(Error::limit(format!("{outputs} classes; a map holds at most {}", 256 - first)));
        }
        let mut classes = Vec::new();
        if !has_background {
            classes.push(("background".to_string(), [0; 3]));
        }
        for class in 0..outputs {
            let background = class == 0 && has_background;
            let other = if background { [0; 3] } else { COLOURS[class % COLOURS.len()] };
            classes.push((head.category(class), head.colours().get(class).copied().unwrap_or(other)));
        }
        Ok(Self { first: first as u8, none: 1, classes })
    }

    /// Name of a number.
    pub fn name(&self, class: u8) -> &str {
        let at = usize::from(class).checked_sub(1);
        at.and_then(|at| self.classes.get(at)).map_or("no data", |(name, _)| name)
    }

    /// The number of what is nothing in particular.
    pub fn background(&self) -> Option<u8> {
        let nothing = ["background", "invalid"];
        let at = self.classes.iter().position(|(name, _)| nothing.contains(&name.as_str()));
        at.map(|at| at as u8 + 1)
    }

    /// Colours of the numbers from 0 on.
    pub fn palette(&self) -> Vec<Colour> {
        std::iter::once([0; 3]).chain(self.classes.iter().map(|(_, colour)| *colour)).collect()
    }

    /// Names of the numbers, as metadata.
    pub fn metadata(&self) -> impl Iterator<Item = (String, String)> + '_ {
        let name =
            |(i, (name, _)): (usize, &(String, Colour))| (format!("SWATH_CLASS_{}", i + 1), name.clone());
        self.classes.iter().enumerate().map(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::HeadKind;

    fn legend(task: Task, name: &str, categories: &[&str]) -> Legend {
        let head = Head {
            index: 0,
            scope: "heads.0".into(),
            kind: HeadKind::Dense { layers: 1, outputs: categories.len() },
            task,
            name: name.into(),
            categories: categories.iter().map(|c| c.to_string()).collect(),
            exclusive: task == Task::Segment,
            anchors: Vec::new(),
        };
        Legend::of(&head).unwrap()
    }

    #[test]
    fn numbers_are_class_and_one_with_a_background_before_where_there_is_none() {
        let water = legend(Task::Segment, "water_event", &["invalid", "background", "water_event"]);
        assert_eq!((water.first, water.none), (1, 1));
        assert_eq!(water.palette(), [[0; 3], [0; 3], [0, 255, 0], [0, 0, 255]]);
        let solar = legend(Task::BinSegment, "solar_farm", &["solar_farm"]);
        assert_eq!((solar.first, solar.none), (2, 1));
        assert_eq!(solar.classes[1], ("solar_farm".to_string(), [255, 255, 0]));
        assert_eq!((solar.name(2), solar.name(0), solar.background()), ("solar_farm", "no data", Some(1)));
        let cloud = legend(Task::BinSegment, "cloud", &["background", "cloud", "shadow"]);
        assert_eq!((cloud.first, cloud.classes.len()), (1, 3));
        let names: Vec<_> = solar.metadata().collect();
        assert_eq!(names[1], ("SWATH_CLASS_2".to_string(), "solar_farm".to_string()));
    }
}
