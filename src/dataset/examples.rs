//! Which examples there are: folders of a task, those of a split, the first so many by the hash of their name.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use md5::{Digest, Md5};
use serde_json::Value;

use super::config::{DatasetConfig, TaskConfig};
use super::json::{self, list, short};
use crate::error::{Error, InFile, Result};

/// Most entries of a task's folder.
const MAX_ENTRIES: usize = 1 << 24;

/// Which part of a dataset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Split {
    /// What the configuration calls its training split.
    Train,
    /// Its validation split.
    Val,
    /// Its test split.
    Test,
    /// All there is.
    All,
    /// What this file lists.
    File(PathBuf),
}

/// One labelled place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    /// Place of its task in the configuration.
    pub task: usize,
    /// Its folder's name.
    pub name: String,
    /// Its folder.
    pub folder: PathBuf,
}

/// Examples of a folder, by task and name.
#[derive(Debug, Clone)]
pub struct Dataset {
    /// The examples.
    pub examples: Vec<Example>,
    /// What is odd.
    pub notes: Vec<String>,
}

impl Dataset {
    /// Finds the examples of a split below `root`, which holds a folder per task or, where there is one task
    /// only, its examples; of all tasks, or of the one of that name.
    ///
    /// # Errors
    /// `Usage` when there are none, no such task or no such split; what reading the split's file says.
    pub fn find(root: &Path, config: &DatasetConfig, split: &Split, task: Option<&str>) -> Result<Self> {
        let wanted = |t: &TaskConfig| task.is_none_or(|name| name == t.name);
        if !config.tasks.iter().any(wanted) {
            let known: Vec<&str> = config.tasks.iter().map(|t| t.name.as_str()).collect();
            return Err(Error::usage(format!(
                "no task {}; there are {}",
                task.unwrap_or_default(),
                known.join(", ")
            )));
        }
        let mut found = Self { examples: Vec::new(), notes: Vec::new() };
        for (place, task) in config.tasks.iter().enumerate().filter(|(_, t)| wanted(t)) {
            found.add(root, place, task, split, config.tasks.len() == 1)?;
        }
        if found.examples.is_empty() {
            return Err(Error::usage(format!("no examples; {}", found.notes.join("; "))).in_file(root));
        }
        let most = match split {
            Split::Train => config.most.train,
            Split::Val => config.most.val,
            Split::Test => config.most.test,
            Split::All | Split::File(_) => None,
        };
        if let Some(most) = most.filter(|most| found.examples.len() > *most) {
            let hash =
                |e: &Example| -> [u8; 16] { Md5::digest(hashed_name(&config.tasks[e.task], e)).into() };
            found.examples.sort_by_cached_key(hash);
            found.notes.push(format!("{most} of {} examples, the first by hash", found.examples.len()));
            found.examples.truncate(most);
        }
        Ok(found)
    }

    fn add(
        &mut self,
        root: &Path,
        place: usize,
        task: &TaskConfig,
        split: &Split,
        alone: bool,
    ) -> Result<()> {
        let own = root.join(&task.name);
        let folder = match own.is_dir() || !alone {
            true => own,
            false => root.to_path_buf(),
        };
        if !folder.is_dir() {
            self.notes.push(format!("task {} has no folder", task.name));
            return Ok(());
        }
        let members = members(root, task, split)?;
        let cannot = |e| Error::io("cannot list", e);
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&folder).map_err(cannot).in_file(&folder)?.take(MAX_ENTRIES) {
            let entry = entry.map_err(cannot).in_file(&folder)?;
            let name = entry.file_name().into_string().ok().filter(|_| entry.path().is_dir());
            names.extend(name);
        }
        names.sort_unstable();
        let all = names.len();
        names.retain(|name| members.as_ref().is_none_or(|members| members.contains(member(task, name))));
        self.notes.push(format!("task {}: {} of {all} examples", task.name, names.len()));
        let example = |name: String| Example { task: place, folder: folder.join(&name), name };
        self.examples.extend(names.into_iter().map(example));
        Ok(())
    }
}

/// What the order by hash is made of.
fn hashed_name(task: &TaskConfig, example: &Example) -> String {
    if task.plain_order {
        format!("{}_0", example.name)
    } else {
        format!("{}_{}", task.name, example.name)
    }
}

/// What a split lists for the example of that name: its tile, the first two numbers of the name, or itself.
fn member<'n>(task: &TaskConfig, name: &'n str) -> &'n str {
    let second = name.match_indices('_').nth(1).map_or(name.len(), |(at, _)| at);
    if task.named_examples {
        name
    } else {
        &name[..second]
    }
}

/// What a split lists; `None` for all.
fn members(root: &Path, task: &TaskConfig, split: &Split) -> Result<Option<HashSet<String>>> {
    let (key, told) = match split {
        Split::All => return Ok(None),
        Split::File(path) => return listed(path, task.named_examples).map(Some),
        Split::Train => ("TrainSplit", &task.splits.train),
        Split::Val => ("ValSplit", &task.splits.val),
        Split::Test => ("TestSplit", &task.splits.test),
    };
    let Some(told) = told else {
        let message = format!("task {} has no {key}; --split all takes all examples", task.name);
        return Err(Error::usage(message));
    };
    let path = Path::new(told);
    // The configuration's own path, else its last parts below the dataset or beside it.
    let parts: Vec<_> = path.components().collect();
    let tails = (0..parts.len()).map(|from| parts[from..].iter().collect::<PathBuf>());
    let tails: Vec<PathBuf> = tails.filter(|tail| tail.is_relative()).collect();
    let beside = root.parent().into_iter().map(Path::to_path_buf);
    let bases = std::iter::once(root.to_path_buf()).chain(beside);
    let places = bases.flat_map(|base| tails.iter().map(move |tail| base.join(tail)).collect::<Vec<_>>());
    let found = std::iter::once(path.to_path_buf()).chain(places).find(|place| place.is_file());
    match found {
        Some(file) => listed(&file, task.named_examples).map(Some),
        None => Err(Error::usage(format!(
            "{key} {told} of task {} is neither here nor at the dataset; --split takes a file",
            task.name
        ))),
    }
}

/// The tiles that a split's file lists, as `<column>_<row>`.
///
/// # Errors
/// `Io`, `Limit`, `Format`.
pub fn read_split(path: &Path) -> Result<HashSet<String>> {
    listed(path, false)
}

fn listed(path: &Path, names: bool) -> Result<HashSet<String>> {
    let root = json::read(path)?;
    let entry = |value: &Value| match (value, list(value)) {
        (Value::String(name), _) if names => Ok(name.clone()),
        (_, [column, row, ..]) if !names && column.is_i64() && row.is_i64() => Ok(format!("{column}_{row}")),
        _ => Err(Error::format(format!(
            "{} is no {} of a split",
            short(value),
            if names { "name" } else { "[column, row]" }
        ))),
    };
    match root.as_array() {
        Some(entries) => entries.iter().map(entry).collect::<Result<_>>().in_file(path),
        None => Err(Error::format("no list of examples").in_file(path)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn config(more: &Value) -> DatasetConfig {
        let mut task = json!({"Name": "point", "TestSplit": "satlas_root/metadata/test.json"});
        task.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        DatasetConfig::parse(&json!({"Tasks": [task], "TestMaxTiles": 3, "ValMaxTiles": 0})).unwrap()
    }

    fn dataset(names: &[&str], split: &Value) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in names {
            std::fs::create_dir_all(folder.path().join("point").join(name)).unwrap();
        }
        std::fs::create_dir(folder.path().join("metadata")).unwrap();
        std::fs::write(folder.path().join("metadata/test.json"), split.to_string()).unwrap();
        folder
    }

    fn names(found: Result<Dataset>) -> Vec<String> {
        found.unwrap().examples.into_iter().map(|e| e.name).collect()
    }

    #[test]
    fn splits_list_tiles_or_names() {
        let folder = dataset(&["1_2_a", "1_2_b", "3_4", "notes"], &json!([[1, 2], [5, 6]]));
        let root = folder.path();
        assert_eq!(names(Dataset::find(root, &config(&json!({})), &Split::Test, None)), ["1_2_a", "1_2_b"]);
        let all = Dataset::find(root, &config(&json!({})), &Split::All, None);
        assert_eq!(names(all), ["1_2_a", "1_2_b", "3_4", "notes"]);
        let alone = Dataset::find(&root.join("point"), &config(&json!({})), &Split::Test, Some("point"));
        assert_eq!(names(alone), ["1_2_a", "1_2_b"], "the task's own folder, the split beside it");
        let inline = json!({"type": "detect", "categories": ["background", "x"], "TilesAreStrings": true});
        let strings = config(&json!({"Task": inline}));
        let file = root.join("names.json");
        std::fs::write(&file, json!(["3_4", "notes"]).to_string()).unwrap();
        assert_eq!(names(Dataset::find(root, &strings, &Split::File(file), None)), ["3_4", "notes"]);
        for (split, task, part) in [
            (Split::Val, None, "has no ValSplit"),
            (Split::Test, Some("vessel"), "no task vessel; there are point"),
            (Split::File(root.join("none.json")), None, "none.json"),
        ] {
            let error = Dataset::find(root, &config(&json!({})), &split, task).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
        let error = Dataset::find(root, &strings, &Split::Test, None).unwrap_err().to_string();
        assert!(error.contains("[1,2] is no name of a split"), "{error}");
    }

    /// The order of MD5("point_<name>").
    #[test]
    fn too_many_examples_are_ordered_by_hash() {
        let all = ["1_4", "0_4", "3_2", "2_1", "4_2"];
        let folder = dataset(&all, &json!([[0, 4], [1, 4], [2, 1], [3, 2], [4, 2]]));
        let found = Dataset::find(folder.path(), &config(&json!({})), &Split::Test, None);
        assert_eq!(names(found), ["1_4", "0_4", "3_2"]);
    }
}
