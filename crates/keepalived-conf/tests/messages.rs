//! What is said of a configuration, line for line as keepalived 2.2.7 says it (found by running
//! it), and what a config test exits with.

use std::path::Path;

use keepalived_conf::env::{FakeFile, Interface};
use keepalived_conf::{FakeEnvironment, Loaded, Options, Start, load};

fn host() -> FakeEnvironment {
    let mut host = FakeEnvironment::new()
        .with_interface("eth0")
        .with_interface("eth1")
        .with_interface("ens160")
        .with_file("/usr/bin/killall", FakeFile::executable())
        .with_file("/ok.sh", FakeFile::executable())
        .with_file("/open/ww.sh", FakeFile::with_mode("", 0o777));
    host.interfaces.insert(
        "lo".to_owned(),
        Interface {
            loopback: true,
            ..Interface::default()
        },
    );
    host.interfaces.insert(
        "vip60".to_owned(),
        Interface {
            multicast: true,
            private_macvlan: true,
            ..Interface::default()
        },
    );
    host
}

fn read(text: impl Into<Vec<u8>>) -> Loaded {
    let host = host().with_file("/x.conf", FakeFile::readable(text));
    load(Path::new("x.conf"), &Options::default(), &host)
}

/// Holds the lines of a config test and its exit code against what is expected.
fn check(text: &str, expected: &str, exit: u8) {
    let loaded = read(text);
    let lines: Vec<&str> = loaded.test_lines().collect();
    let expected: Vec<&str> = expected
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    assert_eq!(lines, expected, "\n{text}");
    assert_eq!(loaded.test_exit, exit, "\n{text}");
}

/// The same within an instance that is otherwise in order; its first line is line 4.
fn check_instance(inner: &str, expected: &str, exit: u8) {
    let text = format!(
        "vrrp_instance V {{\n interface eth0\n virtual_router_id 60\n{inner}\n virtual_ipaddress {{\n 10.0.0.1/16\n }}\n}}\n"
    );
    check(&text, expected, exit);
}

#[test]
fn a_file_without_fault_or_content_is_silent() {
    check_instance("", "", 0);
    check("", "", 0);
    check("! only a comment\n# and another", "", 0);
}

#[test]
fn the_owners_file_is_never_clean() {
    let text = include_str!("data/owner.conf");
    check(
        text,
        "(x.conf: Line 22) Truncating auth_pass to 8 characters
         SECURITY VIOLATION - scripts are being executed but script_security not enabled.",
        6,
    );
    let cut = text.strip_suffix('\n').unwrap_or(text);
    assert_eq!(
        read(cut).config,
        read(text).config,
        "the last line end does not matter"
    );
    let crlf = text.replace('\n', "\r\n");
    assert_eq!(
        read(crlf).config.map(|config| config.scripts),
        read(text).config.map(|config| config.scripts)
    );
}

#[test]
fn every_process_that_reads_says_it_again() {
    check(
        "fooo 1\nglobal_defs {\n barr\n}\nvrrp_instance V {\n interface eth0\n virtual_router_id 60\n bazz 3\n virtual_ipaddress {\n 10.0.0.1/16\n }\n}\n",
        "(Line 1) Unknown keyword 'fooo'
         (Line 3) Unknown keyword 'barr'
         (x.conf: Line 1) Unknown keyword 'fooo'
         (x.conf: Line 1) Unknown keyword 'fooo'
         (x.conf: Line 8) Unknown keyword 'bazz'
         (x.conf: Line 1) Unknown keyword 'fooo'",
        5,
    );
}

#[test]
fn braces_that_do_not_fit() {
    check(
        "vrrp_instance V {\n interface eth0\n virtual_router_id 60\n",
        "There are 1 missing '}'s or extra '{'s
         There are 1 missing '}'s or extra '{'s
         There are 1 missing '}'s or extra '{'s
         (V) No VIP specified; at least one is sensible
         (V) No VIP specified; at least one is sensible
         There are 1 missing '}'s or extra '{'s",
        5,
    );
    let extra = "(Line 1) Extra '}' found\n(Line 1) Unknown keyword '}'\n";
    let named = extra.replace("(Line", "(x.conf: Line");
    check("}\n", &format!("{extra}{named}{named}{named}"), 5);
    check_instance(
        " track_script {\n nosuch }",
        "(x.conf: Line 5) (V) track script nosuch not found, ignoring...",
        5,
    );
}

#[test]
fn a_missing_parameter_ends_it() {
    let text = "vrrp_script c {\n script /ok.sh\n interval\n}\nvrrp_instance V {\n foo\n}\n";
    check(
        text,
        "(x.conf: Line 3) *** Configuration line starting `interval` is missing a parameter after keyword `interval` at word position 2",
        2,
    );
    let loaded = read(text);
    assert_eq!((loaded.config, loaded.start), (None, Start::Refuse(2)));
}

#[test]
fn numbers_out_of_range() {
    check_instance(
        " priority 256",
        "(x.conf: Line 4) number '256' outside range [1, 255]
         (x.conf: Line 4) (V) Priority not valid! must be between 1 & 255. Using default 100",
        5,
    );
    check_instance(
        " virtual_router_id 256",
        "(x.conf: Line 4) number '256' outside range [1, 255]
         (x.conf: Line 4) (V): VRID '256' not valid - must be between 1 & 255",
        5,
    );
    check_instance(
        " advert_int 0",
        "(x.conf: Line 4) number '0' outside range [0.010000, 255.000000]
         (x.conf: Line 4) (V) Advert interval (0) not valid! Must be > 0 - ignoring",
        5,
    );
    check_instance(
        " advert_int 0.5",
        "(V) VRRPv2 advertisement interval 0.500000s must be an integer. rounding",
        5,
    );
    check_instance(
        " garp_master_repeat 0",
        "(x.conf: Line 4) (V): garp_master_repeat must be greater than 0, setting to 1",
        5,
    );
    check_instance(
        " state master",
        "(x.conf: Line 4) (V) unknown state 'master', defaulting to BACKUP",
        5,
    );
}

#[test]
fn interfaces_that_are_not_there_are_complained_of_and_waited_for() {
    let text = "vrrp_instance V {\n interface nosuch0\n virtual_router_id 60\n}\n";
    check(
        text,
        "(x.conf: Line 2) WARNING - interface nosuch0 for vrrp_instance V doesn't exist
         Non-existent interface specified in configuration",
        5,
    );
    // keepalived ends with 2; a daemon of ours runs the instance, which is at fault till then.
    let whole = text.replace('}', " virtual_ipaddress {\n 10.0.0.1\n }\n}");
    let loaded = read(whole);
    assert_eq!(loaded.start, Start::Run);
    assert!(!loaded.config.unwrap().instances[0].interface_present);
    assert!(
        loaded
            .diagnostics
            .iter()
            .any(|diagnostic| diagnostic.severity == cfgtext::Severity::Error),
        "a reload that brings it is refused: it may be a slip of the pen"
    );
    let tracked = read(
        "vrrp_instance V {\n interface eth0\n virtual_router_id 60\n track_interface {\n nosuch0 weight 300\n }\n virtual_ipaddress {\n 10.0.0.1\n }\n}\n",
    );
    assert_eq!(
        tracked.test_lines().collect::<Vec<_>>(),
        [
            "(x.conf: Line 5) (V) tracked interface nosuch0 doesn't exist",
            "Non-existent interface specified in configuration",
        ]
    );
    assert_eq!(tracked.start, Start::Run);
    assert_eq!(
        tracked.config.unwrap().instances[0].settings.trackers.len(),
        1
    );
    let dynamic = format!("global_defs {{\n dynamic_interfaces\n}}\n{text}");
    let loaded = read(dynamic);
    assert_eq!(loaded.start, Start::Run);
    assert!(!loaded.config.unwrap().instances[0].interface_present);
    check(
        "vrrp_instance V {\n virtual_router_id 60\n}\n",
        "(V) Unknown interface!",
        5,
    );
}

/// A reload of the daemon that made it, and a start after it was killed, find it there.
#[test]
fn a_vmac_interface_may_be_there_already_and_another_may_not() {
    check_instance("use_vmac vip60", "", 0);
    let text = "vrrp_instance V {\n interface eth0\n virtual_router_id 60\n use_vmac vip60\n \
                virtual_ipaddress {\n 10.0.0.1/16\n }\n}\n";
    let config = read(text).config.unwrap();
    let vmac = config.instances.first().unwrap().vmac.clone().unwrap();
    assert_eq!(vmac.name, "vip60");
    check_instance(
        "use_vmac eth1",
        "(x.conf: Line 4) (V) interface eth1 already exists and is not a private macvlan; ignoring vmac if_name",
        5,
    );
}

#[test]
fn two_instances_with_one_number() {
    let one = |name: &str| {
        format!(
            "vrrp_instance {name} {{\n interface eth0\n virtual_router_id 60\n virtual_ipaddress {{\n 10.0.0.1\n }}\n}}\n"
        )
    };
    let text = one("V") + &one("W");
    check(
        &text,
        "V and W both use VRID 60 with IPv4 on interface eth0",
        5,
    );
    assert_eq!(read(text).start, Start::Refuse(2));
    check(
        &(one("V") + &one("V")),
        "(x.conf: Line 8) vrrp instance V already defined",
        5,
    );
}

#[test]
fn authentication() {
    check_instance(
        " authentication {\n auth_type MD5\n auth_pass x\n }",
        "(x.conf: Line 5) (V) unknown authentication type 'MD5'",
        5,
    );
    check_instance(
        " authentication {\n auth_type PASS\n }",
        "(V) Authentication specified but no password given. Ignoring",
        5,
    );
}

#[test]
fn scripts() {
    let with = |script: &str, global: &str| {
        format!(
            "{global}vrrp_script c {{\n {script}\n}}\nvrrp_instance V {{\n interface eth0\n virtual_router_id 60\n virtual_ipaddress {{\n 10.0.0.1\n }}\n track_script {{\n c\n }}\n}}\n"
        )
    };
    let security =
        "SECURITY VIOLATION - scripts are being executed but script_security not enabled.";
    check(&with("script \"killall -0 x\"", ""), security, 6);
    check(
        &with("script /open/ww.sh", ""),
        &format!("{security} There are insecure scripts."),
        6,
    );
    check(
        &with("script /no/such", ""),
        "Disabling track script c since not found/accessible",
        5,
    );
    let secure = "global_defs {\n enable_script_security\n script_user root\n}\n";
    check(&with("script /ok.sh", secure), "", 0);
    check(
        &with("script /open/ww.sh", secure),
        "Disabling track script c due to insecure",
        5,
    );
    check(
        &with(
            "script /ok.sh",
            "global_defs {\n enable_script_security\n}\n",
        ),
        "(x.conf: Line 6) Unable to set default user keepalived_script for script
         (x.conf: Line 6) Unable to set default user for vrrp script c - removing
         (x.conf: Line 14) (V) track script c not found, ignoring...",
        5,
    );
    check(
        &with("script /ok.sh\n user nosuch", ""),
        "(x.conf: Line 3) Unable to set uid/gid for script '/ok.sh'
         (x.conf: Line 12) (V) track script c not found, ignoring...",
        5,
    );
    check(
        &with("interval 3", ""),
        "(x.conf: Line 3) No script set for vrrp_script c - removing
         (x.conf: Line 11) (V) track script c not found, ignoring...",
        5,
    );
}

#[test]
fn comments_cut_passwords_and_quotes_save_them() {
    let password = |line: &str| {
        let text = format!(
            "vrrp_instance V {{\n interface eth0\n virtual_router_id 60\n authentication {{\n auth_type PASS\n {line}\n }}\n virtual_ipaddress {{\n 10.0.0.1\n }}\n}}\n"
        );
        format!(
            "{:?}",
            read(text).config.unwrap().instances[0].settings.auth
                == vrrp_core::settings::Auth::pass(b"k8s")
        )
    };
    assert_eq!(password("auth_pass k8s#lb!x"), "true");
    assert_eq!(password("auth_pass k8s!lb#x"), "true");
    assert_eq!(password("auth_pass \"k8s#lb\""), "false");
}

#[test]
fn what_has_no_effect_is_said_apart() {
    let loaded = read(
        "virtual_server 1.2.3.4 80 {\n foo\n}\nvirtual_server 1.2.3.4 81 {\n}\nvrrp_instance V {\n interface eth0\n virtual_router_id 60\n smtp_alert\n virtual_ipaddress {\n 10.0.0.1\n }\n}\n",
    );
    let own: Vec<&str> = loaded.own_lines().collect();
    assert_eq!(own.len(), 2, "{own:?}");
    assert!(
        own[0].starts_with("(x.conf: Line 1) 'virtual_server' has no effect here"),
        "{}",
        own[0]
    );
    assert!(own[0].contains("proxyd"), "{}", own[0]);
    assert!(
        own[1].starts_with("(x.conf: Line 9) 'smtp_alert' has no effect here"),
        "{}",
        own[1]
    );
}

#[test]
fn a_keyword_that_is_nearly_right_gets_a_hint_and_a_place() {
    let loaded = read("vrrp_instance V {\n  virtual_routr_id 60\n}\n");
    let found = &loaded.diagnostics[0];
    let (file, place) = loaded.sources.place(found.span.unwrap()).unwrap();
    assert_eq!((file, place.line, place.column), ("x.conf", 2, 3));
    assert_eq!(found.notes, ["did you mean 'virtual_router_id'?"]);
}

#[test]
fn files_that_cannot_be_read() {
    let host = host()
        .with_file("/etc/dir/file", FakeFile::readable(""))
        .with_file("/tool", FakeFile::executable());
    let said = |path: &str| {
        let loaded = load(Path::new(path), &Options::default(), &host);
        let lines: Vec<String> = loaded.test_lines().map(str::to_owned).collect();
        (lines.concat(), loaded.test_exit, loaded.start)
    };
    let refused = Start::Refuse(6);
    assert_eq!(
        said("/no/such"),
        ("Config files missing '/no/such'.".to_owned(), 0, refused)
    );
    assert_eq!(
        said("/etc/dir"),
        (
            "Configuration file '/etc/dir/' is a directory - skipping".to_owned(),
            0,
            refused
        )
    );
    assert_eq!(
        said("/tool"),
        (
            "Configuration file '/tool' is not a regular non-executable file - skipping".to_owned(),
            0,
            refused
        )
    );
}

/// What 2.2.7 calls unknown.
#[test]
fn words_of_later_versions_keep_their_meaning() {
    let text = "global_defs {
 state_dump_file /run/k.data
 stats_dump_file /run/k.stats
 json_dump_file /run/k.json
 json_version 1
 use_symlink_paths true
 vrrp_delay_after_boot 90.5
}
";
    let loaded = read(text);
    assert_eq!((loaded.test_lines().count(), loaded.test_exit), (0, 0));
    let global = loaded.config.unwrap().global;
    assert_eq!(global.delay_after_boot.as_millis(), 90_500);
    let files = [
        global.state_dump_file,
        global.stats_dump_file,
        global.json_dump_file,
    ];
    let names = ["/run/k.data", "/run/k.stats", "/run/k.json"];
    assert_eq!(files, names.map(|name| Some(name.into())));
    for word in ["set_supplementary_groups", "vrrp_owner_ignore_adverts on"] {
        let loaded = read(format!("global_defs {{\n {word}\n}}\n"));
        assert_eq!(loaded.test_exit, 0);
        let own: Vec<&str> = loaded.own_lines().collect();
        assert!(
            own.iter().any(|line| line.contains("has no effect here")),
            "{own:?}"
        );
    }
    let text = "global_defs {\n use_symlink_paths maybe\n}\n";
    check(
        text,
        "(Line 2) Invalid value for use_symlink_paths specified",
        5,
    );
}
