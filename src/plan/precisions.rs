//! How much of a plan is multiplied in which precision.

use std::fmt;

use super::Plan;
use crate::kernel::precision::Precision;

/// Shares of all products of a run by what their factors are rounded to, the largest first.
#[derive(Debug, Clone, PartialEq)]
pub struct Precisions(Vec<(Precision, f64)>);

impl Plan {
    /// What its products are computed in.
    pub fn precisions(&self) -> Precisions {
        let products = |asked: Precision| -> f64 {
            let steps = self.steps.iter().filter(|s| Precision::of(s.choice.entry) == asked);
            steps.map(|s| s.kernel.products()).sum()
        };
        let counts = Precision::ALL.map(|precision| (precision, products(precision)));
        let all: f64 = counts.iter().map(|(_, count)| count).sum();
        let mut shares: Vec<_> = counts.into_iter().filter(|(_, count)| *count > 0.0).collect();
        shares.iter_mut().for_each(|(_, count)| *count /= all);
        shares.sort_by(|a, b| b.1.total_cmp(&a.1));
        Precisions(shares)
    }
}

impl Precisions {
    /// The share of one, 0 to 1.
    pub fn share(&self, precision: Precision) -> f64 {
        self.0.iter().find(|(p, _)| *p == precision).map_or(0.0, |(_, share)| *share)
    }
}

impl fmt::Display for Precisions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (precision, share)) in self.0.iter().enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            write!(f, "{comma}{precision} {:.1} %", 100.0 * share)?;
        }
        Ok(())
    }
}
