//! Scores as a table for people and as JSON.

use std::fmt;

use serde::Serialize;

use crate::metrics::{Counts, Floor};

/// Scores of one category.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct CategoryScores {
    /// Its name.
    pub name: String,
    /// Whether it is part of the task's mean.
    pub counted: bool,
    /// F1, at the best threshold where there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub f1: Option<f64>,
    /// Precision there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub precision: Option<f64>,
    /// Recall there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recall: Option<f64>,
    /// The threshold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
    /// True positives, false positives, false negatives.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counts: Option<[u64; 3]>,
    /// Intersection over union.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iou: Option<f64>,
    /// Share of right answers, or one minus the relative error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<f64>,
    /// Mean error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<f64>,
}

impl CategoryScores {
    /// F1, precision and recall of counts.
    pub fn of_counts(name: impl Into<String>, counts: Counts, floor: Floor, counted: bool) -> Self {
        Self {
            name: name.into(),
            counted,
            f1: Some(counts.f1(floor)),
            precision: Some(counts.precision()),
            recall: Some(counts.recall()),
            counts: Some([counts.tp, counts.fp, counts.fn_]),
            ..Self::default()
        }
    }
}

/// Scores of one task or modality.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TaskScores {
    /// Its name.
    pub name: String,
    /// What is scored: `detect`, `segment`, `point`…
    pub kind: String,
    /// Labelled examples or tiles.
    pub examples: usize,
    /// The score that counts: its name.
    pub metric: String,
    /// The score that counts; larger is better. Null where there is nothing to score.
    pub score: Option<f64>,
    /// All scores of the task as a whole.
    pub scores: Vec<(String, Option<f64>)>,
    /// Scores by category.
    pub categories: Vec<CategoryScores>,
}

/// An evaluation's result.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// What was evaluated: weights or predictions.
    pub subject: String,
    /// The labels.
    pub dataset: String,
    /// Which part of them.
    pub split: String,
    /// Whether the reference's habits were kept.
    pub compat: bool,
    /// Mean of the tasks' scores.
    pub score: Option<f64>,
    /// The tasks.
    pub tasks: Vec<TaskScores>,
    /// What is odd.
    pub notes: Vec<String>,
}

impl Report {
    /// The report as indented JSON. What is not a number is null.
    pub fn json(&self) -> String {
        // A report holds texts and numbers only, which always are JSON.
        serde_json::to_string_pretty(self).unwrap_or_default()
    }
}

/// A column: its title, and what a category has in it.
type Column = (&'static str, fn(&CategoryScores) -> Option<String>);

const COLUMNS: &[Column] = &[
    ("F1", |c| c.f1.map(number)),
    ("precision", |c| c.precision.map(number)),
    ("recall", |c| c.recall.map(number)),
    ("threshold", |c| c.threshold.map(|v| format!("{v:.2}"))),
    ("IoU", |c| c.iou.map(number)),
    ("accuracy", |c| c.accuracy.map(number)),
    ("error", |c| c.error.map(number)),
    ("hits", |c| c.counts.map(|[tp, ..]| tp.to_string())),
    ("false", |c| c.counts.map(|[_, fp, _]| fp.to_string())),
    ("missed", |c| c.counts.map(|[_, _, missed]| missed.to_string())),
];

fn number(v: f64) -> String {
    format!("{v:.4}")
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for task in &self.tasks {
            write!(f, "{task}")?;
        }
        if self.tasks.len() > 1 {
            writeln!(f, "mean of the tasks {}", self.score.map_or("-".into(), number))?;
        }
        Ok(())
    }
}

impl fmt::Display for TaskScores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scores: Vec<String> = self
            .scores
            .iter()
            .map(|(name, value)| {
                let counts = if *name == self.metric { "*" } else { "" };
                format!("{name}{counts} {}", value.map_or("-".into(), number))
            })
            .collect();
        writeln!(f, "{} ({}), {} labelled: {}", self.name, self.kind, self.examples, scores.join(", "))?;
        if self.categories.is_empty() {
            return Ok(());
        }
        let shown: Vec<&Column> =
            COLUMNS.iter().filter(|(_, value)| self.categories.iter().any(|c| value(c).is_some())).collect();
        let names = self.categories.iter().map(|c| c.name.chars().count());
        let wide = names.max().unwrap_or(0).max("category".len());
        write!(f, "  {:wide$}", "category")?;
        for (title, _) in &shown {
            write!(f, " {title:>9}")?;
        }
        writeln!(f)?;
        for category in &self.categories {
            write!(f, "  {:wide$}", category.name)?;
            for (_, value) in &shown {
                write!(f, " {:>9}", value(category).unwrap_or_else(|| "-".into()))?;
            }
            writeln!(f, "{}", if category.counted { "" } else { "  (not in the mean)" })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_the_columns_that_hold_something() {
        let good = CategoryScores::of_counts("a", Counts { tp: 3, fp: 1, fn_: 0 }, Floor::NONE, true);
        let task = TaskScores {
            name: "t".into(),
            kind: "detect".into(),
            examples: 2,
            metric: "f1".into(),
            score: Some(0.5),
            scores: vec![("f1".into(), Some(0.5)), ("accuracy".into(), None)],
            categories: vec![good, CategoryScores { name: "long name".into(), ..CategoryScores::default() }],
        };
        let text = task.to_string();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "t (detect), 2 labelled: f1* 0.5000, accuracy -");
        assert_eq!(
            lines[1].split_whitespace().collect::<Vec<_>>(),
            ["category", "F1", "precision", "recall", "hits", "false", "missed"]
        );
        assert_eq!(
            lines[2].split_whitespace().collect::<Vec<_>>(),
            ["a", "0.8571", "0.7500", "1.0000", "3", "1", "0"]
        );
        assert!(lines[3].ends_with("(not in the mean)"));
        let report = Report {
            subject: "w".into(),
            dataset: "d".into(),
            split: "test".into(),
            compat: false,
            score: Some(f64::NAN),
            tasks: vec![task],
            notes: vec![],
        };
        let json: serde_json::Value = serde_json::from_str(&report.json()).unwrap();
        assert!(json["score"].is_null() && json["tasks"][0]["categories"][0]["counts"][0] == 3);
    }
}
