//! Which of a network's heads a job runs.

use crate::engine::LoadedModel;
use crate::error::{Error, Result};
use crate::models::{Head, Task};

/// The model with the one head that is asked for, by name or number, or that alone does one of the tasks. One number
/// for each pixel may be a probability or a measure, which tensors do not tell: there the tasks do.
///
/// # Errors
/// `Usage` when there is no such head or more than one, listing what there is.
pub fn choose_head(model: LoadedModel, asked: Option<&str>, tasks: &[Task]) -> Result<LoadedModel> {
    let heads = model.network().heads();
    let task = |head: &Head| {
        let either = |task: &&Task| **task == Task::Regress && head.kind.serves(**task);
        tasks.iter().find(|task| **task == head.task).or_else(|| tasks.iter().find(either)).copied()
    };
    let named =
        |head: &&Head| asked.is_none_or(|asked| head.title() == asked || head.index.to_string() == asked);
    let fitting = heads.iter().enumerate().filter(|(_, head)| named(head));
    let mut fitting = fitting.filter_map(|(place, head)| Some((place, task(head)?)));
    match (fitting.next(), fitting.next()) {
        (Some((place, task)), None) => Ok(model.with_head(place, task)),
        (found, _) => {
            let listed: Vec<String> =
                heads.iter().map(|h| format!("{} {} ({})", h.index, h.title(), h.task.name())).collect();
            let wanted: Vec<&str> = tasks.iter().map(|task| task.name()).collect();
            let what = match (found, asked) {
                (Some(_), _) => "several heads do this; --head names one".to_string(),
                (None, Some(asked)) => format!("no head {asked} of kind {}", wanted.join(" or ")),
                (None, None) => format!("no head of kind {}", wanted.join(" or ")),
            };
            let there = if listed.is_empty() { "none".to_string() } else { listed.join(", ") };
            Err(Error::usage(format!("{what}; this network has {there}")).in_file(model.weights().path()))
        }
    }
}

/// The head of a model that has one, and does one of the tasks.
///
/// # Errors
/// `Usage` for other models.
pub(super) fn only_head<'a>(model: &'a LoadedModel, tasks: &[Task]) -> Result<&'a Head> {
    match model.network().heads() {
        [head] if tasks.contains(&head.task) => Ok(head),
        _ => {
            let wanted: Vec<&str> = tasks.iter().map(|task| task.name()).collect();
            Err(Error::usage(format!("a network with one head of kind {} is needed", wanted.join(" or "))))
        }
    }
}
