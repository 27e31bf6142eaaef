//! Includes, conditions, definitions and sequences: what the lines come to.

use std::path::Path;

use keepalived_conf::env::FakeFile;
use keepalived_conf::{Config, FakeEnvironment, Options, load};

fn host(files: &[(&str, &str)]) -> FakeEnvironment {
    let base = FakeEnvironment::new().with_interface("eth0");
    files.iter().fold(base, |host, (name, text)| {
        host.with_file(format!("/c/{name}"), FakeFile::readable(*text))
    })
}

fn states(files: &[(&str, &str)], id: Option<&str>) -> Vec<String> {
    let options = Options {
        config_id: id.map(str::to_owned),
        all_files: false,
    };
    let loaded = load(Path::new("/c/main"), &options, &host(files));
    loaded
        .test_lines()
        .filter_map(|line| {
            Some(
                line.split_once("unknown state '")?
                    .1
                    .split_once('\'')?
                    .0
                    .to_owned(),
            )
        })
        .collect()
}

/// The values that reach the keyword `state`, from lines within an instance.
fn echo(lines: &str) -> Vec<String> {
    let text = format!("vrrp_instance V {{\n interface eth0\n virtual_router_id 60\n{lines}\n}}\n");
    states(&[("main", &text)], None)
}

#[test]
fn conditions_choose_lines() {
    let text = "vrrp_instance V {\n @lb1 state ONE\n @^lb1 state OTHER\n @lb2 state TWO\n}\n";
    assert_eq!(states(&[("main", text)], None), ["ONE"], "the host is lb1");
    assert_eq!(states(&[("main", text)], Some("lb2")), ["OTHER", "TWO"]);
}

#[test]
fn definitions_are_replaced_late_and_recursively() {
    assert_eq!(
        echo("$A=${B}z\n$B=1\nstate ${A}\n$B=2\nstate ${A}\nstate y$A\nstate $A.x"),
        ["1z", "2z", "y2z", "$A.x"]
    );
    assert_eq!(echo("$A=a # comment\nstate ${A}"), ["a"]);
    assert_eq!(
        echo("$L= \\\n state X${N} \\\n\n state Y${N} # c \\\n\n\n$N=1\nstate Z"),
        ["Z"]
    );
    assert_eq!(
        echo("$L= \\\n state X${N} \\\n state Y${N}\n$N=1\n$L\n$N=2\n$L"),
        ["X1", "Y1", "X2", "Y2"]
    );
    assert_eq!(
        echo("state \"${_HASH}${_BANG}\"\nstate ${_PWD}\nstate ${_INSTANCE}"),
        ["#!", "/c", "lb1"]
    );
}

#[test]
fn sequences_repeat_the_rest_of_the_line() {
    assert_eq!(echo("~SEQ(I,1,2,5) state S${I}"), ["S1", "S3", "S5"]);
    assert_eq!(
        echo("~SEQ(I,2) ~SEQ(J,-2) state ${I}${J}"),
        ["1-1", "1-2", "2-1", "2-2"]
    );
    assert_eq!(echo("~SEQx(I,0x9,11) state ${I}"), ["9", "a", "b"]);
    assert_eq!(echo("~LST({A,B},{1,2},{3,4}) state ${A}${B}"), ["12", "34"]);
    assert_eq!(echo("~SEQ(I,1,-1,3) state ${I}"), Vec::<String>::new());
}

#[test]
fn includes_are_found_beside_the_file_that_names_them() {
    let main = "vrrp_instance V {\n include d/*.conf\n state LAST\n}\n";
    let files = [
        ("main", main),
        ("d/a.conf", "state A\ninclude x/in"),
        ("d/b.conf", "state B"),
        ("d/x/in", "state IN"),
    ];
    assert_eq!(states(&files, None), ["A", "IN", "B", "LAST"]);
}

#[test]
fn endless_input_ends() {
    let own = |files: &[(&str, &str)]| -> Vec<String> {
        let loaded = load(Path::new("/c/main"), &Options::default(), &host(files));
        loaded
            .own_lines()
            .chain(loaded.test_lines())
            .map(str::to_owned)
            .collect()
    };
    let said = own(&[("main", "include main\n")]);
    assert!(
        said[0].ends_with("open problem (Too many open files) - skipping"),
        "{said:?}"
    );
    let said = own(&[("main", "$A=${B}\n$B=${A}\nx ${A}\n")]);
    assert!(said[0].contains("leads back to itself"), "{said:?}");
    // Its first line would grow with each turn.
    let said = own(&[("main", "$A=x $A y \\\n z\nx $A\n")]);
    let long = "would exceed maximum line length";
    assert!(said.iter().any(|line| line.contains(long)), "{said:?}");
    assert!(said.len() < 4096, "{}", said.len());
    let said = own(&[("main", "$A= \\\n$A \\\n$A\n$A\n")]);
    assert!(said[0].contains("more than 262144 lines"), "{said:?}");
    let said = own(&[("main", "~SEQ(A,1,99999) ~SEQ(B,1,99999) x ${A} ${B}\n")]);
    assert!(
        said[0].contains("more than 262144 lines"),
        "{:?}",
        said.first()
    );
}

#[test]
fn a_missing_file_counts_as_much_as_it_is_told_to() {
    let exit = |text: &str| {
        load(
            Path::new("/c/main"),
            &Options::default(),
            &host(&[("main", text)]),
        )
        .test_exit
    };
    assert_eq!(exit("include nosuch\n"), 0);
    assert_eq!(exit("includer nosuch\n"), 0);
    assert_eq!(exit("includem nosuch\n"), 6);
    assert_eq!(exit("include nosuch*\n"), 0);
    assert_eq!(exit("includew nosuch*\n"), 6);
    assert_eq!(
        exit("global_defs {\n include_check\n}\ninclude nosuch\n"),
        6
    );
}

#[test]
fn addresses_with_all_their_options() {
    let text = "vrrp_instance V {\n interface eth0\n virtual_router_id 60\n virtual_ipaddress { 10.0.0.1/16 brd + dev eth0 label eth0:1 scope link }\n virtual_ipaddress_excluded {\n 10.0.0.2\n }\n}\n";
    let loaded = load(
        Path::new("/c/main"),
        &Options::default(),
        &host(&[("main", text)]),
    );
    let Config { instances, .. } = loaded.config.unwrap();
    let first = &instances[0].settings.addresses[0];
    assert_eq!(
        first
            .broadcast
            .map(|address| address.to_string())
            .as_deref(),
        Some("10.0.255.255")
    );
    assert_eq!(
        (first.prefix, first.scope, first.label.as_deref()),
        (16, 253, Some("eth0:1"))
    );
    let second = &instances[0].settings.excluded[0];
    assert_eq!((second.prefix, second.interface.as_str()), (32, "eth0"));
}
