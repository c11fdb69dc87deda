//! Pieces of work done by several threads at once.

use std::sync::Mutex;
use std::thread::{scope, Builder};

/// Does each piece on up to `threads` threads, the caller's among them; pieces are begun in order.
pub fn spread<T: Send>(threads: usize, pieces: Vec<T>, act: impl Fn(T) + Sync) {
    let helpers = threads.min(pieces.len()).saturating_sub(1);
    let left = Mutex::new(pieces.into_iter());
    let next = || left.lock().ok().and_then(|mut left| left.next());
    let work = || {
        while let Some(piece) = next() {
            act(piece);
        }
    };
    scope(|scope| {
        for _ in 0..helpers {
            // A thread that cannot be had leaves its pieces to the others.
            let _ = Builder::new().spawn_scoped(scope, work);
        }
        work();
    });
}

#[cfg(test)]
mod tests {
    use super::spread;

    #[test]
    fn every_piece_is_done_once() {
        for threads in [0, 1, 3, 100] {
            let mut values = [1u32; 37];
            spread(threads, values.chunks_mut(5).enumerate().collect(), |(k, part)| {
                part.iter_mut().for_each(|v| *v += k as u32);
            });
            assert!(values.iter().enumerate().all(|(i, v)| *v as usize == 1 + i / 5), "{threads}");
        }
        spread(4, Vec::<u32>::new(), |_| unreachable!());
    }
}
