//! The VRRP daemon

fn main() {}
