//! One point of the landscape, without a date: what covers it, and what it reflects on a given day.

use super::spectra::{Material, Plant};

/// Ground and the leaves over it.
#[derive(Debug, Clone, Copy)]
pub struct Cover {
    /// The ground.
    pub material: Material,
    /// What grows on it.
    pub plant: Plant,
    /// Share covered by leaves when the plant is fully green, `0..1`.
    pub leaves: f32,
    /// Earlier or later than others of its kind, `0..1`.
    pub phase: f32,
    /// Factor on the reflectance.
    pub bright: f32,
}

impl Cover {
    /// Ground without leaves.
    pub fn bare(material: Material, bright: f32) -> Self {
        Self { material, plant: Plant::Grass, leaves: 0.0, phase: 0.5, bright }
    }

    /// Leaves over soil.
    pub fn grown(plant: Plant, leaves: f32, phase: f32, bright: f32) -> Self {
        let material = match plant {
            Plant::Cereal | Plant::Rape => Material::Straw,
            _ => Material::Soil,
        };
        Self { material, plant, leaves, phase, bright }
    }
}

/// A point of the landscape: a base, a share of it hidden by something else (road, roof, water, crown),
/// and shade over both.
#[derive(Debug, Clone, Copy)]
pub struct Surface {
    /// What lies below.
    pub base: Cover,
    /// What lies above.
    pub over: Cover,
    /// Share of the point's pixel that `over` covers, `0..1`.
    pub alpha: f32,
    /// Factor of direct light, 1 in the sun.
    pub light: f32,
}

impl Surface {
    /// Nothing above the base.
    pub fn of(base: Cover) -> Self {
        Self { base, over: base, alpha: 0.0, light: 1.0 }
    }

    /// Puts `cover` over a share of the point. What hides less of it is folded away.
    pub fn put(&mut self, cover: Cover, share: f32) {
        let share = share.clamp(0.0, 1.0);
        if share <= 0.0 {
            return;
        }
        if self.alpha > 0.5 {
            self.base = self.over;
        }
        self.over = cover;
        self.alpha = share;
    }

    /// Changes the brightness of what lies on top.
    pub fn tint(&mut self, factor: f32) {
        self.base.bright *= factor;
        self.over.bright *= factor;
    }
}

/// The look of a day: how green each plant is.
#[derive(Debug, Clone)]
pub struct Palette {
    green: Vec<[f32; PHASES]>,
}

const PHASES: usize = 64;

impl Palette {
    /// The palette of a day of the year (1 = first of January).
    pub fn of_day(day: f32) -> Self {
        let at =
            |plant: &Plant| std::array::from_fn(|i| plant.greenness(day, i as f32 / (PHASES - 1) as f32));
        Self { green: Plant::ALL.iter().map(at).collect() }
    }

    /// Reflectance of a point in some of Sentinel-2's bands (indices into `spectra::BANDS`).
    pub fn reflect<const N: usize>(&self, surface: &Surface, bands: &[usize; N]) -> [f32; N] {
        let base = self.cover(&surface.base, bands);
        if surface.alpha <= 0.0 {
            return base.map(|v| v * surface.light);
        }
        let over = self.cover(&surface.over, bands);
        std::array::from_fn(|i| (base[i] + (over[i] - base[i]) * surface.alpha) * surface.light)
    }

    fn cover<const N: usize>(&self, cover: &Cover, bands: &[usize; N]) -> [f32; N] {
        let phase = (cover.phase.clamp(0.0, 1.0) * (PHASES - 1) as f32) as usize;
        let green = self.green[cover.plant as usize][phase.min(PHASES - 1)] * cover.leaves;
        let (ground, leaf) = (cover.material.spectrum(), cover.plant.spectrum());
        bands.map(|b| {
            let (g, l) = (ground[b % 13], leaf[b % 13]);
            // Brightness acts on what comes from the ground, not on the light the air scatters.
            let air = AIR[b % 13];
            air + (g + (l - g) * green - air) * cover.bright
        })
    }
}

/// Reflectance of the air alone above dark ground, per band: what haze adds.
pub const AIR: [f32; 13] =
    [0.100, 0.065, 0.038, 0.020, 0.015, 0.012, 0.010, 0.008, 0.007, 0.004, 0.001, 0.001, 0.001];
