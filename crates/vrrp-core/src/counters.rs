//! Counters of a virtual router.

use vrrp_proto::vrrp::DecodeError;

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

impl Counters {
    /// Counts a dropped packet under its reason.
    pub(crate) const fn dropped(&mut self, error: &DecodeError) {
        let counter = match error {
            DecodeError::Version { .. } => &mut self.version_errors,
            DecodeError::Type { .. } => &mut self.invalid_type,
            DecodeError::UnknownAuthType { .. } => &mut self.invalid_auth_type,
            DecodeError::AuthType { .. } => &mut self.auth_type_mismatch,
            DecodeError::Password => &mut self.auth_failures,
            DecodeError::Ttl { .. } | DecodeError::TtlRange { .. } => &mut self.ttl_errors,
            DecodeError::Source { .. } => &mut self.source_errors,
            DecodeError::Count { .. } | DecodeError::Address { .. } => {
                &mut self.address_list_errors
            }
            DecodeError::Interval { .. } | DecodeError::ZeroInterval => &mut self.interval_errors,
            DecodeError::Checksum { .. } => &mut self.checksum_errors,
            DecodeError::Truncated { .. }
            | DecodeError::TooShort { .. }
            | DecodeError::TooLong { .. } => &mut self.packet_length_errors,
        };
        *counter += 1;
    }
}
