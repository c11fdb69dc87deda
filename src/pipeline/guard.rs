//! A network watched: where its factors are rounded, a tile that comes out as no numbers, or as one number all over,
//! is computed again in f32. What is no number then is an error; what is one number all over is told.

use std::sync::atomic::{AtomicBool, Ordering};

use super::stream::TileNet;
use crate::engine::{Engine, LoadedModel, Session};
use crate::error::{Error, Result};
use crate::models::{HeadKind, InputSize, Network, Task, NO_OBJECT};
use crate::tensor::Shape;
use crate::util::spread;

/// Values that one thread looks at at a time.
const VALUES: usize = 1 << 18;

/// A network whose last result can be looked at again.
pub trait Kept: TileNet {
    /// The result of the last run.
    fn last(&self) -> &[f32];
}

impl Kept for Session {
    fn last(&self) -> &[f32] {
        self.output()
    }
}

/// What a network's results say, as far as a bad one can be told from a good one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// Any numbers.
    Numbers,
    /// Probabilities: all over 0 or 1 where the network is sure.
    Probabilities,
    /// Rows of boxes: a score of minus infinity where there is none, and alike where there are none.
    Boxes,
}

impl Meaning {
    /// What the first result of a network says.
    fn of(network: &dyn Network) -> Self {
        match network.heads().first() {
            Some(head) if matches!(head.kind, HeadKind::Detector { .. }) => Self::Boxes,
            Some(head) if head.task != Task::Regress => Self::Probabilities,
            _ => Self::Numbers,
        }
    }
}

/// What is known of a network's tiles.
#[derive(Debug, Clone, Copy)]
pub struct Watch {
    /// Tiles the network takes at once.
    pub batch: usize,
    /// Elements of a band of a tile's input, and of a band of its result.
    pub planes: [usize; 2],
    /// Bytes of an element of the input.
    pub element: usize,
    /// What results say.
    pub meaning: Meaning,
    /// Threads that look.
    pub threads: usize,
}

/// A network in sessions that run in turn, and the same without rounding for tiles that need it.
pub struct Guard<'a, N> {
    nets: Vec<N>,
    /// The session whose input is filled next, and how many before it are running.
    next: usize,
    running: usize,
    /// Loads the network without rounding; absent where nothing is rounded.
    load: Option<Box<dyn Fn() -> Result<N> + 'a>>,
    exact: Option<N>,
    watch: Watch,
    repeated: usize,
    constant: Vec<usize>,
}

impl<'a> Guard<'a, Session> {
    /// Watches a loaded network, at least one session of it, on so many threads.
    pub fn of(
        engine: &Engine,
        model: &'a LoadedModel,
        size: InputSize,
        nets: Vec<Session>,
        threads: usize,
    ) -> Self {
        let load = engine.unrounded().map(|exact| -> Box<dyn Fn() -> Result<Session> + 'a> {
            Box::new(move || exact.compile(model, size, &[], None))
        });
        let plane = |shape: Shape| shape.iter().rev().take(2).product();
        let planes = nets.first().map_or([1; 2], |net| [net.input_shape(), net.output_shape()].map(plane));
        let (meaning, element) = (Meaning::of(model.network()), engine.samples().size());
        Self::new(nets, Watch { batch: size.batch, planes, element, meaning, threads }, load)
    }
}

impl<'a, N: Kept> Guard<'a, N> {
    /// Watches the sessions, at least one, of a network, where `load` gives the same without rounding.
    pub fn new(nets: Vec<N>, watch: Watch, load: Option<Box<dyn Fn() -> Result<N> + 'a>>) -> Self {
        Self { nets, next: 0, running: 0, load, exact: None, watch, repeated: 0, constant: Vec::new() }
    }

    /// Runs that were repeated in f32.
    pub fn repeated(&self) -> usize {
        self.repeated
    }
}

impl<N: Kept> TileNet for Guard<'_, N> {
    fn input(&mut self) -> &mut [u8] {
        self.nets[self.next].input()
    }

    fn run(&mut self) -> Result<&[f32]> {
        self.start()?;
        self.finish()
    }

    fn depth(&self) -> usize {
        self.nets.len()
    }

    fn start(&mut self) -> Result<()> {
        self.nets[self.next].start()?;
        self.next = (self.next + 1) % self.nets.len();
        self.running += 1;
        Ok(())
    }

    fn finish(&mut self) -> Result<&[f32]> {
        let count = self.nets.len();
        let net = &mut self.nets[(self.next + count - self.running) % count];
        self.running = self.running.saturating_sub(1);
        net.finish()?;
        let mut seen = self.watch.look(net);
        let mut last = net;
        if let (Some(load), false) = (&self.load, seen.is_fine()) {
            let exact = match self.exact.take() {
                Some(exact) => exact,
                None => load()?,
            };
            let exact = self.exact.insert(exact);
            self.repeated += 1;
            exact.input().copy_from_slice(last.input());
            exact.run()?;
            seen = self.watch.look(exact);
            last = exact;
        }
        match (seen.finite, &self.load) {
            (true, _) => {}
            (false, None) => {
                return Err(Error::weights("the network's result is no number; are its weights whole?"))
            }
            (false, Some(_)) => {
                return Err(Error::device("the result is no number, in f32 either; are the weights whole?"))
            }
        }
        self.constant = seen.constant;
        Ok(last.last())
    }

    fn constant(&self) -> &[usize] {
        &self.constant
    }
}

/// What is to be seen of the tiles of a run.
struct Seen {
    /// All are numbers.
    finite: bool,
    /// Tiles with one number in each band, though their input varies.
    constant: Vec<usize>,
}

impl Seen {
    fn is_fine(&self) -> bool {
        self.finite && self.constant.is_empty()
    }
}

impl Watch {
    /// Looks at the last run.
    fn look(&self, net: &mut impl Kept) -> Seen {
        let values = net.last();
        let tile = (values.len() / self.batch.max(1)).max(1);
        let plane = self.planes[1].clamp(1, tile);
        let (finite, varies) = (AtomicBool::new(true), flags(values.len() / plane));
        let pieces = values.chunks_exact(plane).zip(&varies).flat_map(|(plane, varies)| {
            plane.chunks(VALUES).map(move |part| (part, plane.first().copied().unwrap_or_default(), varies))
        });
        spread(self.threads.min(values.len() / VALUES), pieces.collect(), |(part, first, varies)| {
            let boxes = self.meaning == Meaning::Boxes;
            let is_number = |v: f32| v.is_finite() | (boxes & (v == NO_OBJECT));
            // Without leaving early, so that it runs as fast as memory.
            let (all, any) =
                part.iter().fold((true, false), |(all, any), v| (all & is_number(*v), any | (*v != first)));
            finite.fetch_and(all, Ordering::Relaxed);
            varies.fetch_or(any, Ordering::Relaxed);
        });
        let says_something = |(plane, varies): (&[f32], &AtomicBool)| {
            let sure = self.meaning == Meaning::Probabilities && (plane[0] == 0.0 || plane[0] == 1.0);
            varies.load(Ordering::Relaxed) || sure
        };
        let planes: Vec<bool> = values.chunks_exact(plane).zip(&varies).map(says_something).collect();
        let tiles = planes.chunks_exact((tile / plane).max(1)).enumerate();
        let constant = tiles.filter(|(_, planes)| !planes.contains(&true)).map(|(k, _)| k);
        let constant: Vec<usize> = match self.meaning {
            Meaning::Boxes => Vec::new(),
            _ => constant.collect(),
        };
        Seen { finite: finite.into_inner(), constant: self.varying(net, constant) }
    }

    /// Those tiles whose input varies.
    fn varying(&self, net: &mut impl Kept, tiles: Vec<usize>) -> Vec<usize> {
        let bytes = net.input();
        let tile = (bytes.len() / self.batch.max(1)).max(1);
        let plane_varies = |plane: &[u8]| {
            let mut elements = plane.chunks_exact(self.element);
            let first = elements.next();
            elements.any(|v| Some(v) != first)
        };
        let varies = |k: &usize| {
            let planes = bytes.chunks_exact(tile).nth(*k).unwrap_or_default();
            planes.chunks(self.planes[0].max(1) * self.element).any(plane_varies)
        };
        tiles.into_iter().filter(varies).collect()
    }
}

fn flags(n: usize) -> Vec<AtomicBool> {
    (0..n).map(|_| AtomicBool::new(false)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives what it is told to, whatever the input.
    struct Fixed {
        input: Vec<f32>,
        output: Vec<f32>,
    }

    impl TileNet for Fixed {
        fn input(&mut self) -> &mut [u8] {
            bytemuck::cast_slice_mut(&mut self.input)
        }

        fn run(&mut self) -> Result<&[f32]> {
            Ok(&self.output)
        }
    }

    impl Kept for Fixed {
        fn last(&self) -> &[f32] {
            &self.output
        }
    }

    fn fixed(output: &[f32]) -> Fixed {
        Fixed { input: vec![0.0; 4], output: output.to_vec() }
    }

    const VARIED: [f32; 4] = [0.0, 1.0, 2.0, 3.0];

    /// Two tiles of two pixels.
    fn watch(meaning: Meaning) -> Watch {
        Watch { batch: 2, planes: [2, 2], element: 4, meaning, threads: 2 }
    }

    /// What a guard of two tiles gives for a rounded and an exact result: the result, how often it repeated, and the
    /// tiles that are constant all the same.
    fn guarded(
        input: [f32; 4],
        rounded: &[f32],
        exact: &'static [f32],
        meaning: Meaning,
    ) -> (Result<Vec<f32>>, usize, Vec<usize>) {
        let load = move || Ok(fixed(exact));
        let mut guard = Guard::new(vec![fixed(rounded)], watch(meaning), Some(Box::new(load)));
        guard.input().copy_from_slice(bytemuck::cast_slice(&input));
        let output = guard.run().map(<[f32]>::to_vec);
        (output, guard.repeated(), guard.constant().to_vec())
    }

    #[test]
    fn only_what_is_no_result_is_repeated() {
        let exact = &[5.0, 6.0, 7.0, 8.0][..];
        let fine = [1.0, 2.0, 3.0, 4.0];
        let guarded = |input, rounded: &[f32], exact| guarded(input, rounded, exact, Meaning::Numbers);
        assert!(matches!(guarded(VARIED, &fine, exact), (Ok(y), 0, told) if y == fine && told.is_empty()));
        for bad in [[1.0, f32::NAN, 3.0, 4.0], [1.0, 2.0, 3.0, f32::NEG_INFINITY], [1.0, 2.0, 3.0, 3.0]] {
            let (y, repeated, told) = guarded(VARIED, &bad, exact);
            assert!(y.unwrap() == exact && repeated == 1 && told.is_empty(), "{bad:?}");
        }
        // A constant tile of a constant input, and one that is constant in f32 too.
        let constant = [1.0, 2.0, 3.0, 3.0];
        let of_constant = guarded([0.0, 1.0, 2.0, 2.0], &constant, exact);
        assert!(matches!(of_constant, (Ok(y), 0, told) if y == constant && told.is_empty()));
        let in_f32_too = guarded(VARIED, &constant, &[1.0, 2.0, 3.0, 3.0]);
        assert!(matches!(in_f32_too, (Ok(y), 1, told) if y == constant && told == [1]));
    }

    #[test]
    fn a_band_that_varies_is_enough_and_probabilities_may_be_sure() {
        // One tile of two bands of two pixels.
        let constant = |output: [f32; 4], meaning| {
            let watch = Watch { batch: 1, planes: [2, 2], element: 4, meaning, threads: 1 };
            let mut guard = Guard::new(vec![fixed(&output)], watch, None);
            guard.input().copy_from_slice(bytemuck::cast_slice(&VARIED));
            guard.run().unwrap();
            guard.constant().len()
        };
        for meaning in [Meaning::Numbers, Meaning::Probabilities] {
            assert_eq!(constant([1.0, 1.0, 0.0, 1e-9], meaning), 0);
            assert_eq!(constant([0.3, 0.3, 0.7, 0.7], meaning), 1);
        }
        assert_eq!(constant([1.0, 1.0, 0.0, 0.0], Meaning::Probabilities), 0);
        assert_eq!(constant([1.0, 1.0, 0.0, 0.0], Meaning::Numbers), 1);
    }

    #[test]
    fn tiles_without_boxes_are_results() {
        let none = [f32::NEG_INFINITY; 4];
        let (y, repeated, told) = guarded(VARIED, &none, &[0.0; 4], Meaning::Boxes);
        assert!(y.unwrap() == none && repeated == 0 && told.is_empty());
        let (y, ..) = guarded(VARIED, &[f32::NAN; 4], &[0.0; 4], Meaning::Boxes);
        assert_eq!(y.unwrap(), [0.0; 4]);
    }

    /// Gives its input back when a run is finished.
    struct Echo {
        input: Vec<f32>,
        output: Vec<f32>,
    }

    impl TileNet for Echo {
        fn input(&mut self) -> &mut [u8] {
            bytemuck::cast_slice_mut(&mut self.input)
        }

        fn run(&mut self) -> Result<&[f32]> {
            self.output.clone_from(&self.input);
            Ok(&self.output)
        }
    }

    impl Kept for Echo {
        fn last(&self) -> &[f32] {
            &self.output
        }
    }

    #[test]
    fn sessions_take_turns_and_results_come_in_order() {
        let echo = || Echo { input: vec![0.0; 2], output: Vec::new() };
        let mut guard = Guard::new(vec![echo(), echo()], Watch { batch: 1, ..watch(Meaning::Boxes) }, None);
        assert_eq!(guard.depth(), 2);
        let mut results = Vec::new();
        for k in 0..5 {
            guard.input().copy_from_slice(bytemuck::cast_slice(&[k as f32; 2]));
            guard.start().unwrap();
            if k > 0 {
                results.push(guard.finish().unwrap()[0]);
            }
        }
        results.push(guard.finish().unwrap()[1]);
        assert_eq!(results, [0.0, 1.0, 2.0, 3.0, 4.0]);
    }

    #[test]
    fn what_is_no_number_in_f32_is_an_error() {
        let (result, ..) = guarded(VARIED, &[f32::NAN; 4], &[1.0, 2.0, 3.0, f32::NAN], Meaning::Numbers);
        assert_eq!(result.unwrap_err().kind(), crate::Kind::Device);
        let mut in_f32 = Guard::new(vec![fixed(&[f32::NAN; 4])], watch(Meaning::Numbers), None);
        assert_eq!(in_f32.run().unwrap_err().kind(), crate::Kind::Weights);
    }
}
