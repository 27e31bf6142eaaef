//! What belongs to keepalived's health checkers and the kernel's virtual servers.

/// Why none of it is done.
pub(super) const REASON: &str =
    "virtual servers of the kernel (IPVS) are not set; let proxyd balance the connections";
