//! What exporters for monitoring find in the files: they go by how far a line stands in,
//! by its words before `=` or `:`, and by the numbers behind.

use std::collections::BTreeMap;

use super::tests::{instance, with};
use super::{data, json, stats};

/// What is told under one heading: values by their key, and lists by theirs.
#[derive(Debug, Default, PartialEq, Eq)]
struct Found {
    values: BTreeMap<String, String>,
    lists: BTreeMap<String, Vec<String>>,
}

/// Reads blocks that begin with ` HEADING = NAME`; a line three places in is a value, one
/// five places in an entry of the list above it, and anything else ends the block.
fn blocks(text: &str, heading: &str) -> BTreeMap<String, Found> {
    let mut all: BTreeMap<String, Found> = BTreeMap::new();
    let mut name = None;
    let mut list = String::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix(&format!(" {heading} = ")) {
            name = Some(rest.to_owned());
            all.entry(rest.to_owned()).or_default();
            continue;
        }
        let Some(found) = name.as_ref().and_then(|name| all.get_mut(name)) else {
            continue;
        };
        if let Some(entry) = line.strip_prefix("     ") {
            let entries = found.lists.entry(list.clone()).or_default();
            entries.push(entry.to_owned());
        } else if let Some(line) = line.strip_prefix("   ") {
            if let Some((key, value)) = line.split_once('=') {
                let value = value.trim().to_owned();
                found.values.insert(key.trim().to_owned(), value);
            } else if let Some((key, _)) = line.split_once(':') {
                key.trim().clone_into(&mut list);
            }
        } else {
            name = None;
        }
    }
    all
}

#[test]
fn data_is_found_by_key() {
    let text = with(instance(), |items| {
        let mut out = String::new();
        data::topology(&mut out, items);
        out
    });
    let all = blocks(&text, "VRRP Instance");
    let found = all.get("D").unwrap();
    for (key, value) in [
        ("State", "MASTER"),
        ("Wantstate", "MASTER"),
        ("Interface", "eth0"),
        ("Gratuitous ARP delay", "5"),
        ("Virtual Router ID", "54"),
        ("Effective priority", "90"),
    ] {
        assert_eq!(
            found.values.get(key).map(String::as_str),
            Some(value),
            "{key}"
        );
    }
    let addresses = found.lists.get("Virtual IP (1)").unwrap();
    let words: Vec<Vec<&str>> = addresses
        .iter()
        .map(|line| line.split(' ').collect())
        .collect();
    assert_eq!(
        words,
        [["10.0.0.104/24", "dev", "eth0", "scope", "global", "set"]],
        "the first word is the address, the third its interface"
    );
}

#[test]
fn statistics_are_numbers_under_their_section() {
    let text = with(instance(), stats::text);
    let mut section = "";
    let mut counted = BTreeMap::new();
    for line in text.lines().skip(1) {
        match line.split_once(": ") {
            Some((key, value)) => {
                if !key.starts_with("    ") {
                    section = "";
                }
                let value: u64 = value.parse().unwrap();
                counted.insert((section, key.trim()), value);
            }
            None => section = line.trim().strip_suffix(':').unwrap(),
        }
    }
    assert_eq!(counted.len(), 14);
    assert_eq!(counted.get(&("Advertisements", "Sent")), Some(&1));
    assert_eq!(counted.get(&("", "Became master")), Some(&1));
    assert_eq!(counted.get(&("Packet Errors", "Address List")), Some(&0));
    assert_eq!(
        counted.get(&("Authentication Errors", "Type Mismatch")),
        Some(&0)
    );
    assert_eq!(counted.get(&("Priority Zero", "Sent")), Some(&0));
}

#[test]
fn json_has_types_that_exporters_decode() {
    let text = with(instance(), json::text);
    let all: serde_json::Value = serde_json::from_str(&text).unwrap();
    let data = all.pointer("/0/data").unwrap();
    for key in ["iname", "ifp_ifname"] {
        assert!(data.get(key).unwrap().is_string(), "{key}");
    }
    for key in ["state", "wantstate", "garp_delay", "vrid"] {
        assert!(data.get(key).unwrap().is_u64(), "{key}");
    }
    let addresses = data.get("vips").unwrap().as_array().unwrap();
    assert!(addresses.iter().all(serde_json::Value::is_string));
    let counted = all.pointer("/0/stats").unwrap().as_object().unwrap();
    assert_eq!(counted.len(), 14);
    assert!(counted.values().all(serde_json::Value::is_u64));
}
