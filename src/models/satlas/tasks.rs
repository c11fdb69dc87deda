//! The reference's tasks: what a head's numbers mean, and the heads of the published models.

/// What a head computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// One class per pixel: probabilities that sum to one.
    Segment,
    /// Any classes per pixel: a probability each.
    BinSegment,
    /// A number per pixel.
    Regress,
    /// One class per image.
    Classification,
    /// Any classes per image.
    MultiLabel,
    /// Boxes with classes.
    Detect,
    /// Boxes with classes and masks.
    Instance,
}

impl Task {
    /// All of them.
    const ALL: [Self; 7] = [
        Self::Segment,
        Self::BinSegment,
        Self::Regress,
        Self::Classification,
        Self::MultiLabel,
        Self::Detect,
        Self::Instance,
    ];

    /// The task of that name, as configurations spell it.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|task| task.name() == name)
    }

    /// Its name in configurations.
    pub fn name(self) -> &'static str {
        match self {
            Self::Segment => "segment",
            Self::BinSegment => "bin_segment",
            Self::Regress => "regress",
            Self::Classification => "classification",
            Self::MultiLabel => "multi-label-classification",
            Self::Detect => "detect",
            Self::Instance => "instance",
        }
    }
}

/// A task that configurations name without spelling it out.
#[derive(Debug)]
pub struct Known {
    /// Its name.
    pub name: &'static str,
    /// What it computes.
    pub task: Task,
    /// What its outputs stand for, in their order.
    pub categories: &'static [&'static str],
}

/// The known task of that name; names of tasks' kinds are not among them.
pub fn known(name: &str) -> Option<&'static Known> {
    KNOWN.iter().find(|known| known.name == name)
}

/// Names that tasks may be told by: known ones and kinds.
pub fn names() -> impl Iterator<Item = &'static str> {
    KNOWN.iter().map(|known| known.name).chain(Task::ALL.map(Task::name))
}

/// The known task of that kind that one of the models gives the head at a place.
pub fn of(models: &[&'static Published], place: usize, task: Task) -> Option<&'static Known> {
    let known = models.iter().filter_map(|model| known(model.tasks.get(place)?));
    known.into_iter().find(|known| known.task == task)
}

/// A published configuration.
#[derive(Debug)]
pub struct Published {
    /// Its file name, or the end of it.
    pub config: &'static str,
    /// Images the model was made for; one where its backbone is not wrapped to take several.
    pub images: usize,
    /// Channels of an image.
    pub channels: usize,
    /// Known tasks, in the order of the heads.
    pub tasks: &'static [&'static str],
}

/// The published configuration whose file name that is, with or without folders before it.
pub fn published(file: &str) -> Option<&'static Published> {
    let file = file.trim_start_matches("./");
    let fits = |p: &&Published| file == p.config || file.ends_with(&format!("/{}", p.config));
    PUBLISHED.iter().find(fits)
}

/// Images of a published model with these tasks whose backbone is wrapped; where there is none, of most of them.
pub fn published_images(tasks: &[&str]) -> usize {
    const MOST: usize = 8;
    PUBLISHED.iter().find(|p| p.images > 1 && p.tasks == tasks).map_or(MOST, |p| p.images)
}

/// The published configurations, those with the same tasks and channels once.
pub fn all_published() -> impl Iterator<Item = &'static Published> {
    let key = |p: &Published| (p.tasks, p.channels, p.images > 1);
    let first = move |(k, p): (usize, &'static Published)| {
        PUBLISHED[..k].iter().all(|other| key(other) != key(p)).then_some(p)
    };
    PUBLISHED.iter().enumerate().filter_map(first)
}

const fn row(
    config: &'static str,
    images: usize,
    channels: usize,
    tasks: &'static [&'static str],
) -> Published {
    Published { config, images, channels, tasks }
}

const fn known_task(name: &'static str, task: Task, categories: &'static [&'static str]) -> Known {
    Known { name, task, categories }
}

#[rustfmt::skip]
const KNOWN: &[Known] = &[
    known_task("polyline_bin_segment", Task::BinSegment, &[
        "airport_runway", "airport_taxiway", "raceway", "road", "railway", "river",
    ]),
    known_task("bin_segment", Task::BinSegment, &[
        "aquafarm", "lock", "dam", "solar_farm", "power_plant", "gas_station", "park", "parking_garage",
        "parking_lot", "landfill", "quarry", "stadium", "airport", "airport_runway", "airport_taxiway",
        "airport_apron", "airport_hangar", "airstrip", "airport_terminal", "ski_resort", "theme_park",
        "storage_tank", "silo", "track", "raceway", "wastewater_plant", "road", "railway", "river",
        "water_park", "pier", "water_tower", "street_lamp", "traffic_signals", "power_tower",
        "power_substation", "building", "bridge", "road_motorway", "road_trunk", "road_primary",
        "road_secondary", "road_tertiary", "road_residential", "road_service", "road_track",
        "road_pedestrian",
    ]),
    known_task("land_cover", Task::Segment, &[
        "background", "water", "developed", "tree", "shrub", "grass", "crop", "bare", "snow", "wetland",
        "mangroves", "moss",
    ]),
    known_task("tree_cover", Task::Regress, &[]),
    known_task("crop_type", Task::Segment, &[
        "invalid", "rice", "grape", "corn", "sugarcane", "tea", "hop", "wheat", "soy", "barley", "oats",
        "rye", "cassava", "potato", "sunflower", "asparagus", "coffee",
    ]),
    known_task("point", Task::Detect, &[
        "background", "wind_turbine", "lighthouse", "mineshaft", "aerialway_pylon", "helipad", "fountain",
        "toll_booth", "chimney", "communications_tower", "flagpole", "petroleum_well", "water_tower",
        "offshore_wind_turbine", "offshore_platform", "power_tower",
    ]),
    known_task("rooftop_solar_panel", Task::Detect, &["background", "rooftop_solar_panel"]),
    known_task("building", Task::Instance, &["background", "ms_building"]),
    known_task("polygon", Task::Instance, &[
        "background", "aquafarm", "lock", "dam", "solar_farm", "power_plant", "gas_station", "park",
        "parking_garage", "parking_lot", "landfill", "quarry", "stadium", "airport", "airport_apron",
        "airport_hangar", "airport_terminal", "ski_resort", "theme_park", "storage_tank", "silo", "track",
        "wastewater_plant", "power_substation", "pier", "crop", "water_park",
    ]),
    known_task("wildfire", Task::BinSegment, &["fire_retardant", "burned"]),
    known_task("smoke", Task::Classification, &["no", "partial", "yes"]),
    known_task("snow", Task::Classification, &["no", "partial", "yes"]),
    known_task("dem", Task::Regress, &[]),
    known_task("airplane", Task::Detect, &["background", "airplane"]),
    known_task("vessel", Task::Detect, &["background", "vessel"]),
    known_task("water_event", Task::Segment, &["invalid", "background", "water_event"]),
    known_task("park_sport", Task::Classification, &[
        "american_football", "badminton", "baseball", "basketball", "cricket", "rugby", "soccer", "tennis",
        "volleyball",
    ]),
    known_task("park_type", Task::Classification, &["park", "pitch", "golf_course", "cemetery"]),
    known_task("power_plant_type", Task::Classification, &["oil", "nuclear", "coal", "gas"]),
    known_task("quarry_resource", Task::Classification, &["sand", "gravel", "clay", "coal", "peat"]),
    known_task("track_sport", Task::Classification, &["running", "cycling", "horse"]),
    known_task("road_type", Task::Classification, &[
        "motorway", "trunk", "primary", "secondary", "tertiary", "residential", "service", "track",
        "pedestrian",
    ]),
    known_task("cloud", Task::BinSegment, &["background", "cloud", "shadow"]),
    known_task("flood", Task::BinSegment, &["background", "water"]),
    known_task("wind_turbine", Task::Detect, &["background", "wind_turbine"]),
    known_task("marine_infrastructure", Task::Detect, &[
        "background", "offshore_wind_turbine", "offshore_platform", "vessel",
    ]),
    known_task("solar_farm", Task::BinSegment, &["solar_farm"]),
];

#[rustfmt::skip]
const PUBLISHED: &[Published] = &[
    row("aerial/swinb_mi.txt", 4, 3, AERIAL_SWINB_MI),
    row("aerial/swinb_mi_fixed.txt", 4, 3, AERIAL_SWINB_MI_FIXED),
    row("aerial/swinb_si.txt", 1, 3, AERIAL_SWINB_SI),
    row("aerial/swinb_si_fixed.txt", 1, 3, AERIAL_SWINB_MI_FIXED),
    row("aerial/swinb_si_pretrain.txt", 1, 3, AERIAL_SWINB_SI_PRETRAIN),
    row("landsat/swinb_mi.txt", 8, 11, LANDSAT_SWINB_MI),
    row("landsat/swinb_si.txt", 1, 11, LANDSAT_SWINB_MI),
    row("satlas_explorer_marine_infrastructure.txt", 3, 3, &["marine_infrastructure"]),
    row("satlas_explorer_solar_farm.txt", 4, 9, &["solar_farm"]),
    row("satlas_explorer_tree_cover.txt", 3, 9, &["tree_cover"]),
    row("satlas_explorer_wind_turbine.txt", 4, 9, &["wind_turbine"]),
    row("sentinel1/swinb_mi.txt", 8, 2, LANDSAT_SWINB_MI),
    row("sentinel1/swinb_si.txt", 1, 2, LANDSAT_SWINB_MI),
    row("sentinel2/resnet152_mi_ms.txt", 8, 9, SENTINEL2_RESNET152_MI_MS),
    row("sentinel2/resnet152_mi_rgb.txt", 8, 3, SENTINEL2_RESNET152_MI_MS),
    row("sentinel2/resnet152_si_ms.txt", 1, 9, SENTINEL2_RESNET152_MI_MS),
    row("sentinel2/resnet152_si_rgb.txt", 1, 3, SENTINEL2_RESNET152_MI_MS),
    row("sentinel2/resnet50_mi_ms.txt", 8, 9, SENTINEL2_RESNET152_MI_MS),
    row("sentinel2/resnet50_mi_rgb.txt", 8, 3, SENTINEL2_RESNET152_MI_MS),
    row("sentinel2/resnet50_si_ms.txt", 1, 9, SENTINEL2_RESNET152_MI_MS),
    row("sentinel2/resnet50_si_rgb.txt", 1, 3, SENTINEL2_RESNET152_MI_MS),
    row("sentinel2/swinb_mi_ms.txt", 8, 9, SENTINEL2_SWINB_MI_MS),
    row("sentinel2/swinb_mi_ms_fixed.txt", 8, 9, SENTINEL2_RESNET152_MI_MS),
    row("sentinel2/swinb_mi_rgb.txt", 8, 3, SENTINEL2_SWINB_MI_MS),
    row("sentinel2/swinb_mi_rgb_fixed.txt", 8, 3, SENTINEL2_RESNET152_MI_MS),
    row("sentinel2/swinb_si_ms.txt", 1, 9, SENTINEL2_SWINB_SI_MS),
    row("sentinel2/swinb_si_ms_fixed.txt", 1, 9, SENTINEL2_SWINB_SI_MS_FIXED),
    row("sentinel2/swinb_si_rgb.txt", 1, 3, SENTINEL2_SWINB_SI_MS_FIXED),
    row("sentinel2/swint_mi_ms.txt", 8, 9, SENTINEL2_RESNET152_MI_MS),
    row("sentinel2/swint_mi_rgb.txt", 8, 3, SENTINEL2_RESNET152_MI_MS),
    row("sentinel2/swint_si_ms.txt", 1, 9, SENTINEL2_RESNET152_MI_MS),
    row("sentinel2/swint_si_rgb.txt", 1, 3, SENTINEL2_RESNET152_MI_MS),
];

#[rustfmt::skip]
const AERIAL_SWINB_MI: &[&str] = &[
    "polygon", "point", "land_cover", "dem", "crop_type", "tree_cover", "rooftop_solar_panel", "building",
];

#[rustfmt::skip]
const AERIAL_SWINB_MI_FIXED: &[&str] = &[
    "polygon", "point", "polyline_bin_segment", "land_cover", "dem", "crop_type", "tree_cover",
    "park_sport", "park_type", "power_plant_type", "quarry_resource", "track_sport", "road_type",
    "airplane", "rooftop_solar_panel", "building", "water_event",
];

#[rustfmt::skip]
const AERIAL_SWINB_SI: &[&str] = &[
    "polygon", "point", "bin_segment", "land_cover", "dem", "crop_type", "tree_cover", "park_sport",
    "park_type", "power_plant_type", "quarry_resource", "track_sport", "road_type", "rooftop_solar_panel",
    "building",
];

#[rustfmt::skip]
const AERIAL_SWINB_SI_PRETRAIN: &[&str] = &[
    "polygon", "point", "polyline_bin_segment", "land_cover", "dem", "crop_type", "tree_cover",
    "park_sport", "park_type", "power_plant_type", "quarry_resource", "track_sport", "road_type",
    "rooftop_solar_panel", "building",
];

#[rustfmt::skip]
const LANDSAT_SWINB_MI: &[&str] = &[
    "polygon", "point", "land_cover", "polyline_bin_segment", "dem", "crop_type", "tree_cover",
    "park_sport", "park_type", "power_plant_type", "quarry_resource", "track_sport", "road_type",
];

#[rustfmt::skip]
const SENTINEL2_RESNET152_MI_MS: &[&str] = &[
    "polygon", "point", "land_cover", "polyline_bin_segment", "dem", "crop_type", "tree_cover",
    "park_sport", "park_type", "power_plant_type", "quarry_resource", "track_sport", "road_type",
    "wildfire", "vessel", "smoke", "snow",
];

#[rustfmt::skip]
const SENTINEL2_SWINB_MI_MS: &[&str] = &[
    "polygon", "point", "land_cover", "dem", "crop_type", "tree_cover",
];

#[rustfmt::skip]
const SENTINEL2_SWINB_SI_MS: &[&str] = &[
    "polygon", "point", "land_cover", "dem", "crop_type", "tree_cover", "park_sport", "park_type",
    "power_plant_type", "quarry_resource", "track_sport", "road_type", "vessel",
];

#[rustfmt::skip]
const SENTINEL2_SWINB_SI_MS_FIXED: &[&str] = &[
    "polygon", "point", "land_cover", "polyline_bin_segment", "dem", "crop_type", "tree_cover",
    "park_sport", "park_type", "power_plant_type", "quarry_resource", "track_sport", "road_type",
    "wildfire", "vessel", "smoke", "snow", "flood", "cloud",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_heads_are_known_tasks() {
        for published in PUBLISHED {
            assert!(published.tasks.iter().all(|task| known(task).is_some()), "{}", published.config);
        }
        assert_eq!(published("configs/sentinel2/swint_si_rgb.txt").unwrap().tasks.len(), 17);
        assert!(published("sentinel2/none.txt").is_none());
    }
}
