//! The TCP load balancer daemon

fn main() {}
