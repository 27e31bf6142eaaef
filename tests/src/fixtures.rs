//! The owner's two files, byte for byte, and what the second host has different.

/// The owner's `haproxy.cfg`.
pub const HAPROXY_CFG: &str = include_str!("../fixtures/haproxy.cfg");

/// The owner's `keepalived.conf` of the first host.
pub const KEEPALIVED_CONF: &str = include_str!("../fixtures/keepalived.conf");

/// The `keepalived.conf` of the second host: the owner's with only the lines
/// that must differ: state, priority, and the two addresses swapped.
pub fn second_keepalived_conf() -> String {
    [
        ("state MASTER #", "state BACKUP #"),
        ("priority 101 #", "priority 100 #"),
        (
            "unicast_src_ip 10.0.254.252 #",
            "unicast_src_ip 10.0.254.251 #",
        ),
        ("    10.0.254.251 #", "    10.0.254.252 #"),
    ]
    .iter()
    .fold(KEEPALIVED_CONF.to_owned(), |text, (from, to)| {
        text.replacen(from, to, 1)
    })
}

/// The same file for multicast: without its unicast lines.
pub fn multicast(conf: &str) -> String {
    let mut kept = String::new();
    let mut in_peers = false;
    for line in conf.split_inclusive('\n') {
        let word = line.trim_start();
        if word.starts_with("unicast_peer") {
            in_peers = true;
        }
        if !in_peers && !word.starts_with("unicast_src_ip") {
            kept.push_str(line);
        }
        if in_peers && word.starts_with('}') {
            in_peers = false;
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_host_differs_in_four_lines() {
        let second = second_keepalived_conf();
        let different = KEEPALIVED_CONF
            .lines()
            .zip(second.lines())
            .filter(|(a, b)| a != b)
            .count();
        assert_eq!(different, 4);
        assert_eq!(KEEPALIVED_CONF.lines().count(), second.lines().count());
    }

    #[test]
    fn multicast_keeps_all_but_the_unicast_lines() {
        let text = multicast(KEEPALIVED_CONF);
        assert!(!text.contains("unicast"));
        assert_eq!(text.lines().count() + 4, KEEPALIVED_CONF.lines().count());
        assert!(text.contains("auth_pass k8s-lb@lab"));
    }
}
