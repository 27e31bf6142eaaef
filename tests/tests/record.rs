//! What `vrrpd --record FILE` wrote while two hosts moved an address to and fro, told to
//! fresh virtual routers: they do the same.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::binaries;
use e2e::host::{Host, HostSpec};
use e2e::lab::Lab;
use e2e::task::Task;
use e2e::wait;
use nix::libc::{SIGHUP, SIGTERM};
use vrrp_core::record::{Entry, Replay};

const CONF: &str = "/etc/keepalived/keepalived.conf";
const RECORD: &str = "/run/record";
const LIMIT: Duration = Duration::from_secs(30);

/// Two instances that move together; a third of version 3 that does not.
fn conf(priority: u8) -> String {
    let instance = |name: &str, vrid: u8, more: &str| {
        format!(
            "vrrp_instance {name} {{\n interface ens160\n virtual_router_id {vrid}\n priority \
             {priority}\n advert_int 1\n {more}\n virtual_ipaddress {{\n 10.0.254.{vrid}/16\n }}\n}}\n"
        )
    };
    let password = "authentication {\n auth_type PASS\n auth_pass hush-it!\n }";
    [
        "vrrp_sync_group G {\n group {\n A\n B\n }\n}\n".to_owned(),
        instance("A", 61, password),
        instance("B", 62, password),
        instance("C", 63, "version 3"),
    ]
    .concat()
}

fn start(host: &Host, priority: u8) -> Result<Task> {
    host.write(CONF, conf(priority))?;
    host.spawn(&["vrrpd", "--dont-fork", "-P", "-f", CONF, "--record", RECORD])
}

fn wait_for(host: &Host, what: &str, count: usize) -> Result<()> {
    wait::until_ok(what, LIMIT, || {
        Ok((host.log().containing(what).len() >= count).then_some(()))
    })
    .with_context(|| format!("{:?}", host.log().messages()))
}

/// Plays a record; the result is how many events there were.
fn play(host: &Host) -> Result<u64> {
    let text = host.read(RECORD)?;
    ensure!(!text.contains("hush-it"), "the password is in the record");
    let mut replay = Replay::default();
    for (line, number) in text.lines().zip(1..) {
        let entry: Entry = serde_json::from_str(line)?;
        let difference = replay.take(entry);
        ensure!(
            difference == Ok(None),
            "{}, line {number}: {difference:?}",
            host.name()
        );
    }
    Ok(replay.told())
}

#[test]
fn what_two_hosts_recorded_is_played_again_without_a_difference() -> Result<()> {
    let host = |name: &str, last| -> Result<HostSpec> {
        let mut spec = HostSpec::new(name, Ipv4Addr::new(10, 0, 254, last));
        spec.binaries = vec![(binaries::ours("vrrpd")?, "vrrpd".to_owned())];
        Ok(spec)
    };
    let lab = Lab::start(&[host("r1", 1)?, host("r2", 2)?])?;
    let [first, second] = [lab.host("r1")?, lab.host("r2")?];
    let one = start(first, 110)?;
    wait_for(first, "Entering MASTER STATE", 3)?;
    let other = start(second, 100)?;
    wait_for(second, "Entering BACKUP STATE (init)", 3)?;
    // Lower than the other's: it says so, and the addresses move.
    first.write(CONF, conf(90))?;
    one.signal(SIGHUP)?;
    wait_for(second, "Entering MASTER STATE", 3)?;
    // Three of them are of the start.
    wait_for(first, "Entering BACKUP STATE", 6)?;
    other.signal(SIGTERM)?;
    other.wait(LIMIT)?;
    wait_for(first, "Entering MASTER STATE", 6)?;
    one.signal(SIGTERM)?;
    one.wait(LIMIT)?;
    for host in [first, second] {
        let told = play(host)?;
        ensure!(told > 20, "{} tells of {told} events only", host.name());
    }
    Ok(())
}
