//! The harness's own promises.

use std::net::Ipv4Addr;
use std::time::Duration;

use e2e::clock::Moment;
use e2e::host::HostSpec;
use e2e::lab::{Cut, Lab};
use e2e::owners::Owners;
use e2e::pair::PATIENCE;
use e2e::protocol::Ending;
use e2e::traffic::{PokeSpec, Then};
use e2e::wait;

const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 254, 253);

fn two_hosts() -> anyhow::Result<Lab> {
    Lab::start(&[
        HostSpec::new("a", Ipv4Addr::new(10, 0, 254, 252)),
        HostSpec::new("b", Ipv4Addr::new(10, 0, 254, 251)),
    ])
}

#[test]
fn hosts_share_nothing_but_the_wire() -> anyhow::Result<()> {
    let lab = two_hosts()?;
    let (a, b) = (lab.host("a")?, lab.host("b")?);
    assert_eq!(a.run(&["uname", "-n"])?.stdout, "a\n");
    // A process of one is not to be found in the other.
    let sleeper = a.spawn(&["sleep", "600"])?;
    wait::until_ok("the sleeper", PATIENCE, || {
        Ok((!a.processes_named(&["sleep"])?.is_empty()).then_some(()))
    })?;
    assert!(b.processes_named(&["sleep"])?.is_empty());
    sleeper.signal(nix::libc::SIGKILL)?;
    assert_eq!(
        sleeper.wait(PATIENCE)?.ending,
        Ending::Signal(nix::libc::SIGKILL)
    );
    // Neither is a file.
    for place in ["/tmp/x", "/run/x", "/etc/x", "/var/lib/x", "/dev/x"] {
        assert_eq!(a.run(&["touch", place])?.ending, Ending::Code(0), "{place}");
        assert!(a.outside(place).exists(), "{place}");
        assert_eq!(
            b.run(&["test", "-e", place])?.ending,
            Ending::Code(1),
            "{place}"
        );
    }
    // What is logged is collected, with the time.
    let before = Moment::now();
    a.run(&["logger", "hello"])?.success()?;
    a.log().wait_for("hello", before, PATIENCE)?;
    assert!(b.log().containing("hello").is_empty());
    Ok(())
}

#[test]
fn wires_can_be_cut_with_and_without_notice() -> anyhow::Result<()> {
    let lab = two_hosts()?;
    let a = lab.host("a")?;
    let carrier = || -> anyhow::Result<bool> {
        Ok(a.run(&["ip", "-o", "link", "show", "ens160"])?
            .success()?
            .stdout
            .contains("LOWER_UP"))
    };
    // Nobody listens there: a refusal is as good a sign of life as an answer.
    let spec = PokeSpec {
        target: "10.0.254.251:9".parse()?,
        send: String::new(),
        then: Then::Read,
    };
    let reaches = || -> anyhow::Result<bool> {
        a.ip("neighbour flush dev ens160\n")?;
        Ok(a.spawn_job("poke", &spec)?
            .wait(PATIENCE * 2)?
            .stderr
            .contains("refused"))
    };
    wait::until_ok("the wire", PATIENCE, || Ok(carrier()?.then_some(())))?;
    assert!(reaches()?);
    lab.cut("a", Cut::Silent)?;
    assert!(carrier()? && !reaches()?);
    lab.mend("a", Cut::Silent)?;
    assert!(reaches()?);
    lab.cut("a", Cut::Carrier)?;
    wait::until_ok("the loss of carrier", PATIENCE, || {
        Ok((!carrier()?).then_some(()))
    })?;
    lab.mend("a", Cut::Carrier)?;
    wait::until_ok("the carrier", PATIENCE, || Ok(carrier()?.then_some(())))?;
    assert!(reaches()?);
    Ok(())
}

#[test]
fn owners_are_told_with_their_overlaps_and_gaps() -> anyhow::Result<()> {
    let lab = two_hosts()?;
    let (a, b) = (lab.host("a")?, lab.host("b")?);
    let owners = Owners::watch(&[a, b], ADDRESS)?;
    let start = Moment::now();
    a.ip(&format!(
        "address add {ADDRESS}/16 dev ens160 valid_lft 2 preferred_lft 2\n"
    ))?;
    let got = owners.wait_sole("a", PATIENCE)?;
    b.ip(&format!("address add {ADDRESS}/16 dev ens160\n"))?;
    owners.wait_holds("b", PATIENCE)?;
    assert_eq!(owners.now(), ["a", "b"]);
    // The kernel takes a leased address away by itself, and the watcher hears of it.
    let lost = owners.wait_lost("a", PATIENCE)?;
    assert!(
        lost.since(got) >= Duration::from_secs(1),
        "{}",
        owners.story(start)
    );
    owners.wait_sole("b", PATIENCE)?;
    assert!(
        owners.longest_overlap(start) > Duration::from_millis(100),
        "{}",
        owners.story(start)
    );
    let alone = Moment::now();
    assert_eq!(owners.longest_overlap(alone), Duration::ZERO);
    b.ip(&format!("address delete {ADDRESS}/16 dev ens160\n"))?;
    owners.wait_lost("b", PATIENCE)?;
    wait::until("a gap", PATIENCE, || {
        (owners.longest_gap(alone) > Duration::from_millis(50)).then_some(())
    })?;
    Ok(())
}

#[test]
fn a_panic_takes_the_lab_down() {
    let dir = std::sync::Mutex::new(None);
    let panicked = std::panic::catch_unwind(|| {
        let lab = two_hosts().unwrap();
        *dir.lock().unwrap() = Some(lab.dir().to_owned());
        panic!("on purpose");
    });
    assert!(panicked.is_err());
    let dir = dir.lock().unwrap().take().unwrap();
    assert!(!dir.exists(), "{} is left", dir.display());
}
