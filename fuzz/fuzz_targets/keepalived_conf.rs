//! Any bytes as keepalived.conf: reading ends, does not panic, and gives a model whenever it
//! says that a daemon could run it.
#![no_main]

use std::path::Path;

use keepalived_conf::env::FakeFile;
use keepalived_conf::{FakeEnvironment, Options, Start, load};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let host = FakeEnvironment::new()
        .with_interface("eth0")
        .with_interface("ens160")
        .with_file("/usr/bin/killall", FakeFile::executable())
        .with_file("/x", FakeFile::readable(bytes));
    let loaded = load(Path::new("/x"), &Options::default(), &host);
    assert!([0, 2, 5, 6].contains(&loaded.test_exit));
    assert!(loaded.start != Start::Run || loaded.config.is_some());
    for diagnostic in &loaded.diagnostics {
        let _ = cfgtext::render::rich(&loaded.sources, diagnostic);
    }
});
