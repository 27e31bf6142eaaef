//! Whatever the bytes are, reading ends, does not panic, and says the same each time.

use std::path::Path;

use keepalived_conf::env::FakeFile;
use keepalived_conf::{
    Environment as _, FakeEnvironment, Loaded, Options, SystemEnvironment, compat_markdown, load,
};
use proptest::prelude::*;

fn read(bytes: Vec<u8>) -> (u8, usize) {
    let host = FakeEnvironment::new()
        .with_interface("eth0")
        .with_file("/x", FakeFile::readable(bytes));
    let loaded = load(Path::new("/x"), &Options::default(), &host);
    assert!(
        [0, 2, 5, 6].contains(&loaded.test_exit),
        "{}",
        loaded.test_exit
    );
    (loaded.test_exit, loaded.messages.len())
}

/// Text made of what means something in the language.
fn words() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        Just("{"),
        Just("}"),
        Just("\n"),
        Just("\n"),
        Just("\""),
        Just("'"),
        Just("\\"),
        Just("#"),
        Just("!"),
        Just("global_defs"),
        Just("vrrp_instance"),
        Just("vrrp_script"),
        Just("vrrp_sync_group"),
        Just("V"),
        Just("interface eth0\n"),
        Just("virtual_router_id 60\n"),
        Just("virtual_ipaddress"),
        Just("10.0.0.1/16"),
        Just("script"),
        Just("track_script"),
        Just("authentication"),
        Just("auth_pass"),
        Just("unicast_peer"),
        Just("$A="),
        Just("${A}"),
        Just("$A"),
        Just("~SEQ(A,1,3)"),
        Just("~LST({A},{1})"),
        Just("@lb1"),
        Just("@^x"),
        Just("include"),
        Just("/x"),
        Just("weight 2"),
        Just("group"),
        Just("virtual_server"),
        Just("0"),
        Just("-1"),
    ];
    prop::collection::vec(word, 0..60).prop_map(|words| words.join(" "))
}

proptest! {
    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        prop_assert_eq!(read(bytes.clone()), read(bytes));
    }

    #[test]
    fn any_words(text in words()) {
        prop_assert_eq!(read(text.clone().into_bytes()), read(text.into_bytes()));
    }

    #[test]
    fn any_cut_of_a_good_file(cut in 0..include_bytes!("data/owner.conf").len()) {
        read(include_bytes!("data/owner.conf")[..cut].to_vec());
    }
}

#[test]
fn ten_megabytes() {
    assert_eq!(read(b"# a comment\n".repeat(900_000)).0, 0);
    assert_eq!(read(b"x".repeat(10_000_000)).0, 5);
    assert_eq!(read(vec![0; 10_000_000]).0, 0);
}

#[test]
fn a_million_faults_are_told_by_number() {
    let faulty = |count: usize| {
        let host = FakeEnvironment::new().with_file(
            "/x.conf",
            FakeFile::readable("vrrp_bogus x\n".repeat(count)),
        );
        load(Path::new("/x.conf"), &Options::default(), &host)
    };
    let (many, more) = (faulty(100_000), faulty(100_001));
    assert!(many.diagnostics.len() <= 1_001);
    let last = |loaded: &Loaded| loaded.diagnostics.last().unwrap().message.clone();
    // One fault more among them does not pass for the same.
    assert_ne!(last(&many), last(&more));
}

/// Whoever opens a pipe for reading waits for its writer, and a device may never end.
#[test]
fn a_pipe_or_a_device_is_not_read() {
    let host = SystemEnvironment;
    assert!(host.read(Path::new("/dev/zero"), 100).is_err());
    let pipe = std::env::temp_dir().join(format!("keepalived-conf.{}.pipe", std::process::id()));
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRUSR).unwrap();
    let read = host.read(&pipe, 100);
    std::fs::remove_file(&pipe).unwrap();
    assert!(read.is_err());
}

#[test]
fn the_documentation_is_the_tables() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/compat/keepalived.md");
    let written = std::fs::read_to_string(&path).unwrap();
    assert!(
        written == compat_markdown(),
        "{} is out of date; print it anew with `cargo run -p keepalived-conf --example check -- --compat`",
        path.display()
    );
}

#[test]
fn what_the_fuzzer_kept() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/keepalived_conf");
    let mut count = 0;
    for entry in std::fs::read_dir(corpus).unwrap() {
        read(std::fs::read(entry.unwrap().path()).unwrap());
        count += 1;
    }
    assert!(count >= 2);
}
