//! From the names in a file to the names a network uses: wrappers' prefixes and older spellings.

/// One older spelling. `*` stands for one part between dots; the parts carry over in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rename {
    /// The spelling found in files.
    pub from: &'static str,
    /// The network's own name.
    pub to: &'static str,
}

impl Rename {
    /// The new name, when `name` is of the older spelling.
    pub fn apply(&self, name: &str) -> Option<String> {
        let mut parts = name.split('.');
        let mut carried = Vec::new();
        for wanted in self.from.split('.') {
            let part = parts.next()?;
            match wanted.split_once('*') {
                None if wanted == part => {}
                None => return None,
                Some((before, after)) => {
                    carried.push(part.strip_prefix(before)?.strip_suffix(after)?);
                }
            }
        }
        if parts.next().is_some() {
            return None;
        }
        let mut carried = carried.into_iter();
        Some(self.to.chars().fold(String::new(), |mut out, c| {
            match c {
                '*' => out.push_str(carried.next().unwrap_or_default()),
                c => out.push(c),
            }
            out
        }))
    }
}

/// The name after the first rename that fits, or the name itself.
pub fn rename(name: &str, renames: &[Rename]) -> String {
    renames.iter().find_map(|r| r.apply(name)).unwrap_or_else(|| name.to_string())
}

/// The longest run of leading `prefixes` that *all* names share, as training wrappers leave it
/// (`module.`, `generator.`); empty when the names start as the network's do.
pub fn shared_prefix(names: &[&str], prefixes: &[&str]) -> String {
    let mut shared = String::new();
    while let Some(more) = prefixes.iter().find(|p| {
        let longer = format!("{shared}{p}");
        !names.is_empty() && names.iter().all(|name| name.starts_with(&longer) && name.len() > longer.len())
    }) {
        shared.push_str(more);
    }
    shared
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRUNK: Rename = Rename { from: "RRDB_trunk.*.RDB*.conv*.*", to: "body.*.rdb*.conv*.*" };

    #[test]
    fn renames_carry_their_parts() {
        assert_eq!(
            TRUNK.apply("RRDB_trunk.12.RDB3.conv5.weight").as_deref(),
            Some("body.12.rdb3.conv5.weight")
        );
        assert_eq!(TRUNK.apply("RRDB_trunk.12.RDB3.conv5"), None);
        assert_eq!(TRUNK.apply("RRDB_trunk.12.RDB3.conv5.weight.x"), None);
        assert_eq!(rename("conv_first.bias", &[TRUNK]), "conv_first.bias");
    }

    #[test]
    fn only_prefixes_that_all_names_share_are_stripped() {
        let prefixes = ["module.", "net_g."];
        assert_eq!(shared_prefix(&["net_g.module.a", "net_g.module.b"], &prefixes), "net_g.module.");
        assert_eq!(shared_prefix(&["module.a", "b"], &prefixes), "");
        assert_eq!(shared_prefix(&["module."], &prefixes), "");
        assert_eq!(shared_prefix(&[], &prefixes), "");
    }
}
