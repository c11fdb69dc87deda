//! Results that products in bf16 alone read: whoever makes them stores the words that the products would round them
//! to, in the place that the numbers would have. That halves what is written and read, and changes no bit of what
//! follows.

use std::ops::Range;

use crate::kernel::precision::Precision;
use crate::kernel::Kernel;
use crate::plan::{Region, Slot, Step};
use crate::util::ranges::{meet, without};

/// Whether a call's first operand and its result are words of rounded numbers instead of numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct AsWords {
    pub x: bool,
    pub y: bool,
}

/// What each step of a plan reads and makes as words.
pub(super) fn hand_on(steps: &[Step]) -> Vec<AsWords> {
    let mut found = vec![AsWords::default(); steps.len()];
    for (at, step) in steps.iter().enumerate().filter(|(_, step)| makes(step)) {
        let Some(readers) = readers(&steps[at + 1..], &place(step.y, step.kernel.y_span())) else { continue };
        found[at].y = !readers.is_empty();
        readers.iter().for_each(|reader| found[at + 1 + reader].x = true);
    }
    found
}

/// Whether a step can store words: whole ones in each row, and where it reads nothing meanwhile.
fn makes(step: &Step) -> bool {
    let row = match &step.kernel {
        Kernel::Matmul(p) if is_rounded(step) => p.n,
        Kernel::WindowAttention(p) => p.head_dim.into(),
        _ => return false,
    };
    let y = place(step.y, step.kernel.y_span());
    let mut operands = step.operands.iter().enumerate().filter(|(_, slot)| slot.region == Region::Arena);
    let apart = operands.all(|(k, slot)| !meet(&place(*slot, step.kernel.x_span(k)), &y));
    step.y.region == Region::Arena && whole(row) && apart
}

/// Whether a step can read words as its first operand.
fn takes(step: &Step) -> bool {
    matches!(&step.kernel, Kernel::Matmul(p) if whole(p.k)) && is_rounded(step)
}

fn is_rounded(step: &Step) -> bool {
    Precision::of(step.choice.entry) == Precision::Bf16
}

/// Whether a row of so many numbers is whole words.
fn whole(row: u64) -> bool {
    row.is_multiple_of(Precision::Bf16.per_word() as u64)
}

/// Which of the steps read what lies at `all` of the arena, if each that does takes all of it as words; `None` too
/// where one may read what another wrote there since.
fn readers(steps: &[Step], all: &Range<usize>) -> Option<Vec<usize>> {
    let mut left = vec![all.clone()];
    // Spans of results of which some elements may lie there.
    let mut unsure: Vec<Range<usize>> = Vec::new();
    let mut readers = Vec::new();
    for (at, step) in steps.iter().enumerate() {
        for (operand, slot) in step.operands.iter().enumerate().filter(|(_, s)| s.region == Region::Arena) {
            let read = place(*slot, step.kernel.x_span(operand));
            if !left.iter().any(|part| meet(part, &read)) {
                continue;
            }
            let is_whole =
                read == *all && left == [all.clone()] && !unsure.iter().any(|part| meet(part, &read));
            if operand > 0 || !is_whole || !takes(step) {
                return None;
            }
            readers.push(at);
        }
        if step.y.region == Region::Arena {
            let written = step.kernel.y_written();
            if written.is_empty() {
                unsure.push(place(step.y, step.kernel.y_span()));
            }
            let at = step.y.offset;
            left = written.iter().fold(left, |left, r| without(left, &(at + r.start..at + r.end)));
        }
        if left.is_empty() {
            break;
        }
    }
    Some(readers)
}

fn place(slot: Slot, span: usize) -> Range<usize> {
    slot.offset..slot.offset + span
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::isa::Isa;
    use crate::cpu::Cpu;
    use crate::graph::{Builder, Mode, Var};
    use crate::ops::WindowAttention;
    use crate::plan::{compile, Device};
    use crate::tensor::MemoryStore;

    /// Terms that are rounded to bf16.
    const C: usize = 96;

    fn linear<'b>(b: &'b Builder, name: &str, x: Var<'b>, [k, n]: [usize; 2]) -> Var<'b> {
        x.linear(b.param(&format!("{name}.w"), &[n, k]), Some(b.param(&format!("{name}.b"), &[n])))
    }

    /// Runs a graph in bf16, with results handed on and, watched, without: the bits are the same. Gives how many steps
    /// make words and how many read some.
    fn handed_on(b: Builder) -> [usize; 2] {
        let mut graph = b.finish().unwrap();
        crate::passes::optimise(&mut graph).unwrap();
        let mut store = MemoryStore::new();
        for (name, value) in graph.params() {
            let n = value.spec.shape.numel();
            let data = (0..n).map(|i| ((i * 7919 + name.len()) % 1013) as f32 / 5065.0 - 0.1).collect();
            store.insert(name, &value.spec.shape, data).unwrap();
        }
        let cpu = Cpu::new(2).unwrap().with_precision(Precision::Bf16);
        let plan = compile(&graph, cpu.kernels()).unwrap();
        let made = hand_on(&plan.steps);
        let mut session = cpu.load(plan.into(), &store).unwrap();
        session.input(0).iter_mut().enumerate().for_each(|(i, x)| *x = (i % 23) as f32 / 23.0 - 0.5);
        session.run().unwrap();
        let y = session.output(0).to_vec();
        let mut seen = 0;
        session.watch(&mut |_, _, x| seen += usize::from(x.iter().all(|v| v.abs() < 100.0))).unwrap();
        assert_eq!(seen, session.plan().steps.len());
        assert!(y.iter().any(|v| *v != 0.0) && y == session.output(0), "{}", session.plan());
        [made.iter().filter(|words| words.y).count(), made.iter().filter(|words| words.x).count()]
    }

    fn rounds() -> bool {
        Isa::current().unwrap().multiplies(Precision::Bf16)
    }

    #[test]
    fn what_only_products_read_is_handed_on_and_changes_no_bit() {
        if !rounds() {
            return;
        }
        let b = Builder::new(Mode::Infer);
        let x = linear(&b, "first", b.input("x", &[1, 10, 9, C]), [C, C]);
        let attention = WindowAttention { heads: 3, window: 4, shift: 2, cosine: true };
        let (pad, bias) = (b.param("pad", &[3 * C]), b.param("bias", &[3, 49]));
        let scale = Some(b.param("scale", &[3]));
        let mixed = linear(&b, "qkv", x, [C, 3 * C]).window_attention(attention, pad, bias, scale);
        let x = linear(&b, "proj", mixed, [C, C]).add(x);
        b.output("y", linear(&b, "mlp.3", linear(&b, "mlp.0", x, [C, 2 * C]).gelu(), [2 * C, C]).add(x));
        // What attention gives its projection, and the hidden layer.
        assert_eq!(handed_on(b), [2, 2]);
    }

    /// A result lies where one lay that was handed on, and is read by a product too.
    #[test]
    fn what_others_write_to_the_same_place_is_not_taken_for_words() {
        if !rounds() {
            return;
        }
        let b = Builder::new(Mode::Infer);
        let first = linear(&b, "first", b.input("x", &[1, 10, 9, C]), [C, C]);
        let second = linear(&b, "second", first, [C, C]);
        let shares = second.softmax(3);
        b.output("y", linear(&b, "third", shares, [C, C]).add(second));
        let [made, read] = handed_on(b);
        assert!(made == read && made <= 1, "{made} are made and {read} read");
    }
}
