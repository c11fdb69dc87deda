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
    /// The task of that name, as configurations spell it.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "segment" => Self::Segment,
            "bin_segment" => Self::BinSegment,
            "regress" => Self::Regress,
            "classification" => Self::Classification,
            "multi-label-classification" => Self::MultiLabel,
            "detect" => Self::Detect,
            "instance" => Self::Instance,
            _ => return None,
        })
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

/// The heads of a published configuration.
#[derive(Debug)]
pub struct Published {
    /// File name of the configuration, or the end of it.
    pub config: &'static str,
    /// Known tasks, in the order of the heads.
    pub tasks: &'static [&'static str],
}

/// The published configuration whose file name that is, with or without folders before it.
pub fn published(file: &str) -> Option<&'static Published> {
    let file = file.trim_start_matches("./");
    let fits = |p: &&Published| file == p.config || file.ends_with(&format!("/{}", p.config));
    PUBLISHED.iter().find(fits)
}

/// Images that the published model with these tasks was made for, where it takes several.
pub fn published_images(tasks: &[&str]) -> usize {
    match tasks {
        ["wind_turbine" | "solar_farm"] => 4,
        ["tree_cover" | "marine_infrastructure"] => 3,
        _ if tasks.contains(&"rooftop_solar_panel") => 4,
        _ => 8,
    }
}

/// The heads of the published models, each list once.
pub fn heads_of_published() -> impl Iterator<Item = &'static [&'static str]> {
    let first = |(k, published): (usize, &'static Published)| {
        PUBLISHED[..k].iter().all(|other| other.tasks != published.tasks).then_some(published.tasks)
    };
    PUBLISHED.iter().enumerate().filter_map(first)
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
    Published { config: "aerial/swinb_mi.txt", tasks: AERIAL_SWINB_MI },
    Published { config: "aerial/swinb_mi_fixed.txt", tasks: AERIAL_SWINB_MI_FIXED },
    Published { config: "aerial/swinb_si.txt", tasks: AERIAL_SWINB_SI },
    Published { config: "aerial/swinb_si_fixed.txt", tasks: AERIAL_SWINB_MI_FIXED },
    Published { config: "aerial/swinb_si_pretrain.txt", tasks: AERIAL_SWINB_SI_PRETRAIN },
    Published { config: "landsat/swinb_mi.txt", tasks: LANDSAT_SWINB_MI },
    Published { config: "landsat/swinb_si.txt", tasks: LANDSAT_SWINB_MI },
    Published { config: "satlas_explorer_marine_infrastructure.txt", tasks: &["marine_infrastructure"] },
    Published { config: "satlas_explorer_solar_farm.txt", tasks: &["solar_farm"] },
    Published { config: "satlas_explorer_tree_cover.txt", tasks: &["tree_cover"] },
    Published { config: "satlas_explorer_wind_turbine.txt", tasks: &["wind_turbine"] },
    Published { config: "sentinel1/swinb_mi.txt", tasks: LANDSAT_SWINB_MI },
    Published { config: "sentinel1/swinb_si.txt", tasks: LANDSAT_SWINB_MI },
    Published { config: "sentinel2/resnet152_mi_ms.txt", tasks: SENTINEL2_RESNET152_MI_MS },
    Published { config: "sentinel2/resnet152_mi_rgb.txt", tasks: SENTINEL2_RESNET152_MI_MS },
    Published { config: "sentinel2/resnet152_si_ms.txt", tasks: SENTINEL2_RESNET152_MI_MS },
    Published { config: "sentinel2/resnet152_si_rgb.txt", tasks: SENTINEL2_RESNET152_MI_MS },
    Published { config: "sentinel2/resnet50_mi_ms.txt", tasks: SENTINEL2_RESNET152_MI_MS },
    Published { config: "sentinel2/resnet50_mi_rgb.txt", tasks: SENTINEL2_RESNET152_MI_MS },
    Published { config: "sentinel2/resnet50_si_ms.txt", tasks: SENTINEL2_RESNET152_MI_MS },
    Published { config: "sentinel2/resnet50_si_rgb.txt", tasks: SENTINEL2_RESNET152_MI_MS },
    Published { config: "sentinel2/swinb_mi_ms.txt", tasks: SENTINEL2_SWINB_MI_MS },
    Published { config: "sentinel2/swinb_mi_ms_fixed.txt", tasks: SENTINEL2_RESNET152_MI_MS },
    Published { config: "sentinel2/swinb_mi_rgb.txt", tasks: SENTINEL2_SWINB_MI_MS },
    Published { config: "sentinel2/swinb_mi_rgb_fixed.txt", tasks: SENTINEL2_RESNET152_MI_MS },
    Published { config: "sentinel2/swinb_si_ms.txt", tasks: SENTINEL2_SWINB_SI_MS },
    Published { config: "sentinel2/swinb_si_ms_fixed.txt", tasks: SENTINEL2_SWINB_SI_MS_FIXED },
    Published { config: "sentinel2/swinb_si_rgb.txt", tasks: SENTINEL2_SWINB_SI_MS_FIXED },
    Published { config: "sentinel2/swint_mi_ms.txt", tasks: SENTINEL2_RESNET152_MI_MS },
    Published { config: "sentinel2/swint_mi_rgb.txt", tasks: SENTINEL2_RESNET152_MI_MS },
    Published { config: "sentinel2/swint_si_ms.txt", tasks: SENTINEL2_RESNET152_MI_MS },
    Published { config: "sentinel2/swint_si_rgb.txt", tasks: SENTINEL2_RESNET152_MI_MS },
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
