//! The names and shapes of a state dict: all that recognising a network needs, without any data.

use std::collections::HashMap;

use crate::error::{Error, Result};

/// Names with shapes, in file order.
#[derive(Debug, Clone, Default)]
pub struct Names {
    entries: Vec<(String, Vec<usize>)>,
    index: HashMap<String, usize>,
}

impl Names {
    /// The names in the order given; of equal names the last one counts, as in PyTorch.
    pub fn new(entries: impl IntoIterator<Item = (String, Vec<usize>)>) -> Self {
        let mut names = Self::default();
        for (name, shape) in entries {
            match names.index.get(&name).copied() {
                Some(at) => names.entries[at].1 = shape,
                None => {
                    names.index.insert(name.clone(), names.entries.len());
                    names.entries.push((name, shape));
                }
            }
        }
        names
    }

    /// Number of names.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Names and shapes in file order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[usize])> {
        self.entries.iter().map(|(name, shape)| (name.as_str(), shape.as_slice()))
    }

    /// Whether a tensor of that name exists.
    pub fn contains(&self, name: &str) -> bool {
        self.index.contains_key(name)
    }

    /// Whether any name starts with `prefix`.
    pub fn has_prefix(&self, prefix: &str) -> bool {
        self.entries.iter().any(|(name, _)| name.starts_with(prefix))
    }

    /// Shape of a tensor.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.index.get(name).map(|&at| self.entries[at].1.as_slice())
    }

    /// Shape `[c_out, c_in, kernel_h, kernel_w]` of a convolution's weight.
    ///
    /// # Errors
    /// `Weights` when the tensor is missing, is not of rank four or has an extent of zero.
    pub fn conv(&self, name: &str) -> Result<[usize; 4]> {
        let shape = self.shape(name).ok_or_else(|| Error::weights(format!("no tensor {name}")))?;
        <[usize; 4]>::try_from(shape).ok().filter(|dims| !dims.contains(&0)).ok_or_else(|| {
            Error::weights(format!("{name} has shape {shape:?}, a convolution's has 4 extents"))
        })
    }

    /// One extent of a tensor.
    ///
    /// # Errors
    /// `Weights` when the tensor or the axis is missing or the extent is zero.
    pub fn extent(&self, name: &str, axis: usize) -> Result<usize> {
        let shape = self.shape(name).ok_or_else(|| Error::weights(format!("no tensor {name}")))?;
        shape.get(axis).copied().filter(|&extent| extent > 0).ok_or_else(|| {
            Error::weights(format!("{name} has shape {shape:?}, which has no extent {axis} above zero"))
        })
    }

    /// How many of `pattern` with `{}` replaced by 0, 1, 2… exist in a row.
    pub fn count(&self, pattern: &str) -> usize {
        (0..).take_while(|i: &usize| self.contains(&pattern.replace("{}", &i.to_string()))).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_rows_without_gaps_and_keeps_the_last_of_equal_names() {
        let names = Names::new(
            [("body.0.w", 1), ("body.1.w", 2), ("body.3.w", 3), ("body.0.w", 4)]
                .map(|(name, extent)| (name.to_string(), vec![extent])),
        );
        assert_eq!(names.count("body.{}.w"), 2);
        assert_eq!(names.len(), 3);
        assert_eq!(names.shape("body.0.w"), Some(&[4][..]));
        assert!(names.conv("body.0.w").is_err());
        assert!(names.has_prefix("body.3") && !names.has_prefix("head"));
    }
}
