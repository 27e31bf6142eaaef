//! `track_file`, `vrrp_track_process`, `track_interface`, sync groups, notify scripts and
//! FIFOs: what keepalived 2.2.7 says of them (found by running it), and the model they make.

use std::path::Path;

use keepalived_conf::env::FakeFile;
use keepalived_conf::{FakeEnvironment, Loaded, Options, ParamMatch, load};
use vrrp_core::settings::{Sense, Sync, TrackerKind};
use vrrp_core::time::Duration;

fn read(text: &str) -> Loaded {
    let host = FakeEnvironment::new()
        .with_interface("eth0")
        .with_interface("eth1")
        .with_file("/ok.sh", FakeFile::executable())
        .with_file("/x.conf", FakeFile::readable(text));
    load(Path::new("x.conf"), &Options::default(), &host)
}

/// `text`, in front of an instance with `inner`, is answered in these lines.
fn check(text: &str, inner: &str, expected: &[&str]) {
    let whole = format!("{text}{}", instance("V", 51, inner));
    let loaded = read(&whole);
    let lines: Vec<&str> = loaded.test_lines().collect();
    assert_eq!(lines, expected, "\n{whole}");
}

fn instance(name: &str, vrid: u8, inner: &str) -> String {
    format!(
        "vrrp_instance {name} {{\n interface eth0\n virtual_router_id {vrid}\n{inner}\n virtual_ipaddress {{\n 10.0.0.{vrid}\n }}\n}}\n"
    )
}

#[test]
fn track_process_is_answered_as_the_original_does() {
    let block = |inner: &str| format!("vrrp_track_process p {{\n process haproxy\n{inner}\n}}\n");
    for inner in [
        "",
        "weight 254",
        "weight 10 reverse",
        "delay 0.5",
        "full_command",
        "quorum_max 0",
    ] {
        check(&block(inner), "", &[]);
    }
    let cases: [(&str, &[&str]); 9] = [
        (
            "weight 300",
            &[
                "(x.conf: Line 3) number '300' outside range [-254, 254]",
                "(x.conf: Line 3) Weight (300) for vrrp_track_process p must be between [-254..254] inclusive. Ignoring...",
            ],
        ),
        (
            "weight 10 foo",
            &["(x.conf: Line 3) vrrp_track_process p unknown weight option foo"],
        ),
        (
            "quorum 0",
            &[
                "(x.conf: Line 3) number '0' outside range [1, 65535]",
                "(x.conf: Line 3) Quorum (0) for vrrp_track_process p must be between [1..65535] inclusive. Ignoring...",
            ],
        ),
        (
            "quorum 5\n quorum_max 2",
            &["(x.conf: Line 4) quorum_max is less than quorum - ignoring"],
        ),
        (
            "param_match foo",
            &["(x.conf: Line 3) Invalid param_match type foo - ignoring"],
        ),
        (
            "delay abc",
            &[
                "(x.conf: Line 3) invalid number 'abc'",
                "(x.conf: Line 3) delay (abc) for vrrp_track_process p must be between [0.000001..3600] inclusive. Ignoring...",
            ],
        ),
        (
            "fork_delay 99999",
            &[
                "(x.conf: Line 3) number '99999' outside range [0.000001, 3600.000000]",
                "(x.conf: Line 3) fork_delay (99999) for vrrp_track_process p must be between [0.000001..3600] inclusive. Ignoring...",
            ],
        ),
        ("foo", &["(x.conf: Line 3) Unknown keyword 'foo'"]),
        (
            "process b",
            &["(x.conf: Line 3) Process already set for track process p - ignoring b"],
        ),
    ];
    for (inner, expected) in cases {
        check(&block(inner), "", expected);
    }
    check(
        "vrrp_track_process p {\n}\n",
        "track_process {\n p\n}",
        &[
            "(x.conf: Line 2) track process 'p' process name not specified",
            "(x.conf: Line 7) (V) track process p not found, ignoring...",
        ],
    );
}

/// The health checker reads the block as well, so that each complaint comes twice.
#[test]
fn track_file_is_answered_as_the_original_does() {
    let block = |inner: &str| format!("track_file f {{\n file /tmp/a\n{inner}\n}}\n");
    for inner in [
        "",
        "weight 10 reverse",
        "init_file",
        "init_file 5 overwrite",
    ] {
        check(&block(inner), "", &[]);
    }
    let cases = [
        ("weight 10 foo", "track_file f unknown weight option foo"),
        ("weight", "No weight specified for track file f - ignoring"),
        ("init_file abc", "Unknown track file init option abc"),
        (
            "init_file 300",
            "Track file f init value 300 is outside sensible range [-254, 254]",
        ),
        (
            "file /tmp/b",
            "File already set for track file f - ignoring /tmp/b",
        ),
        ("foo", "Unknown keyword 'foo'"),
    ];
    for (inner, expected) in cases {
        let line = format!("(x.conf: Line 3) {expected}");
        check(&block(inner), "", &[&line, &line]);
    }
    let (missing, unset) = (
        "(x.conf: Line 2) track file file name missing",
        "(x.conf: Line 3) No file set for track_file f - ignoring",
    );
    check(
        "track_file f {\n file\n}\n",
        "",
        &[missing, unset, missing, unset],
    );
}

#[test]
fn lines_that_track_are_answered_as_the_original_does() {
    let blocks = "vrrp_track_process p {\n process haproxy\n}\ntrack_file f {\n file /tmp/a\n}\n";
    let cases = [
        (
            "process",
            "p foo",
            "unknown track process option foo - ignoring",
        ),
        (
            "process",
            "p weight",
            "weight without value specified for track process p - ignoring",
        ),
        (
            "process",
            "p weight 10 foo",
            "unknown track_process p weight option foo - ignoring",
        ),
        ("file", "f foo", "unknown track file option foo - ignoring"),
        (
            "file",
            "f weight",
            "weight without value specified for track file f - ignoring",
        ),
        (
            "file",
            "f weight 10 foo",
            "unknown track file f weight option foo - ignoring",
        ),
        ("file", "g", "track file g not found, ignoring..."),
        (
            "interface",
            "eth1 weight 10 foo",
            "unknown track_interace eth1 weight option foo - ignoring",
        ),
    ];
    for (kind, line, expected) in cases {
        let expected = format!("(x.conf: Line 11) (V) {expected}");
        check(
            blocks,
            &format!("track_{kind} {{\n {line}\n}}"),
            &[&expected],
        );
    }
    for line in [
        "f weight 254",
        "f weight 10 reverse",
        "f weight 10 noreverse",
    ] {
        check(blocks, &format!("track_file {{\n {line}\n}}"), &[]);
    }
}

#[test]
fn weights_count_neither_in_a_group_nor_for_the_owner() {
    let blocks = "track_file f {\n file /tmp/a\n weight 3\n}\n";
    let inner = "track_file {\n f\n}\ntrack_interface {\n eth1 weight 10\n}";
    let group = "vrrp_sync_group G {\n group {\n A\n B\n }\n}\n";
    let two = |extra: &str| {
        let (a, b) = (instance("A", 1, inner), instance("B", 2, inner));
        format!("{blocks}{extra}{a}{b}")
    };
    let loaded = read(&two(group));
    let lines: Vec<&str> = loaded.test_lines().collect();
    assert_eq!(
        lines,
        [
            "(A) ignoring eth1 tracked interface weight due to SYNC group",
            "(A) ignoring tracked file f with weight 3 due to SYNC group",
            "(B) ignoring eth1 tracked interface weight due to SYNC group",
            "(B) ignoring tracked file f with weight 3 due to SYNC group",
        ]
    );
    let trackers = |loaded: &Loaded| {
        let instances = &loaded.config.as_ref().unwrap().instances;
        let tracker = |it: &vrrp_core::settings::Tracker| (it.kind, it.weight);
        instances[0]
            .settings
            .trackers
            .iter()
            .map(tracker)
            .collect::<Vec<_>>()
    };
    assert_eq!(trackers(&loaded), [(TrackerKind::Interface, 0)]);

    let weighed = group.replace(" }\n}\n", " }\n sync_group_tracking_weight\n}\n");
    let loaded = read(&two(&weighed));
    assert_eq!(loaded.test_lines().count(), 0);
    assert_eq!(
        trackers(&loaded),
        [(TrackerKind::File, 3), (TrackerKind::Interface, 10)]
    );

    check(
        blocks,
        &format!("priority 255\n{inner}"),
        &[
            "(V) ignoring eth1 tracked interface due to address owner",
            "(V) ignoring tracked file f with weight 3 due to address_owner",
        ],
    );
}

#[test]
fn a_group_is_complained_of_as_the_original_does() {
    let group = |inner: &str| {
        format!(
            "vrrp_sync_group G {{\n group {{\n V\n W\n }}\n{inner}\n}}\n{}",
            instance("W", 9, "")
        )
    };
    let cases = [
        (
            "track_interface {\n eth9\n}",
            "(x.conf: Line 7) (G) tracked interface eth9 doesn't exist",
        ),
        (
            "track_script {\n nope\n}",
            "(x.conf: Line 7) (G) track script nope not found, ignoring...",
        ),
        (
            "track_file {\n nope\n}",
            "(x.conf: Line 7) (G) track file nope not found, ignoring...",
        ),
        (
            "track_process {\n nope\n}",
            "(x.conf: Line 7) (G) track process nope not found, ignoring...",
        ),
        (
            "track_bfd {\n x\n}",
            "(x.conf: Line 7) (G) track bfd x not found, ignoring...",
        ),
        (
            "notify_priority_changes foo",
            "(x.conf: Line 6) (G) Invalid value 'foo' for sync group notify_priority_changes specified",
        ),
        (
            "notify_deleted /ok.sh",
            "(x.conf: Line 6) Unknown keyword 'notify_deleted'",
        ),
    ];
    for (inner, expected) in cases {
        let text = format!("{}{}", group(inner), instance("V", 8, ""));
        let loaded = read(&text);
        assert_eq!(loaded.test_lines().next(), Some(expected), "\n{text}");
    }
    let loaded = read(&format!(
        "{}{}",
        group("track_interface {\n eth0\n}"),
        instance("V", 8, "")
    ));
    let lines: Vec<&str> = loaded.test_lines().collect();
    assert_eq!(
        lines,
        [
            "(W) track_interface eth0 is configured on VRRP instance and sync group. Remove vrrp instance or sync group config",
            "(V) track_interface eth0 is configured on VRRP instance and sync group. Remove vrrp instance or sync group config",
        ]
    );
}

#[test]
fn all_of_it_reaches_the_model() {
    let text = format!(
        "global_defs {{\n script_user root\n notify_fifo_script /ok.sh\n notify_fifo /run/f\n vrrp_notify_fifo /run/g\n vrrp_notify_priority_changes\n fifo_write_vrrp_states_on_reload\n}}\n\
         vrrp_track_process p {{\n process haproxy -f x\n param_match initial\n quorum 2\n quorum_max 5\n delay 1.5\n terminate_delay 2\n weight 7\n}}\n\
         track_file f {{\n file /tmp/a\n init_file 5 overwrite\n}}\n\
         track_file unused {{\n file /tmp/b\n}}\n\
         vrrp_sync_group G {{\n group {{\n V\n W\n }}\n notify_master \"/ok.sh m\"\n track_process {{\n p weight 0\n }}\n}}\n{}{}",
        instance(
            "V",
            1,
            "notify \"/ok.sh v\"\n notify_deleted\n track_file {\n f weight 0\n}"
        ),
        instance("W", 2, "notify_priority_changes no"),
    );
    let loaded = read(&text);
    assert_eq!(loaded.own_lines().count(), 0);
    let config = loaded.config.unwrap();

    let fifo = config.global.fifo.unwrap();
    assert_eq!(fifo.path, Path::new("/run/f"));
    assert_eq!(fifo.script.unwrap().argv, ["/ok.sh"]);
    assert_eq!(config.global.vrrp_fifo.unwrap().script, None);
    assert!(config.global.states_on_reload);

    let [process] = config.track_processes.as_slice() else {
        panic!("{:?}", config.track_processes);
    };
    assert_eq!(process.command, ["haproxy", "-f", "x"]);
    assert_eq!(process.param_match, Some(ParamMatch::Initial));
    assert_eq!((process.quorum, process.quorum_max), (2, Some(5)));
    assert_eq!(process.fork_delay, Duration::from_millis(1_500));
    assert_eq!(process.terminate_delay, Duration::from_secs(2));

    // The file of the other one is initialised as well, though nobody tracks it.
    let [file, _] = config.track_files.as_slice() else {
        panic!("{:?}", config.track_files);
    };
    assert_eq!(file.initial, Some((5, true)));

    let [group] = config.sync_groups.as_slice() else {
        panic!("{:?}", config.sync_groups);
    };
    assert_eq!(group.members, ["V", "W"]);
    assert_eq!(group.notify.master.as_ref().unwrap().argv, ["/ok.sh", "m"]);

    let [v, w] = config.instances.as_slice() else {
        panic!("{:?}", config.instances);
    };
    assert_eq!(v.settings.sync, Sync::Member);
    let kinds = |def: &keepalived_conf::InstanceDef| {
        let all = def.settings.trackers.iter();
        all.map(|it| (it.kind, it.name.clone(), it.weight, it.sense))
            .collect::<Vec<_>>()
    };
    let p = (TrackerKind::Process, "p".to_owned(), 0, Sense::Normal);
    assert_eq!(
        kinds(v),
        [
            (TrackerKind::File, "f".to_owned(), 0, Sense::Normal),
            p.clone()
        ]
    );
    assert_eq!(kinds(w), [p]);
    assert_eq!(v.notify.any.as_ref().unwrap().argv, ["/ok.sh", "v"]);
    assert_eq!(v.notify.deleted, Some(None));
    assert!(v.notify.priority_changes);
    assert!(!w.notify.priority_changes);
}

#[test]
fn garp_group_is_answered_as_the_original_does() {
    let cases: [(&str, &[&str]); 4] = [
        ("interface eth0\n garp_interval 0.5", &[]),
        (
            "interface eth0",
            &["(x.conf: Line 3) garp group 0 does not have any delay set - removing"],
        ),
        (
            "interfaces {\n eth0\n eth0\n }",
            &[
                "(x.conf: Line 5) garp_group already specified for eth0 - ignoring",
                "(x.conf: Line 6) garp group 1 does not have any delay set - removing",
            ],
        ),
        (
            "garp_interval x\n interface eth0",
            &["(x.conf: Line 2) invalid number 'x'"],
        ),
    ];
    for (inner, expected) in cases {
        check(&format!("garp_group {{\n{inner}\n}}\n"), "", expected);
    }
}

#[test]
fn scripts_of_start_and_end_are_answered_as_the_original_does() {
    let cases: [(&str, &[&str]); 3] = [
        ("shutdown_script", &["(Line 2) shutdown script missing"]),
        (
            "startup_script /bin/true\n startup_script /bin/false",
            &["(Line 3) startup script already specified"],
        ),
        (
            "startup_script_timeout 1001",
            &[
                "(Line 2) number '1001' outside range [1, 1000]",
                "(Line 2) startup_script_timeout '1001' must be in [1, 1000] - ignoring",
            ],
        ),
    ];
    for (inner, expected) in cases {
        check(
            &format!("global_defs {{\n {inner}\n enable_script_security\n}}\n"),
            "",
            expected,
        );
    }
}

#[test]
fn a_weight_of_its_own_keeps_the_direction_of_the_block() {
    let directions = |words: &str| {
        let text = format!(
            "global_defs {{
 script_user root
 enable_script_security
}}
vrrp_script chk {{
 script /ok.sh
 weight 4 reverse
}}
vrrp_track_file f {{
 file /run/f
 weight 3 reverse
}}
vrrp_instance V {{
 interface eth0
 virtual_router_id 51
 virtual_ipaddress {{
  10.0.0.51
 }}
 track_script {{
  chk {words}
 }}
 track_file {{
  f {words}
 }}
}}
"
        );
        let config = read(&text).config.unwrap();
        let settings = &config.instances[0].settings;
        let script = &settings.scripts[0];
        let file = &settings.trackers[0];
        [(script.weight, script.sense), (file.weight, file.sense)]
    };
    let (normal, reverse) = (Sense::Normal, Sense::Reverse);
    for (words, expected) in [
        ("", [(4, reverse), (3, reverse)]),
        ("weight -20", [(-20, reverse), (-20, reverse)]),
        ("weight 7 reverse", [(7, reverse), (7, reverse)]),
        ("weight 7 noreverse", [(7, normal), (7, normal)]),
    ] {
        assert_eq!(directions(words), expected, "{words}");
    }
}

/// A weight that a member writes beside its group's entry is not the one that counts.
#[test]
fn what_a_member_and_its_group_both_track_has_the_groups_weight() {
    for (own, group, expected) in [
        ("eth1 weight 10", "eth1 weight 20", 20),
        ("eth1 weight 10 reverse", "eth1", 0),
        ("eth1", "eth1 weight 20", 0),
    ] {
        for word in ["", "sync_group_tracking_weight"] {
            let tracked = format!(" track_interface {{\n {own}\n }}");
            let text = format!(
                "vrrp_sync_group G {{\n group {{\n A\n B\n }}\n {word}\n track_interface {{\n {group}\n }}\n}}\n{}{}",
                instance("A", 1, &tracked),
                instance("B", 2, ""),
            );
            let config = read(&text).config.unwrap();
            let weights = config.instances[0].settings.trackers.iter();
            let weights: Vec<i16> = weights.map(|tracker| tracker.weight).collect();
            assert_eq!(weights, [expected], "{own} in a group with {group} {word}");
        }
    }
}
