//! Element types of tensors: their size, their names in PyTorch and safetensors, and widening to `f32`.

use half::{bf16, f16};

use crate::error::{Error, Result};

macro_rules! dtypes {
    ($($variant:ident $size:literal $torch:literal $safetensors:literal $doc:literal;)*) => {
        /// The type of a tensor's elements. All are little-endian on disk.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[allow(non_camel_case_types)]
        pub enum DType {
            $(#[doc = $doc] $variant,)*
        }

        impl DType {
            /// Every element type.
            pub const ALL: &'static [DType] = &[$(DType::$variant,)*];

            /// Bytes of one element.
            pub fn size(self) -> usize {
                match self { $(DType::$variant => $size,)* }
            }

            /// The name after `torch.`: `float32`.
            pub fn torch_name(self) -> &'static str {
                match self { $(DType::$variant => $torch,)* }
            }

            /// The name in a safetensors header: `F32`.
            pub fn safetensors_name(self) -> &'static str {
                match self { $(DType::$variant => $safetensors,)* }
            }
        }
    };
}

dtypes! {
    F64 8 "float64" "F64" "IEEE double.";
    F32 4 "float32" "F32" "IEEE single.";
    F16 2 "float16" "F16" "IEEE half.";
    BF16 2 "bfloat16" "BF16" "The upper half of an `f32`.";
    I64 8 "int64" "I64" "Signed, 64 bits.";
    I32 4 "int32" "I32" "Signed, 32 bits.";
    I16 2 "int16" "I16" "Signed, 16 bits.";
    I8 1 "int8" "I8" "Signed, 8 bits.";
    U64 8 "uint64" "U64" "Unsigned, 64 bits.";
    U32 4 "uint32" "U32" "Unsigned, 32 bits.";
    U16 2 "uint16" "U16" "Unsigned, 16 bits.";
    U8 1 "uint8" "U8" "Unsigned, 8 bits.";
    Bool 1 "bool" "BOOL" "One byte, 0 or 1.";
    F8E4M3 1 "float8_e4m3fn" "F8_E4M3" "Eight-bit float, 4 exponent bits, finite.";
    F8E5M2 1 "float8_e5m2" "F8_E5M2" "Eight-bit float, 5 exponent bits.";
    F8E4M3Z 1 "float8_e4m3fnuz" "F8_E4M3FNUZ" "As E4M3, one zero, other bias. Bytes only.";
    F8E5M2Z 1 "float8_e5m2fnuz" "F8_E5M2FNUZ" "As E5M2, one zero, other bias. Bytes only.";
    F8E8M0 1 "float8_e8m0fnu" "F8_E8M0" "Eight exponent bits, a scale. Bytes only.";
    C64 8 "complex64" "C64" "Two `f32`. Bytes only.";
    C128 16 "complex128" "C128" "Two `f64`. Bytes only; safetensors has no name for it.";
}

impl std::fmt::Display for DType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.torch_name())
    }
}

impl DType {
    /// The type with this name after `torch.`, aliases (`float`, `long`) included.
    pub fn from_torch(name: &str) -> Option<Self> {
        let alias = match name {
            "double" => "float64",
            "float" => "float32",
            "half" => "float16",
            "long" => "int64",
            "int" => "int32",
            "short" => "int16",
            "cfloat" => "complex64",
            "cdouble" => "complex128",
            other => other,
        };
        Self::ALL.iter().copied().find(|d| d.torch_name() == alias)
    }

    /// The type with this name in a safetensors header.
    pub fn from_safetensors(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().filter(|d| *d != DType::C128).find(|d| d.safetensors_name() == name)
    }

    /// The element type of a `torch.<Name>Storage` class; `None` for other names.
    /// `UntypedStorage` counts bytes: [`DType::U8`].
    pub fn from_storage(class: &str) -> Option<Self> {
        Some(match class {
            "DoubleStorage" => DType::F64,
            "FloatStorage" => DType::F32,
            "HalfStorage" => DType::F16,
            "BFloat16Storage" => DType::BF16,
            "LongStorage" => DType::I64,
            "IntStorage" => DType::I32,
            "ShortStorage" => DType::I16,
            "CharStorage" => DType::I8,
            "ByteStorage" | "UntypedStorage" => DType::U8,
            "BoolStorage" => DType::Bool,
            "ComplexFloatStorage" => DType::C64,
            "ComplexDoubleStorage" => DType::C128,
            _ => return None,
        })
    }

    /// The `torch.<Name>Storage` class of this type; `None` for those PyTorch saves untyped.
    pub fn storage_class(self) -> Option<&'static str> {
        Some(match self {
            DType::F64 => "DoubleStorage",
            DType::F32 => "FloatStorage",
            DType::F16 => "HalfStorage",
            DType::BF16 => "BFloat16Storage",
            DType::I64 => "LongStorage",
            DType::I32 => "IntStorage",
            DType::I16 => "ShortStorage",
            DType::I8 => "CharStorage",
            DType::U8 => "ByteStorage",
            DType::Bool => "BoolStorage",
            DType::C64 => "ComplexFloatStorage",
            DType::C128 => "ComplexDoubleStorage",
            _ => return None,
        })
    }

    /// Whether values can be read as real floating-point numbers.
    pub fn is_float(self) -> bool {
        matches!(self, DType::F64 | DType::F32 | DType::F16 | DType::BF16 | DType::F8E4M3 | DType::F8E5M2)
    }

    /// Whether values are whole numbers (or booleans) that fit an `i64`.
    pub fn is_integer(self) -> bool {
        use DType::*;
        matches!(self, I64 | I32 | I16 | I8 | U32 | U16 | U8 | Bool)
    }
}

/// Calls `f` on each `N`-byte element.
fn each<const N: usize, T>(bytes: &[u8], f: impl Fn([u8; N]) -> T) -> Vec<T> {
    bytes.as_chunks::<N>().0.iter().map(|c| f(*c)).collect()
}

/// Little-endian elements as `f32`; `f64` is rounded to nearest.
pub(crate) fn to_f32(dtype: DType, bytes: &[u8]) -> Result<Vec<f32>> {
    Ok(match dtype {
        DType::F64 => each(bytes, |b| f64::from_le_bytes(b) as f32),
        DType::F32 => each(bytes, f32::from_le_bytes),
        DType::F16 => each(bytes, |b| f16::from_le_bytes(b).to_f32()),
        DType::BF16 => each(bytes, |b| bf16::from_le_bytes(b).to_f32()),
        DType::F8E4M3 => each(bytes, |[b]| e4m3_to_f32(b)),
        // E5M2 is the upper byte of an IEEE half.
        DType::F8E5M2 => each(bytes, |[b]| f16::from_bits(u16::from(b) << 8).to_f32()),
        other => return Err(Error::unsupported(format!("is {other}, not a real floating-point type"))),
    })
}

/// Little-endian elements as `f64`, for types of either kind; the measure of [`diff`](crate::diff).
pub(crate) fn to_f64(dtype: DType, bytes: &[u8]) -> Result<Vec<f64>> {
    if dtype == DType::F64 {
        return Ok(each(bytes, f64::from_le_bytes));
    }
    if dtype == DType::U64 {
        return Ok(each(bytes, |b| u64::from_le_bytes(b) as f64));
    }
    if dtype.is_integer() {
        return Ok(to_i64(dtype, bytes)?.into_iter().map(|v| v as f64).collect());
    }
    Ok(to_f32(dtype, bytes)?.into_iter().map(f64::from).collect())
}

/// Little-endian whole numbers as `i64`; booleans are 0 and 1.
pub(crate) fn to_i64(dtype: DType, bytes: &[u8]) -> Result<Vec<i64>> {
    Ok(match dtype {
        DType::I64 => each(bytes, i64::from_le_bytes),
        DType::I32 => each(bytes, |b| i32::from_le_bytes(b).into()),
        DType::I16 => each(bytes, |b| i16::from_le_bytes(b).into()),
        DType::I8 => each(bytes, |b| i8::from_le_bytes(b).into()),
        DType::U32 => each(bytes, |b| u32::from_le_bytes(b).into()),
        DType::U16 => each(bytes, |b| u16::from_le_bytes(b).into()),
        DType::U8 => each(bytes, |[b]| b.into()),
        DType::Bool => each(bytes, |[b]| i64::from(b != 0)),
        other => return Err(Error::unsupported(format!("is {other}, not a whole-number type"))),
    })
}

/// OCP 8-bit E4M3, finite: bias 7, no infinities, NaN is all ones
/// (Micikevicius et al., "FP8 formats for deep learning", 2022, table 1).
fn e4m3_to_f32(b: u8) -> f32 {
    let exponent = i32::from((b >> 3) & 15);
    let mantissa = f32::from(b & 7);
    let magnitude = match (exponent, b & 7) {
        (15, 7) => f32::NAN,
        (0, _) => mantissa / 8.0 * 2f32.powi(-6),
        _ => (1.0 + mantissa / 8.0) * 2f32.powi(exponent - 7),
    };
    if b & 0x80 != 0 {
        -magnitude
    } else {
        magnitude
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_bit_floats_have_the_papers_extremes() {
        assert_eq!(
            to_f32(DType::F8E4M3, &[0x7e, 0x08, 0x01, 0xb8]).unwrap(),
            [448.0, 0.015625, 0.001953125, -1.0]
        );
        assert!(to_f32(DType::F8E4M3, &[0x7f]).unwrap()[0].is_nan());
        assert_eq!(to_f32(DType::F8E5M2, &[0x7b, 0x04, 0xbc]).unwrap(), [57344.0, 2f32.powi(-14), -1.0]);
    }

    #[test]
    fn names_go_both_ways() {
        for &d in DType::ALL {
            assert_eq!(DType::from_torch(d.torch_name()), Some(d));
            if let Some(class) = d.storage_class() {
                assert_eq!(DType::from_storage(class), Some(d));
            }
        }
        assert_eq!(DType::from_torch("long"), Some(DType::I64));
        assert_eq!(DType::from_safetensors("C128"), None);
    }

    #[test]
    fn complex_is_refused_as_a_float() {
        assert!(to_f32(DType::C64, &[0; 8]).unwrap_err().to_string().contains("complex64"));
    }
}
