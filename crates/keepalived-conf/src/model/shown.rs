//! What nothing but a dump asks for.

use std::net::IpAddr;

use vrrp_core::settings::Garp;
use vrrp_core::time::Duration;

use crate::env::Credentials;

/// What `global_defs` says for instances that say nothing themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InstanceDefaults {
    /// `vrrp_version`, 2 or 3.
    pub version: u32,
    /// `vrrp_strict`
    pub strict: bool,
    /// `vrrp_check_unicast_src`
    pub check_unicast_source: bool,
    /// `vrrp_skip_check_adv_addr`
    pub skip_check_addresses: bool,
    /// `vrrp_lower_prio_no_advert`
    pub lower_no_advert: bool,
    /// `vrrp_higher_prio_send_advert`, which is on unless it is set to off.
    pub higher_send_advert: bool,
    /// `vrrp_down_timer_adverts`
    pub down_timer_adverts: u8,
    /// The `vrrp_garp_*` timers.
    pub garp: Garp,
    /// `vrrp_garp_interval`
    pub garp_interval: Duration,
    /// `vrrp_gna_interval`
    pub gna_interval: Duration,
    /// `vrrp_mcast_group4` and `vrrp_mcast_group6`.
    pub groups: [Option<IpAddr>; 2],
    /// `vmac_prefix`
    pub vmac_prefix: Option<String>,
    /// `script_user`, or whom scripts run as without it, once something needed it.
    pub script_user: Option<Credentials>,
}
