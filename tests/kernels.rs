//! The processor's attention and matrix products on the cases that every device is proven by, in every precision of
//! floats that this machine multiplies.

#![allow(clippy::unwrap_used, clippy::panic)]

use swath::cpu::isa::Isa;
use swath::cpu::Cpu;
use swath::engine::proof::prove;
use swath::kernel::precision::Precision;

#[test]
fn attention_and_products_agree_with_the_reference() {
    let isa = Isa::current().unwrap();
    for (contract, precision) in [
        ("window_attention_fwd", Precision::F32),
        ("matmul_fwd", Precision::F32),
        ("matmul_fwd", Precision::Bf16),
    ] {
        if !isa.multiplies(precision) {
            continue;
        }
        let cpu = Cpu::new(2).unwrap().with_precision(precision);
        let proofs = prove(&cpu, precision, &format!("{contract}_{precision}")).unwrap();
        assert!(!proofs.is_empty(), "{contract} in {precision}");
        for proof in proofs {
            assert!(proof.worst.agrees(), "{} in {precision}: {:?}", proof.entry, proof.worst);
        }
    }
}
