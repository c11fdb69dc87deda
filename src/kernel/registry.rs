//! How a device says which implementations it has, and which one a call gets.

use super::Kernel;
use crate::{Error, Result};

/// One implementation of a contract.
#[derive(Debug, Clone, Copy)]
pub struct Impl {
    /// The contract, see [`Kernel::name`].
    pub contract: &'static str,
    /// Its name: `<contract>_<dtype>__<variant>`.
    pub entry: &'static str,
    /// The highest that fits is taken; 0 fits always.
    pub rank: u32,
    /// Whether it takes these parameters.
    pub fits: fn(&Kernel) -> bool,
}

impl Impl {
    /// The implementation that takes whatever the contract allows.
    pub const fn always(contract: &'static str, entry: &'static str) -> Self {
        Self { contract, entry, rank: 0, fits: |_| true }
    }
}

/// The implementation of highest rank that fits a call.
///
/// # Errors
/// `Unsupported` when the table has none.
pub fn choose<'t>(table: impl IntoIterator<Item = &'t Impl>, kernel: &Kernel) -> Result<&'t Impl> {
    let fitting = table.into_iter().filter(|i| i.contract == kernel.name() && (i.fits)(kernel));
    fitting
        .max_by_key(|i| i.rank)
        .ok_or_else(|| Error::unsupported(format!("{} has no implementation on this device", kernel.name())))
}

/// What is wrong with a table: a contract without a rank 0 that fits always, a name twice or not
/// after its contract. For the tests of devices.
pub fn faults(table: &[Impl]) -> Vec<String> {
    let mut faults = Vec::new();
    for contract in Kernel::CONTRACTS {
        if table.iter().filter(|i| i.contract == *contract && i.rank == 0).count() != 1 {
            faults.push(format!("{contract} wants exactly one implementation of rank 0"));
        }
    }
    for (k, i) in table.iter().enumerate() {
        let named =
            i.entry.strip_prefix(i.contract).is_some_and(|rest| rest.starts_with('_') && rest.contains("__"));
        if !named || !Kernel::CONTRACTS.contains(&i.contract) {
            faults.push(format!("{} is not named after a contract", i.entry));
        }
        if table[..k].iter().any(|other| other.entry == i.entry) {
            faults.push(format!("{} is listed twice", i.entry));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::reduce::AxisParams;

    const TABLE: &[Impl] = &[
        Impl::always("softmax_fwd", "softmax_fwd_f32__plain"),
        Impl {
            contract: "softmax_fwd",
            entry: "softmax_fwd_f32__short",
            rank: 10,
            fits: |k| matches!(k, Kernel::Softmax(p) if p.n <= 8),
        },
    ];

    #[test]
    fn the_highest_rank_that_fits_is_taken() {
        let softmax = |n| Kernel::Softmax(AxisParams { outer: 1, n, inner: 1, mode: 0 });
        assert_eq!(choose(TABLE, &softmax(4)).unwrap().entry, "softmax_fwd_f32__short");
        assert_eq!(choose(TABLE, &softmax(9)).unwrap().entry, "softmax_fwd_f32__plain");
        assert!(choose(&[], &softmax(4)).is_err());
    }

    #[test]
    fn faults_are_found() {
        assert_eq!(faults(TABLE).len(), Kernel::CONTRACTS.len() - 1);
        let twice = [TABLE[0], TABLE[0], Impl::always("softmax", "relu__x")];
        assert!(faults(&twice).len() > Kernel::CONTRACTS.len());
    }
}
