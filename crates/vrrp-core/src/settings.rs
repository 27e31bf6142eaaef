//! Everything one virtual router has to be told: plain data, already resolved.

use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU8;

use vrrp_proto::vrrp::{Interval, MAX_CENTISECONDS};

pub use vrrp_proto::vrrp::{Auth, Checksum, Peer, Version};

pub use crate::lease::{Lease, LeasePlan, MIN_LEASE_SECONDS};
use crate::time::Duration;

/// One `vrrp_instance`. [`Instance::new`] gives keepalived's defaults.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub struct Instance {
    /// The name in logs and notifications.
    pub name: String,
    /// Interface the adverts go out of.
    pub interface: String,
    /// Virtual router id, 1..=255.
    pub vrid: NonZeroU8,
    /// Protocol version; IPv6 is [`Version::V3`] always.
    pub version: Version,
    /// The family of adverts and of the advertised addresses.
    pub family: Family,
    /// What the checksum of version 3 over IPv4 covers
    /// (`v3_checksum_as_v2`).
    pub checksum: Checksum,
    /// `old_unicast_checksum`
    pub old_checksum: OldChecksum,
    /// `state`: a wish, decisive only for priority 255.
    pub initial: Initial,
    /// `priority`, 1..=255. 255 is the address owner, whom script weights do
    /// not touch.
    pub priority: NonZeroU8,
    /// `advert_int`; whole seconds 1..=255 in version 2, hundredths of a
    /// second up to 40.95 s in version 3.
    pub advert_interval: Duration,
    /// `down_timer_adverts`, 1..=100: missed adverts before the master counts
    /// as down.
    pub down_timer_adverts: u8,
    /// Authentication.
    pub auth: Auth,
    /// Where adverts go.
    pub transport: Transport,
    /// `nopreempt`, `preempt_delay`.
    pub preempt: Preempt,
    /// `virtual_ipaddress`, in order; these are advertised.
    pub addresses: Vec<Address>,
    /// `virtual_ipaddress_excluded`: set but not advertised.
    pub excluded: Vec<Address>,
    /// Whether there are `virtual_routes`; what they are is the driver's.
    pub routes: Configured,
    /// Whether there are `virtual_rules`.
    pub rules: Configured,
    /// `track_script`, in order.
    pub scripts: Vec<Script>,
    /// `track_interface`, `track_file`, `track_process`, in order.
    pub trackers: Vec<Tracker>,
    /// Whether it is a member of a `vrrp_sync_group`, and so takes over only
    /// together with the others.
    pub sync: Sync,
    /// Gratuitous ARP.
    pub garp: Garp,
    /// Kernel lifetime of the addresses.
    pub lease: Lease,
    /// `dont_track_primary` makes it [`Track::No`]: a link that goes down is
    /// no fault.
    pub track_link: Track,
    /// What a master does on an advert of lower priority
    /// (`lower_prio_no_advert`).
    pub on_lower: OnAdvert,
    /// What a master does on an advert of higher priority before it yields
    /// (`higher_prio_send_advert`). An advert then tells the winner that there
    /// were two, so that it announces its addresses again; hence the default
    /// is to send one, unlike keepalived's.
    pub on_higher: OnAdvert,
    /// Whether the address list of adverts is held against ours.
    pub address_check: AddressCheck,
}

/// `state` in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub enum Initial {
    /// `state MASTER`
    Master,
    /// `state BACKUP`
    Backup,
}

/// An address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub enum Family {
    /// IPv4
    V4,
    /// IPv6
    V6,
}

impl Family {
    /// The family of an address.
    #[must_use]
    pub const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }
}

/// How checksums of version 3 over unicast IPv4 are dealt with that cover the
/// multicast group in the place of the destination, as keepalived made them up
/// to 1.3.6.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub enum OldChecksum {
    /// They are accepted; once one came, ours are made the same way.
    #[default]
    Mirror,
    /// `old_unicast_checksum`: ours are made that way from the start.
    Always,
    /// `old_unicast_checksum never`: such packets are dropped.
    Never,
}

/// Whether a router decides alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub enum Sync {
    /// It does.
    #[default]
    Alone,
    /// It is a member of a sync group.
    Member,
}

/// Whether there is any of something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub enum Configured {
    /// There is none.
    #[default]
    No,
    /// There is.
    Yes,
}

/// Whether something is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub enum Track {
    /// Its loss is a fault.
    Yes,
    /// Its loss is not looked at.
    No,
}

/// Whether a master answers an advert with one of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub enum OnAdvert {
    /// Send an advert at once.
    Advertise,
    /// Send nothing.
    Silent,
}

/// Whether a received address list must equal ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub enum AddressCheck {
    /// Every advert.
    Always,
    /// `skip_check_adv_addr`: not again for the master whose last advert was
    /// checked.
    SkipSameMaster,
}

/// Where adverts go and come from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub enum Transport {
    /// To a multicast group, with time to live 255.
    Multicast {
        /// The group, 224.0.0.18 by default.
        group: IpAddr,
        /// `mcast_src_ip`; `None` takes the interface's first address.
        source: Option<IpAddr>,
    },
    /// To each peer.
    Unicast {
        /// `unicast_src_ip`; `None` takes the interface's first address.
        source: Option<IpAddr>,
        /// `unicast_peer`, not empty.
        peers: Vec<Peer>,
        /// `unicast_ttl`, 1..=255, default 255.
        ttl: u8,
        /// `check_unicast_src`, or implied by a peer's limits.
        source_check: SourceCheck,
    },
}

/// Whether a unicast advert must come from a configured peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub enum SourceCheck {
    /// Only peers.
    PeersOnly,
    /// Anybody (keepalived's default).
    Off,
}

/// Whether a router of higher priority takes over from a living master.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub enum Preempt {
    /// It does.
    Yes,
    /// `preempt_delay`, up to 1000 s: from the first lower advert it hears on
    /// it lets the sender be for this long.
    After(Duration),
    /// `nopreempt`
    No,
}

/// One line of `virtual_ipaddress`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub struct Address {
    /// The address.
    pub address: IpAddr,
    /// Prefix length; 32 or 128 if none was given.
    pub prefix: u8,
    /// `dev`, by default the instance's interface.
    pub interface: String,
    /// `brd`; IPv4 only, none unless asked for.
    pub broadcast: Option<Ipv4Addr>,
    /// `scope` as rtnetlink numbers it: 0 global, 200 site, 253 link,
    /// 254 host.
    pub scope: u8,
    /// `label`, at most 15 bytes; IPv4 only.
    pub label: Option<String>,
    /// `peer`: the other end and its prefix length.
    pub peer: Option<(IpAddr, u8)>,
    /// `preferred_lft` in seconds, when given.
    pub preferred_lifetime: Option<u32>,
    /// The kernel flags asked for.
    pub flags: AddressFlags,
}

impl Address {
    /// An address with nothing but what it must have.
    #[must_use]
    pub fn new(address: IpAddr, prefix: u8, interface: &str) -> Self {
        Self {
            address,
            prefix,
            interface: interface.to_owned(),
            broadcast: None,
            scope: 0,
            label: None,
            peer: None,
            preferred_lifetime: None,
            flags: AddressFlags::default(),
        }
    }
}

/// Flags of one line of `virtual_ipaddress`, all off by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub struct AddressFlags {
    /// `home`
    pub home: bool,
    /// `-nodad`: duplicates of an IPv6 address are looked for before it is used. Without it
    /// they are not, for a backup takes over what the master may still have.
    pub no_dad: bool,
    /// `mngtmpaddr`
    pub manage_temporary: bool,
    /// `noprefixroute`
    pub no_prefix_route: bool,
    /// `autojoin`
    pub autojoin: bool,
    /// `no_track`: its removal by somebody else is not looked at.
    pub no_track: bool,
}

/// One line of `track_script`, joined with its `vrrp_script`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub struct Script {
    /// Name of the `vrrp_script`.
    pub name: String,
    /// The weight in force here, -254..=254. 0: failure is a fault. Positive:
    /// added while it succeeds. Negative: subtracted while it fails.
    pub weight: i16,
    /// Whether success and failure change places for the weight.
    pub sense: Sense,
}

/// One line of `track_interface`, `track_file` or `track_process`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub struct Tracker {
    /// What is tracked.
    pub kind: TrackerKind,
    /// Name of the interface, of the `track_file` or of the `track_process`.
    pub name: String,
    /// The weight in force here, -254..=254. For an interface or a process as
    /// with [`Script::weight`]; for a file the number it holds is multiplied
    /// with it, and 0 means that any other number than 0 is a fault.
    pub weight: i16,
    /// Whether the sign of the weight is flipped.
    pub sense: Sense,
}

/// What a [`Tracker`] tracks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub enum TrackerKind {
    /// Whether an interface is up.
    Interface,
    /// The number in a file.
    File,
    /// Whether enough processes run.
    Process,
}

/// `reverse`
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub enum Sense {
    /// As written.
    Normal,
    /// The sign of the weight is flipped.
    Reverse,
}

/// When and how often addresses are announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub struct Garp {
    /// `garp_master_delay`: when the second burst comes; zero for none.
    pub delay: Duration,
    /// `garp_master_repeat`, at least 1: announcements an address and burst.
    pub repeat: u8,
    /// `garp_master_refresh`: period while master; zero for none.
    pub refresh: Duration,
    /// `garp_master_refresh_repeat`, at least 1.
    pub refresh_repeat: u8,
    /// `garp_lower_prio_delay`: when the second burst after a lower advert
    /// comes; zero for none.
    pub lower_delay: Duration,
    /// `garp_lower_prio_repeat`; 0 for no burst after a lower advert.
    pub lower_repeat: u8,
    /// `vrrp_garp_interval`: least time between two announcements of this
    /// router; zero sends a burst at once.
    pub interval: Duration,
    /// Ours: period of one announcement of each address while master; zero
    /// for none. When a split heals and the loser hears us before it speaks,
    /// a keepalived yields in silence and nobody tells us; hosts that learned
    /// its address would point there until their caches expire. Set it to
    /// zero when `garp_master_refresh` is configured.
    pub reassert: Duration,
}

impl Default for Garp {
    fn default() -> Self {
        Self {
            delay: Duration::from_secs(5),
            repeat: 5,
            refresh: Duration::ZERO,
            refresh_repeat: 1,
            lower_delay: Duration::from_secs(5),
            lower_repeat: 5,
            interval: Duration::ZERO,
            reassert: Duration::from_secs(5),
        }
    }
}

impl Instance {
    /// An instance with keepalived's defaults: priority 100, BACKUP,
    /// `advert_int 1`, multicast, no authentication, no addresses.
    #[must_use]
    pub fn new(name: &str, interface: &str, vrid: NonZeroU8) -> Self {
        Self {
            name: name.to_owned(),
            interface: interface.to_owned(),
            vrid,
            version: Version::V2,
            family: Family::V4,
            checksum: Checksum::PseudoHeader,
            old_checksum: OldChecksum::Mirror,
            initial: Initial::Backup,
            priority: const { NonZeroU8::new(100).unwrap() },
            advert_interval: Duration::from_secs(1),
            down_timer_adverts: 3,
            auth: Auth::None,
            transport: Transport::Multicast {
                group: IpAddr::V4(vrrp_proto::vrrp::GROUP_V4),
                source: None,
            },
            preempt: Preempt::Yes,
            addresses: Vec::new(),
            excluded: Vec::new(),
            routes: Configured::No,
            rules: Configured::No,
            scripts: Vec::new(),
            trackers: Vec::new(),
            sync: Sync::Alone,
            garp: Garp::default(),
            lease: Lease::Auto,
            track_link: Track::Yes,
            on_lower: OnAdvert::Advertise,
            on_higher: OnAdvert::Advertise,
            address_check: AddressCheck::Always,
        }
    }
}

impl Instance {
    /// Everything that is set on the machine: the advertised addresses and the
    /// excluded ones, in order.
    pub fn all_addresses(&self) -> impl Iterator<Item = &Address> {
        self.addresses.iter().chain(&self.excluded)
    }

    /// The skew of `priority` behind a master that advertises as often as this
    /// instance would; see [`Instance::skew_behind`].
    #[must_use]
    pub fn skew(&self, priority: u8) -> Duration {
        self.skew_behind(priority, self.advert_interval)
    }

    /// Skew_Time of `priority`: (256 - priority) / 256 of a second in version 2
    /// (RFC 3768, 6.1), of the master's advertisement interval in version 3
    /// (RFC 5798, 6.1).
    #[must_use]
    pub fn skew_behind(&self, priority: u8, master_interval: Duration) -> Duration {
        let unit = match self.version {
            Version::V2 => Duration::from_secs(1),
            Version::V3 => master_interval,
        };
        unit.times(256 - u64::from(priority)).part(256)
    }

    /// Master_Down_Interval for `priority` (RFC 3768, 6.1) behind a master that
    /// advertises as often as this instance would.
    #[must_use]
    pub fn master_down(&self, priority: u8) -> Duration {
        self.master_down_behind(priority, self.advert_interval)
    }

    /// Master_Down_Interval for `priority` behind a master that advertises
    /// every `master_interval` (RFC 5798, 6.1).
    #[must_use]
    pub fn master_down_behind(&self, priority: u8, master_interval: Duration) -> Duration {
        self.silence_of(master_interval) + self.skew_behind(priority, master_interval)
    }

    /// Missed adverts times `master_interval`.
    #[must_use]
    pub fn silence_of(&self, master_interval: Duration) -> Duration {
        master_interval.times(u64::from(self.down_timer_adverts))
    }

    /// How long every backup waits at least before it takes over:
    /// Master_Down_Interval without skew.
    #[must_use]
    pub fn silence(&self) -> Duration {
        self.silence_of(self.advert_interval)
    }

    /// The interval as it stands in adverts: whole seconds, 1..=255, in version
    /// 2, hundredths of a second, 1..=4095, in version 3.
    #[must_use]
    pub fn wire_interval(&self) -> Interval {
        let rounded = |unit: Duration| {
            let nanos = unit.as_nanos().max(1);
            (self.advert_interval.as_nanos().saturating_add(nanos / 2)) / nanos
        };
        match self.version {
            Version::V2 => {
                let seconds = rounded(Duration::from_secs(1)).clamp(1, 255);
                Interval::Seconds(u8::try_from(seconds).unwrap_or(u8::MAX))
            }
            Version::V3 => {
                let most = MAX_CENTISECONDS;
                let hundredths = rounded(Duration::from_millis(10)).clamp(1, u64::from(most));
                Interval::Centiseconds(u16::try_from(hundredths).unwrap_or(most))
            }
        }
    }
}
