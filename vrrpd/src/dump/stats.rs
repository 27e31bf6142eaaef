//! `keepalived.stats`

use super::{Item, line};

pub(super) fn text(items: &[Item<'_>]) -> String {
    let mut out = String::new();
    for item in items {
        let counters = &item.counters;
        line!(out, "VRRP Instance: {}", item.router.settings().name);
        let sections: [(&str, &[(&str, u64)]); 3] = [
            (
                "  Packet Errors:",
                &[
                    ("Length", counters.packet_length_errors),
                    ("TTL", counters.ttl_errors),
                    ("Invalid Type", counters.invalid_type),
                    ("Advertisement Interval", counters.interval_errors),
                    ("Address List", counters.address_list_errors),
                ],
            ),
            (
                "  Authentication Errors:",
                &[
                    ("Invalid Type", counters.invalid_auth_type),
                    ("Type Mismatch", counters.auth_type_mismatch),
                    ("Failure", counters.auth_failures),
                ],
            ),
            (
                "  Priority Zero:",
                &[
                    ("Received", counters.priority_zero_received),
                    ("Sent", counters.priority_zero_sent),
                ],
            ),
        ];
        line!(out, "  Advertisements:");
        line!(out, "    Received: {}", counters.advert_received);
        line!(out, "    Sent: {}", counters.advert_sent);
        line!(out, "  Became master: {}", counters.become_master);
        line!(out, "  Released master: {}", counters.release_master);
        for (title, rows) in sections {
            line!(out, "{title}");
            for (name, count) in rows {
                line!(out, "    {name}: {count}");
            }
        }
    }
    out
}
