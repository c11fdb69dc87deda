//! Results that products read: whoever makes them rounds them and lays them out as products take them, in their own
//! place where nobody else reads them, otherwise in the workspace, where the product would do it.

use super::launch::Launch;
use super::stored::{bytes, Stored};
use super::{conv_units, layer_norm, matmul, matmul_warpgroup};
use crate::kernel::conv::Conv2dParams;
use crate::kernel::precision::Precision;
use crate::kernel::Kernel;
use crate::plan::{Region, Slot, Step};
use crate::util::ranges::meet;

/// Tokens of a unit, and terms of a pair of octets, which a warpgroup's products take whole.
const UNIT: u64 = matmul_warpgroup::TOKENS as u64;
const PAIR: u64 = matmul_warpgroup::TERMS as u64;
/// Terms of a stage of the other products.
const STAGE: u64 = 2 * PAIR;

/// What is laid out; equals are laid out alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    /// Tokens, and terms of each (`kernels/units.cuh`).
    Tokens([u64; 2]),
    /// Images, their channels, rows and columns, with a halo of a pixel (`kernels/conv_units.cuh`).
    Images([u32; 4]),
}

/// Has the steps of a plan lay out what they make for products, and these read it there.
///
/// Launches are those that their steps have by themselves.
pub(super) fn hand_on(
    steps: &[Step],
    launches: &mut [Vec<Launch>],
    stored: &Stored,
    address: impl Fn(Slot) -> u64,
    workspace: u64,
) {
    for (at, step) in steps.iter().enumerate() {
        let Some(made) = made(step).filter(|_| step.y.region == Region::Arena) else { continue };
        let y = address(step.y);
        // What may have been overwritten, perhaps in part, is read as it was stored.
        let takes = |&&(at_reader, operand): &&(usize, usize)| {
            let reader = &steps[at_reader];
            let (x, precision) = (address(reader.operands[operand]), Precision::of(reader.choice.entry));
            let same = operand == 0 && x == y && taken(reader) == Some(made);
            same && rounds_to(step, precision) && stored.stands(at, at_reader)
        };
        let readers = stored.readers(at);
        let mut taking: Vec<usize> = readers.iter().filter(takes).map(|(reader, _)| *reader).collect();
        let mut place = y;
        if taking.len() < readers.len() || !has_room(step, &address) {
            taking = at_once(steps, launches, at, &taking, workspace);
            place = workspace;
        }
        let (Some(first), Some(last)) = (taking.first(), launches[at].last_mut()) else { continue };
        lay_result_out(last, place, Precision::of(steps[*first].choice.entry));
        taking.iter().for_each(|reader| read_laid(&mut launches[*reader], place));
    }
}

/// How a step could lay out what it makes.
fn made(step: &Step) -> Option<Layout> {
    match &step.kernel {
        Kernel::Matmul(p) => Some(Layout::Tokens([p.m, p.n])),
        Kernel::LayerNorm(p) => Some(Layout::Tokens([p.rows, p.n])),
        Kernel::WindowAttention(p) => Some(Layout::Tokens([p.map_tokens() as u64, p.channels() as u64])),
        Kernel::Conv2d(p) if conv_units::multiplies(step.choice.entry) => {
            let dense = p.batch == 1 || p.y_batch_stride == u64::from(p.c_out) * p.y_plane() as u64;
            let whole = u64::from(p.c_out).is_multiple_of(PAIR);
            (dense && whole).then_some(Layout::Images([p.batch, p.c_out, p.h_out, p.w_out]))
        }
        _ => None,
    }
}

/// Whether a step can round what it lays out to that precision.
fn rounds_to(step: &Step, precision: Precision) -> bool {
    match step.choice.entry {
        layer_norm::NAME => layer_norm::laying_out(precision).is_some(),
        entry => Precision::of(entry) == precision,
    }
}

/// The layout that a step can read its first operand in.
fn taken(step: &Step) -> Option<Layout> {
    let entry = step.choice.entry;
    match &step.kernel {
        Kernel::Matmul(p) => {
            let whole = match matmul::reading_laid(entry) {
                Some(_) => p.k.is_multiple_of(STAGE),
                None => {
                    let units = p.m.is_multiple_of(UNIT) && p.k.is_multiple_of(PAIR);
                    matmul_warpgroup::multiplies(entry) && units
                }
            };
            whole.then_some(Layout::Tokens([p.m, p.k]))
        }
        Kernel::Conv2d(p) if conv_units::multiplies(entry) => {
            let dense = p.batch == 1 || p.x_batch_stride == u64::from(p.c_in) * p.x_plane() as u64;
            (dense && conv_units::keeps_pixels(p))
                .then_some(Layout::Images([p.batch, p.c_in, p.h_in, p.w_in]))
        }
        _ => None,
    }
}

/// Whether the layout fits where a step stores its result, and it reads nothing there meanwhile.
fn has_room(step: &Step, address: impl Fn(Slot) -> u64) -> bool {
    let y = bytes(address(step.y), step.kernel.y_span());
    let operands = step.operands.iter().enumerate().filter(|(_, slot)| slot.region == Region::Arena);
    let apart = operands.map(|(k, slot)| bytes(address(*slot), step.kernel.x_span(k))).all(|x| !meet(&x, &y));
    let fits = match (made(step), &step.kernel) {
        // Of two bytes where the result has four.
        (Some(Layout::Tokens([tokens, terms])), _) => {
            let whole = tokens.next_multiple_of(UNIT).saturating_mul(terms.next_multiple_of(PAIR));
            whole <= tokens.saturating_mul(terms).saturating_mul(2)
        }
        (Some(Layout::Images(_)), Kernel::Conv2d(p)) => {
            let next = Conv2dParams { c_in: p.c_out, ..*p };
            conv_units::workspace(&Kernel::Conv2d(next)) <= step.kernel.y_span()
        }
        _ => false,
    };
    apart && fits
}

/// Those of the steps that take what a step makes that would lay it out themselves, and before anything else is laid
/// out there.
fn at_once(
    steps: &[Step],
    launches: &[Vec<Launch>],
    at: usize,
    taking: &[usize],
    workspace: u64,
) -> Vec<usize> {
    let uses = |step: usize| {
        let mut launches = launches[step].iter();
        steps[step].choice.workspace > 0 && launches.any(|launch| launch.operands().workspace == workspace)
    };
    if uses(at) {
        return Vec::new();
    }
    (at + 1..steps.len()).filter(|step| uses(*step)).take_while(|step| taking.contains(step)).collect()
}

/// Makes a launch lay its result out for products of that precision.
fn lay_result_out(launch: &mut Launch, place: u64, precision: Precision) {
    if launch.entry == layer_norm::NAME {
        launch.entry = layer_norm::laying_out(precision).unwrap_or(launch.entry);
    }
    launch.change_operands(|o| {
        o.laid = place;
        if o.y == place {
            o.y = 0;
        }
    });
}

/// Makes a product's launches read what is laid out.
fn read_laid(launches: &mut Vec<Launch>, place: u64) {
    // Whatever comes before the product lays x out.
    let Some(mut product) = launches.pop() else { return };
    product.change_operands(|o| o.workspace = place);
    if let Some(entry) = matmul::reading_laid(product.entry) {
        product.entry = entry;
        product.change_operands(|o| o.x[0] = place);
    }
    *launches = vec![product];
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cuda::launch::{Operands, BYTES_OF_ELEMENT};
    use crate::cuda::table::{choose, find};
    use crate::kernel::conv::Epilogue;
    use crate::kernel::matmul::MatmulParams;
    use crate::kernel::norm::LayerNormParams;
    use crate::kernel::pool::PoolParams;

    const WORKSPACE: u64 = 1 << 40;

    /// Where results of a place lie, each of which has room for 512 tokens of 512 terms.
    fn address(slot: Slot) -> u64 {
        4096 + slot.offset as u64 * BYTES_OF_ELEMENT
    }

    fn step(kernel: Kernel, capability: u32, x: &[usize], y: usize) -> Step {
        let place = |place: &usize| Slot { region: Region::Arena, offset: place * 512 * 512 };
        let choice = choose(&kernel, capability, 1, Precision::Bf16).unwrap();
        let operands = x.iter().map(place).collect();
        Step { kernel, operands, y: place(&y), choice, kept: None, label: String::new() }
    }

    fn norm(rows: u64, x: usize, y: usize) -> Step {
        let p = LayerNormParams { rows, n: 64, eps: 1e-5, residual: 0 };
        step(Kernel::LayerNorm(p), 90, &[x, 100, 101], y)
    }

    /// A product of `m` tokens of `k` terms, to which a residual may be added.
    fn product([m, k, n]: [u64; 3], capability: u32, x: usize, residual: Option<usize>, y: usize) -> Step {
        let p = MatmulParams { m, n, k, has_bias: 0, act: 0, residual: residual.is_some().into() };
        let operands = [x, 102].into_iter().chain(residual).collect::<Vec<_>>();
        step(Kernel::Matmul(p), capability, &operands, y)
    }

    /// A pooling of windows of one of 256 pixels.
    fn pool(channels: u32, x: usize, y: usize) -> Step {
        let [h_in, w_in, h_out, w_out] = [16; 4];
        let [kernel, stride, pad] = [[1; 2], [1; 2], [0; 2]];
        let stride_of_images = u64::from(channels) * 256;
        let p = PoolParams {
            batch: 1,
            channels,
            h_in,
            w_in,
            h_out,
            w_out,
            kernel,
            stride,
            pad,
            mean: 0,
            count_pad: 0,
            x_batch_stride: stride_of_images,
            y_batch_stride: stride_of_images,
        };
        step(Kernel::Pool(p), 90, &[x], y)
    }

    /// What is launched, by steps.
    fn launches(steps: &[Step]) -> Vec<Vec<Launch>> {
        let each = steps.iter().map(|step| {
            let mut x = [0; 6];
            x.iter_mut().zip(&step.operands).for_each(|(x, slot)| *x = address(*slot));
            let o = Operands { x, y: address(step.y), workspace: WORKSPACE, ..Operands::default() };
            (find(step.choice.entry).unwrap().launch)(&step.kernel, &o).unwrap()
        });
        let mut launches: Vec<_> = each.collect();
        crate::cuda::layouts::shorten(steps, &mut launches, address, (WORKSPACE, 1 << 30)).unwrap();
        launches
    }

    /// By steps, where they lay their results out, if they do, and whether they store them.
    fn laid(steps: &[Step]) -> Vec<(Option<u64>, bool)> {
        let launches = launches(steps);
        let last = launches.iter().map(|of| of.last().unwrap().operands());
        last.map(|o| (Some(o.laid).filter(|laid| *laid != 0), o.y != 0)).collect()
    }

    /// A convolution of two images of 16 channels to as many, to which a residual may be added.
    fn conv(kernel: usize, [h, w]: [usize; 2], x: usize, residual: Option<usize>, y: usize) -> Step {
        let p = Conv2dParams::same([2, 16, h as u32, w as u32], 16, kernel as u32);
        let epilogue = Epilogue { residuals: residual.is_some().into(), ..p.epilogue };
        let p = Conv2dParams { r_batch_stride: [p.y_batch_stride; 2], epilogue, ..p };
        let operands = [x, 102].into_iter().chain(residual).collect::<Vec<_>>();
        step(Kernel::Conv2d(p), 90, &operands, y)
    }

    const NOT: (Option<u64>, bool) = (None, true);

    fn at(place: usize) -> (Option<u64>, bool) {
        (Some(address(Slot { region: Region::Arena, offset: place * 512 * 512 })), false)
    }

    #[test]
    fn what_only_products_read_takes_its_own_place() {
        for capability in [80, 90] {
            let layers = [
                norm(256, 0, 1),
                product([256, 64, 256], capability, 1, None, 2),
                product([256, 256, 64], capability, 2, None, 3),
                product([256, 64, 64], capability, 1, None, 4),
            ];
            assert_eq!(laid(&layers), [at(1), at(2), NOT, NOT]);
        }
    }

    #[test]
    fn what_others_read_is_laid_out_in_the_workspace_or_not_at_all() {
        let both = |capability| {
            [
                norm(256, 0, 1),
                product([256, 64, 256], capability, 1, None, 2),
                product([256, 256, 64], capability, 2, Some(1), 3),
            ]
        };
        for capability in [80, 90] {
            assert_eq!(laid(&both(capability)), [(Some(WORKSPACE), true), at(2), NOT]);
        }
        // Something else is laid out there meanwhile.
        let [norm, first, last] = both(90);
        let other = product([512, 64, 256], 90, 9, None, 8);
        assert_eq!(laid(&[norm, other, first, last])[0], NOT);
    }

    #[test]
    fn what_may_have_been_overwritten_is_read_as_it_was_stored() {
        let layers = |capability, channels| {
            [
                norm(256, 0, 1),
                product([256, 64, 256], capability, 1, None, 2),
                pool(channels, 2, 1),
                product([256, 64, 256], capability, 1, None, 3),
            ]
        };
        // All of it, and half of it.
        for channels in [64, 32] {
            for capability in [80, 90] {
                let layers = layers(capability, channels);
                assert_eq!(laid(&layers), [(Some(WORKSPACE), true), NOT, NOT, NOT]);
                let short = launches(&layers);
                let alone = &launches(&layers[3..])[0];
                let entries = |of: &[Launch]| of.iter().map(|l| l.entry).collect::<Vec<_>>();
                assert_eq!(entries(&short[3]), entries(alone));
                assert_ne!(entries(&short[1]), entries(alone));
                assert_eq!(short[3][0].operands().x[0], address(layers[3].operands[0]));
            }
        }
        // After its last reader.
        let [norm, first, pool, last] = layers(90, 64);
        assert_eq!(laid(&[norm, first, last, pool])[0], at(1));
    }

    #[test]
    fn residuals_may_be_added_in_place() {
        for capability in [80, 90] {
            let layers = [
                norm(256, 0, 1),
                product([256, 64, 256], capability, 1, None, 2),
                product([256, 256, 64], capability, 2, Some(1), 1),
                product([256, 64, 256], capability, 1, None, 3),
            ];
            assert_eq!(laid(&layers), [(Some(WORKSPACE), true), at(2), (Some(WORKSPACE), false), NOT]);
        }
    }

    #[test]
    fn convolutions_hand_on_as_products_do() {
        let block = |size| {
            let plain = |kernel, x| conv(kernel, size, x, None, x + 1);
            [plain(1, 0), plain(3, 1), plain(1, 2), conv(3, size, 3, Some(3), 4)]
        };
        assert_eq!(laid(&block([64, 16])), [at(1), at(2), (Some(WORKSPACE), true), NOT]);
        // Units are not filled well enough, so that each convolution lays out what it reads.
        assert_eq!(laid(&block([40, 16])), [NOT; 4]);
    }

    #[test]
    fn what_does_not_fit_is_stored_as_it_was() {
        let chain = |m, k| [norm(m, 0, 1), product([m, k, 64], 80, 1, None, 2)];
        assert_eq!(laid(&chain(128, 64))[0], at(1));
        // Too few tokens of a unit, other tokens, and a result in the place of an operand.
        assert_eq!(laid(&chain(127, 64))[0], NOT);
        assert_eq!(laid(&[norm(256, 0, 1), product([512, 32, 32], 80, 1, None, 2)])[0], NOT);
        assert_eq!(laid(&[norm(256, 1, 1), product([256, 64, 64], 80, 1, None, 2)])[0], NOT);
        // Terms of which a pair of octets would be filled up.
        let fits = |n| has_room(&product([256, 64, n], 80, 0, None, 1), address);
        assert_eq!([8, 7, 17, 1].map(fits), [true, false, true, false]);
        // Half a stage of terms, and half a unit for warpgroups.
        let products = |first, last| [product(first, 90, 0, None, 1), product(last, 90, 1, None, 2)];
        assert_eq!(laid(&products([256, 64, 48], [256, 48, 32]))[0], NOT);
        assert_eq!(laid(&products([256, 64, 48], [256, 48, 256]))[0], at(1));
        assert_eq!(laid(&products([384, 64, 64], [384, 64, 256]))[0], NOT);
    }
}
