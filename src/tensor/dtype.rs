//! Element types of tensors, and numbers as they hold them.

/// Element type of a tensor. Intermediates and parameters are f32; samples of files are whole numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DType {
    /// 32-bit float.
    F32,
    /// 8-bit unsigned.
    U8,
    /// 16-bit unsigned.
    U16,
}

impl DType {
    /// Bytes of one element.
    pub fn size(self) -> usize {
        match self {
            DType::F32 => 4,
            DType::U8 => 1,
            DType::U16 => 2,
        }
    }

    /// Writes numbers to memory of this type, whole ones where it holds no others, as far as both reach.
    pub fn store(self, values: &[f32], bytes: &mut [u8]) {
        for (v, to) in values.iter().zip(bytes.chunks_exact_mut(self.size())) {
            match self {
                DType::F32 => to.copy_from_slice(&v.to_ne_bytes()),
                DType::U8 => to.copy_from_slice(&[*v as u8]),
                DType::U16 => to.copy_from_slice(&(*v as u16).to_ne_bytes()),
            }
        }
    }

    /// The numbers in memory of this type.
    pub fn load(self, bytes: &[u8]) -> impl Iterator<Item = f32> + '_ {
        bytes.chunks_exact(self.size()).map(move |from| match (self, from) {
            (DType::F32, &[a, b, c, d]) => f32::from_ne_bytes([a, b, c, d]),
            (DType::U16, &[a, b]) => f32::from(u16::from_ne_bytes([a, b])),
            (_, from) => from.first().copied().map_or(0.0, f32::from),
        })
    }
}

impl std::fmt::Display for DType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            DType::F32 => "f32",
            DType::U8 => "u8",
            DType::U16 => "u16",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::DType;

    #[test]
    fn numbers_come_back_as_far_as_a_type_holds_them() {
        let values = [0.0, 1.0, 255.0, 256.0, 65_535.0, 1e9, 0.5];
        let back = |dtype: DType| {
            let mut bytes = vec![0; values.len() * dtype.size()];
            dtype.store(&values, &mut bytes);
            dtype.load(&bytes).collect::<Vec<_>>()
        };
        assert_eq!(back(DType::F32), values);
        assert_eq!(back(DType::U16), [0.0, 1.0, 255.0, 256.0, 65_535.0, 65_535.0, 0.0]);
        assert_eq!(back(DType::U8), [0.0, 1.0, 255.0, 255.0, 255.0, 255.0, 0.0]);
    }
}
