//! The resolved configuration: nothing in it has still to be read.

use cfgtext::Span;
use vrrp_core::settings::{Instance, Script, Tracker};

mod global;
mod notify;
pub mod routes;
mod shown;
mod tracking;
mod vmac;

pub use global::{GarpGroupDef, GlobalDefs};
pub use notify::{Command, FifoDef, NotifyDef};
pub use shown::InstanceDefaults;
pub use tracking::{ParamMatch, ScriptDef, TrackFileDef, TrackProcessDef};
pub use vmac::{AddressVmacDef, VmacDef};

use routes::{RouteDef, RuleDef, StaticAddressDef};

/// Everything that one configuration says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// `global_defs`.
    pub global: GlobalDefs,
    /// What `global_defs` sets for instances, as dumps show it: each instance has it resolved
    /// in its own settings.
    pub defaults: InstanceDefaults,
    /// The `vrrp_script` blocks that an instance tracks, in order; all of them can be run.
    pub scripts: Vec<ScriptDef>,
    /// The `track_file` blocks, in order; their files are initialised even if nobody tracks them.
    pub track_files: Vec<TrackFileDef>,
    /// The `vrrp_track_process` blocks that an instance tracks, in order.
    pub track_processes: Vec<TrackProcessDef>,
    /// The `vrrp_sync_group` blocks that have members, in order.
    pub sync_groups: Vec<SyncGroupDef>,
    /// The `vrrp_instance` blocks, in order.
    pub instances: Vec<InstanceDef>,
    /// The `track_group` blocks, in order.
    pub track_groups: Vec<TrackGroupDef>,
    /// `static_ipaddress`: set at the start, and there until the end.
    pub static_addresses: Vec<StaticAddressDef>,
    /// `static_routes`, likewise.
    pub static_routes: Vec<RouteDef>,
    /// `static_rules`, likewise.
    pub static_rules: Vec<RuleDef>,
}

/// One `track_group`: instances that something static can name. Nothing follows from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackGroupDef {
    /// Its name.
    pub name: String,
    /// Names of instances, in order; some may not be there.
    pub members: Vec<String>,
}

/// One `vrrp_sync_group`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SyncGroupDef {
    /// Its name.
    pub name: String,
    /// Names of its instances, in order; none is in two groups.
    pub members: Vec<String>,
    /// Whom it tells.
    pub notify: NotifyDef,
    /// Its own `track_script`, as dumps show it: the members have it in their settings.
    pub scripts: Vec<Script>,
    /// Its own trackers of other kinds, likewise.
    pub trackers: Vec<Tracker>,
    /// `sync_group_tracking_weight`
    pub weights: bool,
    /// `smtp_alert`; no mail is sent, but dumps show it.
    pub smtp_alert: bool,
}

/// One `vrrp_instance`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceDef {
    /// What the virtual router is told. `settings.scripts` names entries of [`Config::scripts`].
    pub settings: Instance,
    /// How many of its scripts are its own: the first ones; the others are its group's.
    pub own_scripts: usize,
    /// The same of its trackers of other kinds.
    pub own_trackers: usize,
    /// Whether its interface was there when the file was read.
    pub interface_present: bool,
    /// `unicast_fault_no_peer` and no peers: it stays in FAULT.
    pub peerless: bool,
    /// `virtual_routes`: in force while it is MASTER.
    pub routes: Vec<RouteDef>,
    /// `virtual_rules`, likewise.
    pub rules: Vec<RuleDef>,
    /// Whom it tells of its changes.
    pub notify: NotifyDef,
    /// `use_vmac`: the interface of its own that adverts and addresses use.
    pub vmac: Option<VmacDef>,
    /// Further interfaces of its own, for addresses; these name them as their interface.
    pub address_vmacs: Vec<AddressVmacDef>,
    /// Whether the master answers on its addresses: `accept`, `no_accept`; under strict rules it
    /// does not unless told so. Owners always do.
    pub accept: bool,
    /// `strict_mode` or `vrrp_strict`.
    pub strict: bool,
    /// `promote_secondaries`: the interface's other addresses stay when its first one goes.
    pub promote_secondaries: bool,
    /// `kernel_rx_buf_size`, in bytes.
    pub receive_buffer: Option<u32>,
    /// `smtp_alert`; no mail is sent, but dumps show it.
    pub smtp_alert: bool,
    /// The name in its block's first line.
    pub span: Option<Span>,
}

impl InstanceDef {
    /// An instance that nothing but the virtual router's settings is known of.
    #[must_use]
    pub fn new(settings: Instance) -> Self {
        Self {
            own_scripts: settings.scripts.len(),
            own_trackers: settings.trackers.len(),
            settings,
            interface_present: true,
            peerless: false,
            routes: Vec::new(),
            rules: Vec::new(),
            notify: NotifyDef::default(),
            vmac: None,
            address_vmacs: Vec::new(),
            accept: true,
            strict: false,
            promote_secondaries: false,
            receive_buffer: None,
            smtp_alert: false,
            span: None,
        }
    }

    /// Whether it has virtual interfaces.
    #[must_use]
    pub const fn has_vmacs(&self) -> bool {
        self.vmac.is_some() || !self.address_vmacs.is_empty()
    }

    /// The interface below the virtual one of that name, if it is one of its own.
    #[must_use]
    pub fn below(&self, interface: &str) -> Option<&str> {
        if self
            .vmac
            .as_ref()
            .is_some_and(|vmac| vmac.name == interface)
        {
            return Some(&self.settings.interface);
        }
        let mut all = self.address_vmacs.iter();
        let found = all.find(|vmac| vmac.name == interface)?;
        Some(&found.base)
    }
}
