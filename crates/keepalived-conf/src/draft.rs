//! The configuration as it is being read: what was said, before the checks that need all of it.

use std::ffi::OsString;
use std::net::IpAddr;
use std::path::PathBuf;

use cfgtext::Span;
use vrrp_core::settings::{Address, Initial, OldChecksum, Peer, Sense, TrackerKind};

use crate::env::Credentials;
use crate::model::routes::{RouteDef, RuleDef};
use crate::model::{Command, GlobalDefs, NotifyDef, TrackGroupDef, TrackProcessDef};

/// Everything read so far.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    pub(crate) global: GlobalDefs,
    pub(crate) vrrp: GlobalVrrp,
    pub(crate) script_user: ScriptUser,
    pub(crate) scripts: Vec<ScriptDraft>,
    pub(crate) instances: Vec<InstanceDraft>,
    pub(crate) groups: Vec<GroupDraft>,
    pub(crate) track_processes: Vec<ProcessDraft>,
    pub(crate) track_files: Vec<FileDraft>,
    /// Commands of `notify_fifo_script` and `vrrp_notify_fifo_script`.
    pub(crate) fifo_scripts: [Option<Command>; 2],
    /// `startup_script` and `shutdown_script`, and how many seconds each may take.
    pub(crate) start_scripts: [Option<Command>; 2],
    pub(crate) start_timeouts: [Option<u32>; 2],
    pub(crate) bfd_instances: Vec<String>,
    pub(crate) lvs: crate::table::Lvs,
    pub(crate) track_groups: Vec<TrackGroupDef>,
    /// Something named an interface that does not exist.
    pub(crate) missing_interface: bool,
    /// 1 if the `garp_group` being read has a list of interfaces; keepalived names it so.
    pub(crate) garp_group_list: u8,
    /// The interfaces of that list.
    pub(crate) garp_group_names: Vec<String>,
    /// `vrrp_iptables` or `nftables` has been read.
    pub(crate) packet_filter: bool,
    /// Rules that name no preference.
    pub(crate) rules_without_preference: u32,
    pub(crate) static_addresses: Vec<AddressDraft>,
    pub(crate) static_routes: Vec<RouteDef>,
    pub(crate) static_rules: Vec<RuleDef>,
    /// A static address has no interface to be on.
    pub(crate) homeless_address: bool,
}

/// Defaults that `global_defs` sets for instances.
#[derive(Debug)]
pub(crate) struct GlobalVrrp {
    pub(crate) version: u32,
    pub(crate) strict: bool,
    pub(crate) check_unicast_source: bool,
    pub(crate) skip_check_addresses: bool,
    pub(crate) lower_no_advert: bool,
    pub(crate) higher_send_advert: Option<bool>,
    pub(crate) down_timer_adverts: u8,
    pub(crate) garp: GarpDraft,
    pub(crate) garp_interval: u64,
    /// Microseconds.
    pub(crate) gna_interval: u64,
    pub(crate) group4: Option<IpAddr>,
    pub(crate) group6: Option<IpAddr>,
    pub(crate) checksum_as_v2: bool,
    /// `vmac_prefix`
    pub(crate) vmac_prefix: Option<String>,
    /// `vmac_addr_prefix`
    pub(crate) vmac_addr_prefix: Option<String>,
}

impl Default for GlobalVrrp {
    fn default() -> Self {
        Self {
            version: 2,
            strict: false,
            check_unicast_source: false,
            skip_check_addresses: false,
            lower_no_advert: false,
            higher_send_advert: None,
            down_timer_adverts: 3,
            garp: GarpDraft::default(),
            garp_interval: 0,
            gna_interval: 0,
            group4: None,
            group6: None,
            checksum_as_v2: false,
            vmac_prefix: None,
            vmac_addr_prefix: None,
        }
    }
}

/// What is set of the gratuitous ARP timers, in whole seconds and numbers.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct GarpDraft {
    pub(crate) delay: Option<u32>,
    pub(crate) repeat: Option<u32>,
    pub(crate) refresh: Option<u32>,
    pub(crate) refresh_repeat: Option<u32>,
    pub(crate) lower_delay: Option<u32>,
    pub(crate) lower_repeat: Option<u32>,
}

/// `script_user`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum ScriptUser {
    /// Nobody asked yet.
    #[default]
    Unset,
    /// There is one.
    Known(Credentials),
    /// The one that was named does not exist.
    Unknown,
}

/// One `vrrp_script` block.
#[derive(Debug)]
pub(crate) struct ScriptDraft {
    pub(crate) name: String,
    pub(crate) argv: Vec<OsString>,
    pub(crate) interval: u32,
    pub(crate) timeout: Option<u32>,
    pub(crate) weight: i16,
    pub(crate) sense: Sense,
    pub(crate) rise: u32,
    pub(crate) fall: u32,
    pub(crate) user: Option<Credentials>,
    pub(crate) init_fail: bool,
    /// Its user does not exist.
    pub(crate) remove: bool,
}

/// Protocol family of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    V4,
    V6,
}

impl Family {
    pub(crate) const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }

    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::V4 => 4,
            Self::V6 => 6,
        }
    }
}

/// `auth_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AuthType {
    Pass,
    Ah,
}

/// One entry of `track_script`.
#[derive(Clone, Debug)]
pub(crate) struct TrackedScript {
    pub(crate) name: String,
    pub(crate) weight: i16,
    pub(crate) sense: Sense,
    pub(crate) span: Span,
}

/// One entry of `track_interface`, `track_file` or `track_process`.
#[derive(Clone, Debug)]
pub(crate) struct Tracked {
    pub(crate) kind: TrackerKind,
    pub(crate) name: String,
    pub(crate) weight: i16,
    pub(crate) sense: Sense,
    pub(crate) span: Span,
}

/// One `track_file` block.
#[derive(Debug)]
pub(crate) struct FileDraft {
    pub(crate) name: String,
    pub(crate) path: Option<PathBuf>,
    pub(crate) weight: i16,
    pub(crate) sense: Sense,
    pub(crate) initial: Option<(i32, bool)>,
}

/// One `vrrp_track_process` block.
#[derive(Debug)]
pub(crate) struct ProcessDraft {
    pub(crate) def: TrackProcessDef,
    pub(crate) weight: i16,
    pub(crate) sense: Sense,
}

/// A virtual address; no device is the instance's own.
#[derive(Debug)]
pub(crate) struct AddressDraft {
    pub(crate) address: Address,
    pub(crate) device: Option<String>,
    /// `use_vmac`
    pub(crate) use_vmac: bool,
    /// `track_group` of static addresses.
    pub(crate) track_group: Option<String>,
}

/// One `vrrp_instance` block.
#[derive(Debug)]
pub(crate) struct InstanceDraft {
    pub(crate) name: String,
    pub(crate) span: Span,
    pub(crate) interface: Option<String>,
    pub(crate) interface_present: bool,
    pub(crate) vrf: bool,
    pub(crate) state: Option<Initial>,
    pub(crate) vrid: Option<u8>,
    pub(crate) priority: Option<u8>,
    /// Microseconds.
    pub(crate) advert_interval: Option<u64>,
    pub(crate) version: Option<u32>,
    pub(crate) family: Option<Family>,
    pub(crate) auth_type: Option<AuthType>,
    pub(crate) auth_pass: Vec<u8>,
    pub(crate) source: Option<IpAddr>,
    pub(crate) peers: Vec<Peer>,
    /// Whether a keyword stood there that makes sense only with peers.
    pub(crate) unicast: bool,
    pub(crate) fault_without_peer: bool,
    pub(crate) unicast_ttl: Option<u8>,
    pub(crate) check_source: Option<bool>,
    pub(crate) group: Option<IpAddr>,
    pub(crate) addresses: Vec<AddressDraft>,
    pub(crate) excluded: Vec<AddressDraft>,
    pub(crate) routes: Vec<RouteDef>,
    pub(crate) rules: Vec<RuleDef>,
    pub(crate) nopreempt: bool,
    /// Microseconds.
    pub(crate) preempt_delay: Option<u64>,
    pub(crate) garp: GarpDraft,
    pub(crate) down_timer_adverts: Option<u8>,
    pub(crate) lower_no_advert: Option<bool>,
    pub(crate) higher_send_advert: Option<bool>,
    pub(crate) skip_check_addresses: Option<bool>,
    pub(crate) strict: Option<bool>,
    pub(crate) accept: Option<bool>,
    pub(crate) native_ipv6: bool,
    pub(crate) old_checksum: Option<OldChecksum>,
    pub(crate) checksum_as_v2: Option<bool>,
    pub(crate) track_link: bool,
    pub(crate) use_vmac: bool,
    pub(crate) vmac_name: Option<String>,
    pub(crate) vmac_mac: Option<[u8; 6]>,
    /// `use_vmac_addr`
    pub(crate) vmac_addresses: bool,
    pub(crate) xmit_base: bool,
    /// `use_ipvlan`, and whether it names an address.
    pub(crate) ipvlan: Option<bool>,
    pub(crate) scripts: Vec<TrackedScript>,
    pub(crate) trackers: Vec<Tracked>,
    /// Names of tracked BFD sessions.
    pub(crate) bfd: Vec<String>,
    pub(crate) notify: NotifyDraft,
    pub(crate) lvs_sync: Option<String>,
    pub(crate) promote_secondaries: bool,
    /// Bytes.
    pub(crate) receive_buffer: Option<u32>,
    pub(crate) smtp_alert: Option<bool>,
}

impl InstanceDraft {
    pub(crate) fn new(name: String, span: Span) -> Self {
        Self {
            name,
            span,
            interface: None,
            interface_present: false,
            vrf: false,
            state: None,
            vrid: None,
            priority: None,
            advert_interval: None,
            version: None,
            family: None,
            auth_type: None,
            auth_pass: Vec::new(),
            source: None,
            peers: Vec::new(),
            unicast: false,
            fault_without_peer: false,
            unicast_ttl: None,
            check_source: None,
            group: None,
            addresses: Vec::new(),
            excluded: Vec::new(),
            routes: Vec::new(),
            rules: Vec::new(),
            nopreempt: false,
            preempt_delay: None,
            garp: GarpDraft::default(),
            down_timer_adverts: None,
            lower_no_advert: None,
            higher_send_advert: None,
            skip_check_addresses: None,
            strict: None,
            accept: None,
            native_ipv6: false,
            old_checksum: None,
            checksum_as_v2: None,
            track_link: true,
            use_vmac: false,
            vmac_name: None,
            vmac_mac: None,
            vmac_addresses: false,
            xmit_base: false,
            ipvlan: None,
            scripts: Vec::new(),
            trackers: Vec::new(),
            bfd: Vec::new(),
            notify: NotifyDraft::default(),
            lvs_sync: None,
            promote_secondaries: false,
            receive_buffer: None,
            smtp_alert: None,
        }
    }

    /// IPv4 unless something made it IPv6.
    pub(crate) fn family(&self) -> Family {
        self.family.unwrap_or(Family::V4)
    }
}

/// One `vrrp_sync_group` block.
#[derive(Debug)]
pub(crate) struct GroupDraft {
    pub(crate) name: String,
    pub(crate) members: Option<Vec<String>>,
    pub(crate) notify: NotifyDraft,
    pub(crate) scripts: Vec<TrackedScript>,
    pub(crate) trackers: Vec<Tracked>,
    /// `sync_group_tracking_weight`
    pub(crate) weights: bool,
    /// `global_tracking`
    pub(crate) global: bool,
    pub(crate) smtp_alert: Option<bool>,
}

/// The `notify` keywords of a block.
#[derive(Debug, Default)]
pub(crate) struct NotifyDraft {
    /// The keywords that stood there, whatever became of their commands.
    pub(crate) seen: Vec<&'static str>,
    pub(crate) def: NotifyDef,
    /// `notify_priority_changes`
    pub(crate) priority_changes: Option<bool>,
}
