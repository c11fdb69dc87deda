//! A network, watched: what comes out as no numbers is an error; where factors are rounded, such a tile, or one that is
//! one number all over, is computed again in f32 first.

use super::stream::TileNet;
use crate::engine::{Engine, LoadedModel, Session};
use crate::error::{Error, Result};
use crate::models::{HeadKind, InputSize, NO_OBJECT};

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

/// A network in sessions that run in turn, and the same without rounding for tiles that need it.
pub struct Guard<'a, N> {
    nets: Vec<N>,
    /// The session whose input is filled next, and how many before it are running.
    next: usize,
    running: usize,
    /// Loads the network without rounding; absent where nothing is rounded.
    load: Option<Box<dyn Fn() -> Result<N> + 'a>>,
    exact: Option<N>,
    batch: usize,
    /// What rows that hold no object have for a score; NaN, which nothing equals, where results are no objects.
    no_object: f32,
    repeated: usize,
}

impl<'a> Guard<'a, Session> {
    /// Watches a loaded network; its engine may round in a way that results might not survive.
    pub fn of(engine: &Engine, model: &'a LoadedModel, size: InputSize, nets: Vec<Session>) -> Self {
        let load = engine.unrounded().map(|exact| -> Box<dyn Fn() -> Result<Session> + 'a> {
            Box::new(move || exact.compile(model, size, &[], None))
        });
        let finds = model.network().heads().iter().any(|h| matches!(h.kind, HeadKind::Detector { .. }));
        let no_object = if finds { NO_OBJECT } else { f32::NAN };
        Self { no_object, ..Self::new(nets, size.batch, load) }
    }
}

impl<'a, N: Kept> Guard<'a, N> {
    /// Watches the sessions, at least one, of a network that takes `batch` tiles at once, where `load` gives the same
    /// without rounding.
    pub fn new(nets: Vec<N>, batch: usize, load: Option<Box<dyn Fn() -> Result<N> + 'a>>) -> Self {
        Self {
            nets,
            next: 0,
            running: 0,
            load,
            exact: None,
            batch: batch.max(1),
            no_object: f32::NAN,
            repeated: 0,
        }
    }

    /// Runs that were repeated in f32.
    pub fn repeated(&self) -> usize {
        self.repeated
    }
}

impl<N: Kept> TileNet for Guard<'_, N> {
    fn input(&mut self) -> &mut [f32] {
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
        if self.load.is_none() && !is_finite(net.last(), self.no_object) {
            return Err(Error::weights("the network's result is no number; are its weights whole?"));
        }
        if self.load.is_none() || !is_suspect(net, self.batch, self.no_object) {
            return Ok(net.last());
        }
        if let (Some(load), None) = (&self.load, &self.exact) {
            self.exact = Some(load()?);
        }
        let Some(exact) = &mut self.exact else { return Ok(net.last()) };
        self.repeated += 1;
        exact.input().copy_from_slice(net.input());
        match is_finite(exact.run()?, self.no_object) {
            true => Ok(exact.last()),
            false => Err(Error::device("the result is no number, in f32 either; are the weights whole?")),
        }
    }
}

/// Whether a tile of the last run is no result. A constant one is, where the input is not constant.
fn is_suspect(net: &mut impl Kept, batch: usize, no_object: f32) -> bool {
    let outputs = tiles(net.last(), batch);
    if outputs.clone().any(|tile| !is_finite(tile, no_object)) {
        return true;
    }
    let constant: Vec<usize> = outputs.enumerate().filter(|(_, t)| is_constant(t)).map(|(k, _)| k).collect();
    let mut inputs = tiles(net.input(), batch).enumerate();
    inputs.any(|(k, tile)| constant.contains(&k) && !is_constant(tile))
}

/// The tiles of a batch.
fn tiles(values: &[f32], batch: usize) -> impl Iterator<Item = &[f32]> + Clone {
    values.chunks_exact((values.len() / batch).max(1))
}

fn is_finite(values: &[f32], no_object: f32) -> bool {
    // Without leaving early, so that it runs as fast as memory.
    values.iter().fold(true, |all, v| all & (v.is_finite() | (*v == no_object)))
}

fn is_constant(values: &[f32]) -> bool {
    values.first().is_some_and(|first| values.iter().all(|v| v == first))
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
        fn input(&mut self) -> &mut [f32] {
            &mut self.input
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

    /// What a guard of two tiles gives for a rounded and an exact result, and how often it repeated.
    fn guarded(input: [f32; 4], rounded: &[f32], exact: &'static [f32]) -> (Result<Vec<f32>>, usize) {
        let mut guard = Guard::new(vec![fixed(rounded)], 2, Some(Box::new(move || Ok(fixed(exact)))));
        guard.input().copy_from_slice(&input);
        let output = guard.run().map(<[f32]>::to_vec);
        (output, guard.repeated())
    }

    #[test]
    fn only_what_is_no_result_is_repeated() {
        let (varied, exact) = ([0.0, 1.0, 2.0, 3.0], &[5.0, 6.0, 7.0, 8.0][..]);
        let fine = [1.0, 2.0, 3.0, 4.0];
        assert!(matches!(guarded(varied, &fine, exact), (Ok(y), 0) if y == fine));
        for bad in [[1.0, f32::NAN, 3.0, 4.0], [1.0, 2.0, 3.0, f32::NEG_INFINITY], [1.0, 2.0, 3.0, 3.0]] {
            assert!(matches!(guarded(varied, &bad, exact), (Ok(y), 1) if y == exact), "{bad:?}");
        }
        // A constant tile of a constant input, and one that is constant in f32 too.
        let constant = [1.0, 2.0, 3.0, 3.0];
        assert!(matches!(guarded([0.0, 1.0, 2.0, 2.0], &constant, exact), (Ok(y), 0) if y == constant));
        assert!(matches!(guarded(varied, &constant, &[1.0, 2.0, 3.0, 3.0]), (Ok(y), 1) if y == constant));
    }

    #[test]
    fn rows_without_an_object_are_a_result() {
        let mut guard = Guard::new(
            vec![fixed(&[0.0, 0.0, 0.0, 0.0, NO_OBJECT, 0.0])],
            1,
            Some(Box::new(|| Ok(fixed(&[f32::NAN; 6])))),
        );
        guard.input().copy_from_slice(&[0.0, 1.0, 2.0, 3.0]);
        guard.no_object = NO_OBJECT;
        assert!(guard.run().is_ok() && guard.repeated() == 0);
    }

    /// Gives its input back when a run is finished.
    struct Echo {
        input: Vec<f32>,
        output: Vec<f32>,
    }

    impl TileNet for Echo {
        fn input(&mut self) -> &mut [f32] {
            &mut self.input
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
        let mut guard = Guard::new(vec![echo(), echo()], 1, None);
        assert_eq!(guard.depth(), 2);
        let mut results = Vec::new();
        for k in 0..5 {
            guard.input().fill(k as f32);
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
        let (result, _) = guarded([0.0, 1.0, 2.0, 3.0], &[f32::NAN; 4], &[1.0, 2.0, 3.0, f32::NAN]);
        assert_eq!(result.unwrap_err().kind(), crate::Kind::Device);
        let mut plain = Guard::new(vec![fixed(&[f32::NAN; 4])], 2, None);
        assert_eq!(plain.run().unwrap_err().kind(), crate::Kind::Weights);
    }
}
