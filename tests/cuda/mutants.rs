//! Mutants of every entry: each barrier, wait, fence and bounds predicate is left out in turn, and the
//! launches of the cases must miss it. What they need not miss is listed in `survivors`, with the reason.

use std::collections::BTreeMap;
use std::path::Path;

use ptx_machine::mutate::{sites, Site, SiteKind};
use ptx_machine::Entry;
use rayon::prelude::*;

use crate::machine::ENTRIES;
use crate::proof::PROOF;
use crate::survivors::SURVIVORS;

/// A line of a kernel's source: file and text.
type Line = (String, String);

/// The line that a site belongs to.
fn line_of(sources: &BTreeMap<String, Vec<String>>, site: &Site) -> Line {
    let place = site.source_line.as_deref().unwrap_or_default();
    let (file, number) = place.rsplit_once(':').unwrap_or_else(|| panic!("{} has no line", site.text));
    let file = file.rsplit('/').next().unwrap_or(file);
    let text = &sources[file][number.parse::<usize>().unwrap() - 1];
    (file.to_string(), text.trim().to_string())
}

/// The kernels' sources by name.
fn sources() -> BTreeMap<String, Vec<String>> {
    let mut sources = BTreeMap::new();
    for folder in ["kernels", "kernels/include"] {
        for file in Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).read_dir().unwrap() {
            let path = file.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().to_string();
            if name.ends_with(".cu") || name.ends_with(".cuh") {
                let text = std::fs::read_to_string(path).unwrap();
                sources.insert(name, text.lines().map(str::to_string).collect());
            }
        }
    }
    sources
}

#[test]
fn what_is_left_out_is_missed() {
    let sources = sources();
    let explained: BTreeMap<(Line, SiteKind), &str> =
        SURVIVORS.iter().map(|s| (((s.file.into(), s.line.into()), s.kind), s.why)).collect();
    let mut mutants: Vec<(&str, &Entry, Site)> = Vec::new();
    for (name, entry) in &*ENTRIES {
        mutants.extend(sites(entry).into_iter().map(|site| (*name, entry, site)));
    }
    // Waited for here: the proof needs the threads that go through the mutants.
    let launched = &PROOF.launched;
    let killed = |name: &str, mutant: &Entry| launched[name].iter().any(|l| l.repeated_with(mutant).is_err());
    let outcomes: Vec<_> = mutants
        .into_par_iter()
        .map(|(name, entry, site)| (name, killed(name, &entry.without(&site)), site))
        .collect();

    let mut counts: BTreeMap<&str, [usize; 2]> = BTreeMap::new();
    let mut alive: BTreeMap<(Line, SiteKind), Vec<String>> = BTreeMap::new();
    for (name, killed, site) in outcomes {
        let count = counts.entry(name).or_default();
        count[0] += 1;
        if !killed {
            count[1] += 1;
            let of = (line_of(&sources, &site), site.kind);
            alive.entry(of).or_default().push(format!("{name}: {}", site.text));
        }
    }
    counts.iter().for_each(|(name, [n, alive])| println!("{name}: {n} mutants, {alive} survive"));
    let mut faults = Vec::new();
    for (of, mutants) in &alive {
        let ((file, line), kind) = of;
        match explained.get(of) {
            Some(why) => println!("{} survive: {kind:?} in {file}: {line}: {why}", mutants.len()),
            None => faults.push(format!("not explained, {kind:?} in {file}: {line}: {mutants:#?}")),
        }
    }
    for s in SURVIVORS {
        let mutants = alive.get(&((s.file.into(), s.line.into()), s.kind)).map_or(0, Vec::len);
        if mutants != s.mutants {
            faults.push(format!(
                "{mutants} of {:?} in {}: {} survive, {} are explained",
                s.kind, s.file, s.line, s.mutants
            ));
        }
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}
