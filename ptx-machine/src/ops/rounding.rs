//! Rounding to a narrower type in every mode, from a double and the error it carries: an exact sum,
//! product or quotient is `value + error` with `error` below half a unit in the last place of `value`.

/// The four modes of the PTX manual.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rounding {
    /// `rn`: to nearest, ties to even.
    Nearest,
    /// `rz`: towards zero.
    Zero,
    /// `rm`: towards minus infinity.
    Down,
    /// `rp`: towards plus infinity.
    Up,
}

impl Rounding {
    /// Reads a modifier; the forms with `i` round to an integer.
    pub fn parse(word: &str) -> Option<Rounding> {
        Some(match word {
            "rn" | "rni" => Rounding::Nearest,
            "rz" | "rzi" => Rounding::Zero,
            "rm" | "rmi" => Rounding::Down,
            "rp" | "rpi" => Rounding::Up,
            _ => return None,
        })
    }
}

/// The sum of two doubles and what rounding it lost (Knuth's two-sum).
pub fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let s = a + b;
    let from_b = s - a;
    (s, (a - (s - from_b)) + (b - from_b))
}

/// Rounds an exact `value + error` to f32.
pub fn to_f32(value: f64, error: f64, mode: Rounding) -> f32 {
    let odd = to_odd(value, error);
    let near = odd as f32;
    if mode == Rounding::Nearest || !odd.is_finite() {
        return near;
    }
    let over = near as f64 > odd;
    let under = (near as f64) < odd;
    match mode {
        Rounding::Zero if odd > 0.0 && over => near.next_down(),
        Rounding::Zero if odd < 0.0 && under => near.next_up(),
        Rounding::Down if over => near.next_down(),
        Rounding::Up if under => near.next_up(),
        _ => near,
    }
}

/// Makes an inexact value odd, so that rounding it once more goes the way of the exact one.
pub fn to_odd(value: f64, error: f64) -> f64 {
    if error == 0.0 || !error.is_finite() || !value.is_finite() || value.to_bits() & 1 == 1 {
        return value;
    }
    if error > 0.0 {
        value.next_up()
    } else {
        value.next_down()
    }
}

/// Rounds to an integral value.
pub fn integral(x: f64, mode: Rounding) -> f64 {
    match mode {
        Rounding::Nearest => x.round_ties_even(),
        Rounding::Zero => x.trunc(),
        Rounding::Down => x.floor(),
        Rounding::Up => x.ceil(),
    }
}

/// Rounds a double to one with fewer bits of mantissa and f32's exponent range (`bits` kept after the
/// leading one), by the mode; used for the short formats. Ties of `Nearest` go to even.
pub fn shorten(x: f32, bits: u32, mode: Rounding) -> f32 {
    if !x.is_finite() {
        return x;
    }
    let drop = 23 - bits;
    let low = (1u32 << drop) - 1;
    let raw = x.to_bits();
    let cut = raw & !low;
    let rest = raw & low;
    let half = 1u32 << (drop - 1);
    let up = match mode {
        Rounding::Nearest => rest > half || (rest == half && cut >> drop & 1 == 1),
        Rounding::Zero => false,
        Rounding::Down => rest != 0 && x < 0.0,
        Rounding::Up => rest != 0 && x > 0.0,
    };
    f32::from_bits(if up { cut.wrapping_add(1 << drop) } else { cut })
}
