//! Which instruction set the kernels use, decided once at start.

use std::sync::OnceLock;

use crate::kernel::precision::Precision;
use crate::{Error, Result};

/// Environment variable that names an instruction set: `avx512`, `avx2`, `neon` or `portable`.
pub const ISA_VARIABLE: &str = "SWATH_ISA";

/// An instruction set kernels are written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isa {
    /// AVX-512 F, 16 lanes of f32.
    Avx512,
    /// AVX2 with FMA, 8 lanes of f32.
    Avx2,
    /// NEON (aarch64), 4 lanes of f32.
    Neon,
    /// What the compiler makes of plain loops.
    Portable,
}

impl Isa {
    /// All instruction sets, the best first.
    pub const ALL: [Self; 4] = [Self::Avx512, Self::Avx2, Self::Neon, Self::Portable];

    /// The name `SWATH_ISA` and printed plans use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Avx512 => "avx512",
            Self::Avx2 => "avx2",
            Self::Neon => "neon",
            Self::Portable => "portable",
        }
    }

    /// Whether this machine has it.
    pub fn is_available(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => is_x86_feature_detected!("avx512f"),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            Self::Neon => cfg!(target_arch = "aarch64"),
            Self::Portable => true,
            #[cfg(not(target_arch = "x86_64"))]
            Self::Avx512 | Self::Avx2 => false,
        }
    }

    /// Whether its kernels multiply numbers rounded so, on this machine.
    pub fn multiplies(self, precision: Precision) -> bool {
        self.is_available()
            && match (self, precision) {
                (_, Precision::F32) => true,
                #[cfg(target_arch = "x86_64")]
                (Self::Avx512, Precision::Bf16) => {
                    is_x86_feature_detected!("avx512bf16") && is_x86_feature_detected!("avx512bw")
                }
                #[cfg(target_arch = "x86_64")]
                (Self::Avx512, Precision::Int8) => {
                    is_x86_feature_detected!("avx512vnni") && is_x86_feature_detected!("avx512bw")
                }
                // Plain loops, to compare with where they are asked for by name.
                (Self::Portable, Precision::Int8) => true,
                _ => false,
            }
    }

    /// The best one of this machine.
    pub fn best() -> Self {
        Self::ALL.into_iter().find(|isa| isa.is_available()).unwrap_or(Self::Portable)
    }

    /// The one a name means, if this machine has it.
    ///
    /// # Errors
    /// `Usage` for an unknown name, `Device` for one that this machine lacks.
    pub fn named(name: &str) -> Result<Self> {
        let isa = Self::ALL.into_iter().find(|isa| isa.name() == name).ok_or_else(|| {
            Error::usage(format!("{ISA_VARIABLE}={name}: known are avx512, avx2, neon, portable"))
        })?;
        if isa.is_available() {
            return Ok(isa);
        }
        Err(Error::device(format!("{ISA_VARIABLE}={name}: this machine lacks it, unset the variable")))
    }

    /// What `SWATH_ISA` names, else the best one; read once.
    ///
    /// # Errors
    /// As [`Isa::named`].
    pub fn current() -> Result<Self> {
        static CURRENT: OnceLock<Isa> = OnceLock::new();
        if let Some(isa) = CURRENT.get() {
            return Ok(*isa);
        }
        let isa = match std::env::var(ISA_VARIABLE) {
            Ok(name) => Self::named(&name)?,
            Err(_) => Self::best(),
        };
        Ok(*CURRENT.get_or_init(|| isa))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_both_ways() {
        for isa in Isa::ALL {
            match Isa::named(isa.name()) {
                Ok(found) => assert_eq!(found, isa),
                Err(_) => assert!(!isa.is_available()),
            }
        }
        assert!(Isa::named("sse9").is_err());
    }
}
