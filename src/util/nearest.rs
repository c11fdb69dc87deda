//! The nearest of several names, for messages that say what was probably meant.

/// The candidate with the fewest edits from `name`, if it is close enough to be a misspelling.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let bound = (name.len() / 3).max(2);
    candidates
        .into_iter()
        .filter(|c| c.len().abs_diff(name.len()) <= bound)
        .map(|c| (edits(name.as_bytes(), c.as_bytes()), c))
        .filter(|(distance, _)| *distance <= bound)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, c)| c)
}

/// Levenshtein distance, one row at a time.
fn edits(a: &[u8], b: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_misspellings_only() {
        let known = ["conv_up1.weight", "conv_up2.weight", "body.0.rdb1.conv1.bias"];
        assert_eq!(nearest("conv_up2.wieght", known), Some("conv_up2.weight"));
        assert_eq!(nearest("head.fc.weight", known), None);
        assert_eq!(edits(b"kitten", b"sitting"), 3);
    }
}
