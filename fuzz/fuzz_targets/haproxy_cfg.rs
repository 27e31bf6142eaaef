//! Any bytes as haproxy.cfg: reading ends, does not panic, and a configuration comes without a
//! fatal message.
#![no_main]

use std::ffi::OsString;
use std::io;
use std::net::IpAddr;
use std::path::Path;

use haproxy_cfg::{Environment, argv};
use libfuzzer_sys::fuzz_target;

struct Input<'a>(&'a [u8]);

impl Environment for Input<'_> {
    fn read(&self, _: &Path) -> io::Result<Vec<u8>> {
        Ok(self.0.to_vec())
    }
    fn is_dir(&self, _: &Path) -> io::Result<bool> {
        Ok(false)
    }
    fn list(&self, _: &Path) -> io::Result<Vec<OsString>> {
        Ok(Vec::new())
    }
    fn descriptor(&self, _: i32) -> Result<(), &'static str> {
        Ok(())
    }
    fn variables(&self) -> Vec<(OsString, OsString)> {
        vec![("FOO".into(), " a b ".into())]
    }
    fn user_id(&self, name: &str) -> Option<u32> {
        (name == "root").then_some(0)
    }
    fn group_id(&self, name: &str) -> Option<u32> {
        (name == "root").then_some(0)
    }
    fn resolve(&self, _: &str) -> Vec<IpAddr> {
        Vec::new()
    }
    fn hostname(&self) -> String {
        "host".into()
    }
    fn cpus(&self) -> u32 {
        1
    }
}

fuzz_target!(|bytes: &[u8]| {
    let line = ["haproxy", "-f", "fuzz.cfg"].map(OsString::from).to_vec();
    if let Ok(args) = argv::parse(line) {
        let _ = haproxy_cfg::load(&args, &Input(bytes));
    }
});
