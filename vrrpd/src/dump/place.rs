//! Where dumps go.

use std::path::{Path, PathBuf};

use keepalived_conf::GlobalDefs;

/// What is dumped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// How everything stands.
    Data,
    /// What keepalived's parent process would know of that.
    ParentData,
    /// The counters.
    Stats,
    /// Both, for programs.
    Json,
}

impl What {
    /// Its file: `state_dump_file` and its like, where a path that ends in `/` is a directory;
    /// else keepalived's own place. With `data_use_instance` the names of data files bear the
    /// `mark` that distinguishes this daemon from others on the host.
    pub(super) fn place(self, global: &GlobalDefs, mark: Option<&str>) -> PathBuf {
        let (named, usual) = match self {
            Self::Data | Self::ParentData => (&global.state_dump_file, "keepalived.data"),
            Self::Stats => (&global.stats_dump_file, "keepalived.stats"),
            Self::Json => (&global.json_dump_file, "keepalived.json"),
        };
        let place = match named {
            None => Path::new("/tmp").join(usual),
            Some(path) if path.as_os_str().as_encoded_bytes().ends_with(b"/") => path.join(usual),
            Some(path) => path.clone(),
        };
        let is_data = matches!(self, Self::Data | Self::ParentData);
        let mark = mark.filter(|_| is_data && global.data_use_instance);
        if mark.is_none() && self != Self::ParentData {
            return place;
        }
        let mut name = place.file_stem().unwrap_or_default().to_owned();
        if self == Self::ParentData {
            name.push("_parent");
        }
        let parts = [mark.map(AsRef::as_ref), place.extension()];
        for part in parts.into_iter().flatten() {
            name.push(".");
            name.push(part);
        }
        place.with_file_name(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_where_keepalived_or_the_configuration_puts_them() {
        let mut global = GlobalDefs::default();
        let check = |global: &GlobalDefs, mark, expected: [&str; 4]| {
            let all = [What::Data, What::ParentData, What::Stats, What::Json];
            let places = all.map(|what| what.place(global, mark));
            assert_eq!(places, expected.map(PathBuf::from));
        };
        let usual = [
            "/tmp/keepalived.data",
            "/tmp/keepalived_parent.data",
            "/tmp/keepalived.stats",
            "/tmp/keepalived.json",
        ];
        check(&global, Some("blue_lb1"), usual);
        // Measured: the other two stay as they are.
        global.data_use_instance = true;
        check(&global, None, usual);
        let marked = [
            "/tmp/keepalived.blue_lb1.data",
            "/tmp/keepalived_parent.blue_lb1.data",
            "/tmp/keepalived.stats",
            "/tmp/keepalived.json",
        ];
        check(&global, Some("blue_lb1"), marked);
        global.state_dump_file = Some("/run/k/".into());
        global.stats_dump_file = Some("/run/k/".into());
        global.json_dump_file = Some("/run/k/x".into());
        let named = [
            "/run/k/keepalived.lb1.data",
            "/run/k/keepalived_parent.lb1.data",
            "/run/k/keepalived.stats",
            "/run/k/x",
        ];
        check(&global, Some("lb1"), named);
        global.state_dump_file = Some("/run/k/state".into());
        let whole = [
            "/run/k/state.lb1",
            "/run/k/state_parent.lb1",
            "/run/k/keepalived.stats",
            "/run/k/x",
        ];
        check(&global, Some("lb1"), whole);
    }
}
