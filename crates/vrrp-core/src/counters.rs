//! Counters of a virtual router.

/// Monotonic counts since the router was made; the names are those of
/// keepalived's JSON statistics and RFC 2787.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Counters {
    /// Adverts accepted.
    pub advert_received: u64,
    /// Advert ticks: one for each advert made, whatever the number of peers.
    pub advert_sent: u64,
    /// Times the router became master.
    pub become_master: u64,
    /// Times it gave mastership up.
    pub release_master: u64,
    /// Packets dropped for their length.
    pub packet_length_errors: u64,
    /// Packets dropped for their checksum.
    pub checksum_errors: u64,
    /// Packets dropped for their version.
    pub version_errors: u64,
    /// Packets dropped for another advertisement interval.
    pub interval_errors: u64,
    /// Packets dropped for their time to live.
    pub ttl_errors: u64,
    /// Packets dropped for not being advertisements.
    pub invalid_type: u64,
    /// Packets dropped for their address list.
    pub address_list_errors: u64,
    /// Packets dropped for an authentication type nobody defined.
    pub invalid_auth_type: u64,
    /// Packets dropped for an authentication type other than ours.
    pub auth_type_mismatch: u64,
    /// Packets dropped for a wrong password.
    pub auth_failures: u64,
    /// Packets dropped for coming from somebody who is no peer.
    pub source_errors: u64,
    /// Adverts of priority 0 received.
    pub priority_zero_received: u64,
    /// Adverts of priority 0 sent.
    pub priority_zero_sent: u64,
}
