//! Operands and results as PyTorch computed them (tests/data/ops/make.py).

use std::collections::BTreeMap;

use serde::Deserialize;
use swath::tensor::MemoryStore;

#[derive(Deserialize)]
pub struct Tensor {
    pub shape: Vec<usize>,
    pub data: Vec<f32>,
    /// Whether it holds 8-bit samples.
    #[serde(default)]
    pub samples: bool,
}

#[derive(Deserialize)]
pub struct Golden {
    pub x: Vec<Tensor>,
    pub params: BTreeMap<String, Tensor>,
    pub y: Tensor,
}

impl Golden {
    pub fn store(&self) -> MemoryStore {
        let mut store = MemoryStore::new();
        for (name, t) in &self.params {
            store.insert(name, &t.shape, t.data.clone()).unwrap();
        }
        store
    }
}

pub fn load() -> BTreeMap<String, Golden> {
    serde_json::from_str(include_str!("../data/ops/cases.json")).unwrap()
}
