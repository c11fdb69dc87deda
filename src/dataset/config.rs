//! The reference's configuration files (JSON), as far as they tell what a dataset's files mean: channels, sizes,
//! tasks, splits, transforms. What they tell of networks is read by `models`.

use std::path::Path;

use serde_json::Value;

use super::json::{self, list, short};
use super::transform::Transform;
use crate::error::{Error, InFile, Result};
use crate::models::{known_task, Task};

/// Built-in tasks whose pixels of value 0 are not known.
const BACKGROUND_UNKNOWN: &[&str] =
    &["land_cover", "tree_cover", "crop_type", "dem", "water_event", "cloud", "flood"];

/// Bounds of what a configuration may ask for.
const MAX_CHANNELS: usize = 1 << 10;
const MAX_CHIP: usize = 1 << 13;
const MAX_IMAGES: usize = 1 << 8;
const MAX_TASKS: usize = 1 << 8;
const MAX_CATEGORIES: usize = 1 << 12;

/// What a dataset's files mean.
#[derive(Debug, Clone, PartialEq)]
pub struct DatasetConfig {
    /// Names of image files without their ends, by channel; `fake` is filled by the file before it.
    pub channels: Vec<String>,
    /// Side of images and labels, in pixels.
    pub chip: usize,
    /// Images of an example.
    pub images: usize,
    /// Images may have any size; then there is one file an image.
    pub any_size: bool,
    /// Examples of a batch, where the reference scores batch by batch.
    pub batch: usize,
    /// Most examples of validation and test.
    pub most: Splits<Option<usize>>,
    /// What is done to examples before they reach the network.
    pub transforms: Splits<Vec<Transform>>,
    /// The tasks, in the order of the network's heads.
    pub tasks: Vec<TaskConfig>,
}

/// One thing for each split.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Splits<T> {
    /// Of training.
    pub train: T,
    /// Of validation.
    pub val: T,
    /// Of the test.
    pub test: T,
}

/// What the labels of a task mean.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskConfig {
    /// Its name, which is also its folder's.
    pub name: String,
    /// What is labelled.
    pub task: Task,
    /// Names of classes, in their order; a detector's begin with the background.
    pub categories: Vec<String>,
    /// Colours of the categories, where the file tells them.
    pub colours: Vec<[u8; 3]>,
    /// Pixels of value 0, or without any class, are not known.
    pub background_unknown: bool,
    /// Bits of classes are spread over red, green and blue, 24 a file.
    pub wide_bits: bool,
    /// Splits list examples' names instead of tiles.
    pub named_examples: bool,
    /// Files that list the examples of each split.
    pub splits: Splits<Option<String>>,
    /// The score that counts.
    pub metric: Option<String>,
    /// Categories of objects that are left; empty for all.
    pub only: Vec<usize>,
    /// Classes that become others.
    pub class_map: Vec<(usize, usize)>,
    /// Least side of an object with a mask.
    pub least_side: f64,
    /// Least perimeter of an object with a mask.
    pub least_perimeter: Option<f64>,
    /// Objects are matched by their overlap instead of their centres.
    pub by_overlap: bool,
    /// Examples are ordered by the hash of their name alone, as in the fine-tuning experiments.
    pub plain_order: bool,
}

impl DatasetConfig {
    /// Reads a configuration file; one that holds it under the key `config` will do.
    ///
    /// # Errors
    /// `Io`, `Limit`; `Format` for what is no configuration of tasks; `Usage` for transforms that are not known.
    pub fn read(path: &Path) -> Result<Self> {
        let root = json::read(path)?;
        Self::parse(root.get("config").unwrap_or(&root)).in_file(path)
    }

    /// Reads a configuration.
    ///
    /// # Errors
    /// As [`DatasetConfig::read`].
    pub fn parse(config: &Value) -> Result<Self> {
        let count = |key: &str, unless: usize, most: usize| -> Result<usize> {
            match &config[key] {
                Value::Null => Ok(unless),
                value => bounded(key, value, 1, most),
            }
        };
        let most = |key: &str| match &config[key] {
            Value::Null => Ok(None),
            // Zero is the reference's word for all.
            value => bounded(key, value, 0, usize::MAX >> 1).map(|n| (n > 0).then_some(n)),
        };
        let channels: Vec<String> = match &config["Channels"] {
            Value::Null => ["tci", "fake", "fake"].map(String::from).to_vec(),
            value => list(value).iter().map(|name| file_name("Channels", name)).collect::<Result<_>>()?,
        };
        if channels.is_empty() || channels.len() > MAX_CHANNELS {
            return Err(Error::format(format!(
                "{} Channels; 1 to {MAX_CHANNELS} are possible",
                channels.len()
            )));
        }
        let tasks = list(&config["Tasks"]);
        if tasks.is_empty() || tasks.len() > MAX_TASKS {
            return Err(Error::format(format!("{} Tasks; 1 to {MAX_TASKS} are possible", tasks.len())));
        }
        let transforms = |key: &str| list(&config[key]).iter().map(Transform::parse).collect::<Result<_>>();
        Ok(Self {
            channels,
            chip: count("ChipSize", 512, MAX_CHIP)?,
            images: count("NumImages", 1, MAX_IMAGES)?,
            any_size: config["CustomImages"].as_bool().unwrap_or(false),
            batch: count("BatchSize", 1, 1 << 20)?,
            most: Splits {
                train: most("TrainMaxTiles")?,
                val: most("ValMaxTiles")?,
                test: most("TestMaxTiles")?,
            },
            transforms: Splits {
                train: transforms("TrainTransforms")?,
                val: transforms("ValTransforms")?,
                test: transforms("TestTransforms")?,
            },
            tasks: tasks.iter().map(TaskConfig::parse).collect::<Result<_>>()?,
        })
    }
}

impl TaskConfig {
    fn parse(entry: &Value) -> Result<Self> {
        let name = file_name("a task's Name", &entry["Name"])?;
        Self::named(name.clone(), entry).map_err(|e| e.while_doing(format!("task {name}")))
    }

    fn named(name: String, entry: &Value) -> Result<Self> {
        let inline = &entry["Task"];
        let known = known_task(&name).filter(|_| inline.is_null());
        let (task, categories) = match (inline["type"].as_str(), known) {
            (Some(kind), _) => {
                let task = Task::named(kind)
                    .ok_or_else(|| Error::format(format!("type {kind} is no kind of task known here")))?;
                let names = list(&inline["categories"]).iter();
                (task, names.filter_map(Value::as_str).map(String::from).collect::<Vec<_>>())
            }
            (None, Some(known)) => (known.task, known.categories.iter().map(|c| c.to_string()).collect()),
            (None, None) => {
                return Err(Error::format("no built-in task of that name, and no Task with a type"))
            }
        };
        if task != Task::Regress && categories.is_empty() || categories.len() > MAX_CATEGORIES {
            let found = categories.len();
            return Err(Error::format(format!("{found} categories; 1 to {MAX_CATEGORIES} are possible")));
        }
        let place = |name: &str| -> Result<usize> {
            let found = categories.iter().position(|c| c == name);
            found.ok_or_else(|| Error::format(format!("{name} is none of its categories")))
        };
        let mut only = Vec::new();
        for name in list(&entry["ClassMask"]) {
            only.push(place(name.as_str().unwrap_or_default())?);
        }
        let mut class_map = Vec::new();
        for (name, to) in entry["ClassMap"].as_object().into_iter().flatten() {
            class_map.push((place(name)?, bounded("ClassMap", to, 0, categories.len().max(1) - 1)?));
        }
        let flag = |value: &Value, unless: bool| value.as_bool().unwrap_or(unless);
        let split = |key: &str| entry[key].as_str().map(String::from);
        let built_in = known.is_some() && BACKGROUND_UNKNOWN.contains(&name.as_str());
        Ok(Self {
            task,
            colours: list(&inline["colors"]).iter().filter_map(colour).collect(),
            background_unknown: flag(&inline["BackgroundInvalid"], built_in),
            wide_bits: flag(&inline["RGB"], false),
            named_examples: flag(&inline["TilesAreStrings"], false),
            splits: Splits { train: split("TrainSplit"), val: split("ValSplit"), test: split("TestSplit") },
            metric: entry["Metric"].as_str().map(String::from),
            only,
            class_map,
            least_side: entry["MinBoxSize"].as_f64().unwrap_or(3.0),
            least_perimeter: entry["MinBoxPerimeter"].as_f64(),
            by_overlap: entry["EvalType"].as_str() == Some("iou"),
            plain_order: flag(&entry["SatlasPretrainFinetune"], false),
            categories,
            name,
        })
    }

    /// The place of a category.
    ///
    /// # Errors
    /// `Format`, naming the task's categories.
    pub fn category(&self, name: &str) -> Result<usize> {
        let found = self.categories.iter().position(|c| c == name);
        found.ok_or_else(|| {
            Error::format(format!("\"{name}\" is none of the categories {}", self.categories.join(", ")))
        })
    }
}

/// A whole number within bounds.
fn bounded(key: &str, value: &Value, least: usize, most: usize) -> Result<usize> {
    let found = value.as_u64().and_then(|n| usize::try_from(n).ok()).filter(|n| (least..=most).contains(n));
    found.ok_or_else(|| {
        Error::format(format!("{key} is {}, not a whole number from {least} to {most}", short(value)))
    })
}

/// A name that stands for a file or folder, and for nothing outside of where it is looked for.
fn file_name(key: &str, value: &Value) -> Result<String> {
    let name = value.as_str().unwrap_or_default();
    match name.is_empty() || name.contains(['/', '\\', '\0']) || name == ".." || name == "." {
        false => Ok(name.to_string()),
        true => Err(Error::format(format!("{key}: {} is no name of a file", short(value)))),
    }
}

fn colour(value: &Value) -> Option<[u8; 3]> {
    let part = |v: &Value| v.as_u64().and_then(|v| u8::try_from(v).ok());
    let parts: Vec<u8> = list(value).iter().filter_map(part).collect();
    parts.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn built_in_tasks_are_known_by_name_and_inline_ones_spelt_out() {
        let config = json!({
            "Channels": ["tci", "fake", "fake", "b05"], "NumImages": 4, "TestMaxTiles": 10, "ChipSize": 64,
            "TestTransforms": [{"Name": "Pad", "PadTo": 96, "Mode": "center"}],
            "Tasks": [
                {"Name": "land_cover", "Metric": "f1", "TestSplit": "metadata/test.json"},
                {"Name": "towers", "EvalType": "iou", "ClassMask": ["b"], "Task": {
                    "type": "detect", "categories": ["background", "a", "b"], "colors": [[0, 0, 0], [1, 2, 3], [4, 5, 6]]
                }},
            ],
        });
        let config = DatasetConfig::parse(&config).unwrap();
        assert_eq!((config.images, config.chip, config.most.test, config.most.val), (4, 64, Some(10), None));
        let [land, towers] = &config.tasks[..] else { panic!() };
        assert!(land.background_unknown && land.task == Task::Segment && land.categories.len() == 12);
        assert_eq!(land.splits.test.as_deref(), Some("metadata/test.json"));
        assert_eq!((&towers.only[..], towers.by_overlap, towers.colours[2]), (&[2][..], true, [4, 5, 6]));
        assert_eq!(towers.category("b").unwrap(), 2);
        assert!(towers.category("c").is_err());
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let task = json!({"Name": "vessel"});
        for (bad, part) in [
            (json!({}), "0 Tasks"),
            (json!({"Tasks": [{"Name": "x"}]}), "task x: no built-in task"),
            (json!({"Tasks": [{"Name": "../x"}]}), "no name of a file"),
            (json!({"Tasks": [task], "Channels": ["a/b"]}), "no name of a file"),
            (json!({"Tasks": [task], "Channels": []}), "0 Channels"),
            (json!({"Tasks": [task], "ChipSize": 1 << 20}), "ChipSize is 1048576"),
            (json!({"Tasks": [task], "NumImages": -1}), "NumImages is -1"),
            (json!({"Tasks": [{"Name": "vessel", "ClassMask": ["boat"]}]}), "boat is none"),
            (json!({"Tasks": [{"Name": "x", "Task": {"type": "guess"}}]}), "type guess"),
            (json!({"Tasks": [{"Name": "x", "Task": {"type": "segment"}}]}), "0 categories"),
        ] {
            let error = DatasetConfig::parse(&bad).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
