//! What the ground reflects: top-of-atmosphere spectra of materials and plants in Sentinel-2's 13 bands,
//! and how green each kind of plant is on a day of the year.

/// Sentinel-2's bands in ESA's order: B01 … B08, B8A, B09 … B12.
pub const BANDS: [&str; 13] =
    ["B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B10", "B11", "B12"];

/// Ground sampling distance of each band of [`BANDS`], metres.
pub const BAND_METRES: [u32; 13] = [60, 10, 10, 10, 20, 20, 20, 10, 20, 60, 60, 20, 20];

/// Indices into [`BANDS`] of red, green and blue.
pub const RGB: [usize; 3] = [3, 2, 1];

/// Reflectance in each of [`BANDS`].
pub type Spectrum = [f32; 13];

macro_rules! spectra {
    ($(#[$doc:meta])* $name:ident, $($(#[$item:meta])* $kind:ident: $spectrum:expr),* $(,)?) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $($(#[$item])* $kind),* }

        impl $name {
            /// All kinds, in order.
            pub const ALL: &'static [Self] = &[$(Self::$kind),*];

            /// Top-of-atmosphere reflectance.
            // A reflectance that happens to be near 1/π.
            #[allow(clippy::approx_constant)]
            pub fn spectrum(self) -> &'static Spectrum {
                match self { $(Self::$kind => &$spectrum),* }
            }
        }
    };
}

spectra! {
    /// Ground without leaves.
    Material,
    /// Dry brown loam.
    Soil: [0.135, 0.122, 0.128, 0.150, 0.170, 0.186, 0.197, 0.210, 0.222, 0.080, 0.002, 0.290, 0.230],
    /// Pale chalky or sandy soil.
    PaleSoil: [0.160, 0.155, 0.178, 0.215, 0.240, 0.258, 0.270, 0.285, 0.300, 0.110, 0.002, 0.370, 0.320],
    /// Straw and stubble.
    Straw: [0.138, 0.128, 0.148, 0.178, 0.205, 0.235, 0.255, 0.275, 0.290, 0.100, 0.002, 0.360, 0.260],
    /// Beach and bare sand.
    Sand: [0.190, 0.195, 0.235, 0.280, 0.310, 0.330, 0.345, 0.360, 0.375, 0.140, 0.003, 0.440, 0.390],
    /// Deep or clear water.
    Water: [0.112, 0.080, 0.055, 0.032, 0.028, 0.023, 0.022, 0.019, 0.018, 0.010, 0.001, 0.009, 0.006],
    /// Turbid or shallow water.
    Shallows: [0.122, 0.100, 0.096, 0.072, 0.062, 0.036, 0.034, 0.028, 0.024, 0.012, 0.001, 0.010, 0.007],
    /// Road surface.
    Asphalt: [0.130, 0.112, 0.108, 0.108, 0.112, 0.118, 0.122, 0.128, 0.132, 0.055, 0.002, 0.165, 0.150],
    /// Concrete, paving, aprons.
    Concrete: [0.170, 0.168, 0.182, 0.196, 0.205, 0.213, 0.220, 0.232, 0.236, 0.095, 0.002, 0.265, 0.245],
    /// Paint of road and runway markings.
    Paint: [0.330, 0.350, 0.365, 0.370, 0.372, 0.374, 0.375, 0.378, 0.380, 0.160, 0.003, 0.340, 0.290],
    /// Fired clay tiles.
    Tiles: [0.128, 0.112, 0.125, 0.188, 0.215, 0.230, 0.240, 0.250, 0.255, 0.100, 0.002, 0.310, 0.270],
    /// Slate and bitumen roofs.
    Slate: [0.125, 0.105, 0.098, 0.096, 0.098, 0.103, 0.107, 0.112, 0.115, 0.048, 0.002, 0.140, 0.130],
    /// Painted metal and membrane roofs of halls.
    Metal: [0.290, 0.300, 0.312, 0.318, 0.320, 0.322, 0.324, 0.330, 0.330, 0.150, 0.003, 0.330, 0.290],
    /// Blue painted roofs.
    BlueRoof: [0.190, 0.200, 0.175, 0.140, 0.140, 0.160, 0.180, 0.195, 0.200, 0.090, 0.002, 0.240, 0.210],
}

spectra! {
    /// Leaves that cover the ground.
    Plant,
    /// Broad-leaved trees.
    Broadleaf: [0.110, 0.074, 0.080, 0.050, 0.082, 0.215, 0.270, 0.285, 0.300, 0.100, 0.001, 0.140, 0.065],
    /// Conifers.
    Conifer: [0.106, 0.070, 0.065, 0.040, 0.058, 0.130, 0.160, 0.170, 0.180, 0.062, 0.001, 0.085, 0.038],
    /// Meadow and lawn.
    Grass: [0.114, 0.084, 0.100, 0.074, 0.120, 0.260, 0.310, 0.325, 0.345, 0.120, 0.001, 0.215, 0.115],
    /// Winter cereals.
    Cereal: [0.116, 0.088, 0.104, 0.080, 0.120, 0.270, 0.320, 0.340, 0.360, 0.125, 0.001, 0.210, 0.110],
    /// Maize and other summer crops.
    Maize: [0.112, 0.078, 0.086, 0.050, 0.095, 0.310, 0.385, 0.405, 0.425, 0.145, 0.001, 0.190, 0.085],
    /// Beet, potatoes, lucerne: the most vivid green.
    Beet: [0.114, 0.079, 0.102, 0.052, 0.105, 0.350, 0.435, 0.455, 0.475, 0.160, 0.001, 0.200, 0.090],
    /// Rape, in flower in May, straw-green in June.
    Rape: [0.118, 0.090, 0.134, 0.118, 0.150, 0.300, 0.350, 0.370, 0.390, 0.135, 0.001, 0.220, 0.120],
}

impl Plant {
    /// Share of its ground that the plant's leaves cover on a day of the year; `phase` in `0..1` sets
    /// one parcel a few weeks apart from another.
    pub fn greenness(self, day: f32, phase: f32) -> f32 {
        let day = day + 16.0 * (phase - 0.5);
        let bell = |rise: f32, fall: f32, slope: f32| {
            1.0 / (1.0 + (-(day - rise) / slope).exp()) / (1.0 + ((day - fall) / slope).exp())
        };
        match self {
            Self::Broadleaf => 0.45 + 0.5 * bell(110.0, 300.0, 9.0),
            Self::Conifer => 0.95,
            Self::Grass => 0.55 + 0.35 * bell(80.0, 250.0, 18.0),
            Self::Cereal => 0.15 + 0.78 * bell(60.0, 186.0, 11.0),
            Self::Maize => 0.06 + 0.88 * bell(166.0, 265.0, 10.0),
            Self::Beet => 0.10 + 0.86 * bell(142.0, 285.0, 10.0),
            Self::Rape => 0.20 + 0.72 * bell(60.0, 190.0, 10.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plants_have_a_red_edge_and_water_has_none() {
        for plant in Plant::ALL {
            let s = plant.spectrum();
            let ndvi = (s[7] - s[3]) / (s[7] + s[3]);
            assert!(ndvi > 0.45, "{plant:?}: {ndvi}");
        }
        let water = Material::Water.spectrum();
        assert!(water[7] < water[3] && water[3] < water[2]);
    }

    #[test]
    fn cereals_ripen_while_maize_grows() {
        let change = |p: Plant| p.greenness(205.0, 0.5) - p.greenness(150.0, 0.5);
        assert!(change(Plant::Cereal) < -0.5 && change(Plant::Maize) > 0.5);
        for plant in Plant::ALL {
            for day in 0..365 {
                assert!((0.0..=1.0).contains(&plant.greenness(day as f32, 0.3)));
            }
        }
    }
}
