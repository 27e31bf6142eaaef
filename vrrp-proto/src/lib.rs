//! VRRP, ARP and IPv4 wire formats: encode and decode, no IO
#![warn(missing_docs)]
