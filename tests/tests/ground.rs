//! What moves and stays beside the addresses: routes, rules, what is static, and what a master
//! that does not answer on its addresses drops. Each test runs with keepalived too.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::capture::Capture;
use e2e::ground::{Answer, CONF, Ground, LIMIT, VIP, answer, conf, shown};
use e2e::host::Host;
use e2e::pair::Implementation::{self, Original, Ours};
use e2e::wait;
use nix::libc::{SIGCONT, SIGHUP, SIGKILL, SIGSTOP, SIGTERM};

const ROUTES: &str = "
    virtual_routes {
        192.0.2.0/24 via 10.0.254.77 dev ens160
        blackhole 198.51.100.0/24
    }
    virtual_rules {
        from 203.0.113.0/24 table 9 preference 100
    }";
const SHOWN: [&str; 3] = [
    "192.0.2.0/24 via 10.0.254.77 dev ens160",
    "blackhole 198.51.100.0/24",
    "from 203.0.113.0/24 lookup 9",
];

fn routes_move(routers: [Implementation; 2]) -> Result<()> {
    let mut ground = Ground::new()?;
    ground.start("r1", routers[0], &conf(150, "", ROUTES))?;
    ground.wait("r1", &SHOWN, true)?;
    ground.start("r2", routers[1], &conf(100, "", ROUTES))?;
    wait::until("the other's start", LIMIT, || {
        let log = ground.host("r2").ok()?.log();
        (!log.containing("Entering BACKUP STATE").is_empty()).then_some(())
    })?;
    // Somebody removes one: the master hands over, and has all again once it is back.
    let del = "route del 192.0.2.0/24\n";
    ground.host("r1")?.ip(del)?;
    wait::until("r1 to notice", LIMIT, || {
        let log = ground.host("r1").ok()?.log();
        let times = log.containing("(V1) Entering BACKUP STATE").len();
        (times >= 2).then_some(())
    })?;
    ground.wait("r1", &SHOWN, true)?;
    // A reload changes the routes and nothing else.
    let changed = ROUTES.replace("192.0.2.0/24", "192.0.3.0/24");
    ground.host("r1")?.write(CONF, conf(150, "", &changed))?;
    let router = ground.routers.first().context("no router")?;
    router.signal(SIGHUP)?;
    ground.wait("r1", &["192.0.3.0/24 via 10.0.254.77"], true)?;
    ground.wait("r1", &["192.0.2.0/24"], false)?;
    router.signal(SIGTERM)?;
    router.wait(LIMIT)?;
    ground.wait(
        "r1",
        &["192.0.3.0/24", "198.51.100.0/24", "lookup 9", VIP],
        false,
    )?;
    ground.wait("r2", &SHOWN, true)?;
    Ok(())
}

#[test]
fn routes_move_with_the_address() -> Result<()> {
    routes_move([Ours, Ours])
}

#[test]
fn routes_move_from_ours_to_the_originals() -> Result<()> {
    routes_move([Ours, Original])
}

#[test]
fn routes_move_from_the_originals_to_ours() -> Result<()> {
    routes_move([Original, Ours])
}

/// They have the lease of the addresses, though the kernel knows no lifetime of routes.
#[test]
fn routes_do_not_outlive_a_router_that_is_killed() -> Result<()> {
    let mut ground = Ground::new()?;
    ground.start("r1", Ours, &conf(150, "", ROUTES))?;
    ground.wait("r1", &SHOWN, true)?;
    let router = ground.routers.first().context("no router")?;
    router.signal(SIGKILL)?;
    router.wait(LIMIT)?;
    for text in SHOWN {
        ground.wait("r1", &[text], false)?;
    }
    Ok(())
}

#[test]
fn routes_do_not_outlive_a_router_that_hangs() -> Result<()> {
    let mut ground = Ground::new()?;
    ground.start("r1", Ours, &conf(150, "", ROUTES))?;
    ground.wait("r1", &SHOWN, true)?;
    let router = ground.routers.first().context("no router")?;
    router.signal(SIGSTOP)?;
    for text in SHOWN {
        ground.wait("r1", &[text], false)?;
    }
    // Back to life, it notices, and is the master again with all of them.
    router.signal(SIGCONT)?;
    ground.wait("r1", &SHOWN, true)?;
    router.signal(SIGTERM)?;
    router.wait(LIMIT)?;
    for text in SHOWN {
        ground.wait("r1", &[text], false)?;
    }
    Ok(())
}

const VMAC: &str = "    use_vmac";
const BASE: [&str; 2] = ["arp_ignore", "arp_filter"];

/// Settings of the interface below a virtual one.
fn of_base(host: &Host) -> Result<Vec<String>> {
    let value = |key: &&str| {
        let path = format!("/proc/sys/net/ipv4/conf/ens160/{key}");
        Ok(host
            .run(&["cat", &path])?
            .success()?
            .stdout
            .trim()
            .to_owned())
    };
    BASE.iter().map(value).collect()
}

/// A signal to all processes of the service is for the daemon alone; and when that is killed,
/// the virtual interface goes after the lease of its address, without a word to switches.
#[test]
fn a_virtual_interface_does_not_outlive_a_router_that_is_killed() -> Result<()> {
    let mut ground = Ground::new()?;
    let reports = Capture::start_of(&ground.lab, &["r1"], "igmp")?;
    ground.start("r1", Ours, &conf(150, "", VMAC))?;
    ground.wait("r1", &[VIP, "vrrp.51"], true)?;
    let host = ground.host("r1")?;
    ensure!(of_base(host)? == ["1", "1"]);
    host.signal_named(&["vrrpd-warden"], SIGTERM)?;
    host.signal_named(&["vrrpd-warden"], SIGHUP)?;
    let router = ground.routers.first().context("no router")?;
    router.signal(SIGKILL)?;
    router.wait(LIMIT)?;
    ensure!(shown(host)?.contains(VIP), "before its lease is over");
    ground.wait("r1", &[VIP, "vrrp.51"], false)?;
    host.wait_gone(&["vrrpd-warden"], LIMIT)?;
    ensure!(of_base(host)? == ["0", "0"]);
    let frames = reports.finish()?;
    ensure!(!frames.is_empty());
    let told = frames
        .iter()
        .any(|frame| frame.source.starts_with("00:00:5e"));
    ensure!(!told, "{frames:?}");
    Ok(())
}

/// The one that is started anew takes the interface's place, and its own rules stand at once.
#[test]
fn a_killed_routers_virtual_interface_makes_room_for_the_next() -> Result<()> {
    let mut ground = Ground::new()?;
    ground.start("r1", Ours, &conf(150, "", VMAC))?;
    ground.wait("r1", &[VIP, "vrrp.51"], true)?;
    let router = ground.routers.pop().context("no router")?;
    router.signal(SIGKILL)?;
    router.wait(LIMIT)?;
    let reports = Capture::start_of(&ground.lab, &["r1"], "igmp")?;
    ground.start("r1", Ours, &conf(150, "", VMAC))?;
    let host = ground.host("r1")?;
    wait::until("the next master", LIMIT, || {
        let lines = host.log().containing("(V1) Entering MASTER STATE");
        (lines.len() == 2).then_some(())
    })?;
    ground.wait("r1", &[VIP, "vrrp.51"], true)?;
    ensure!(host.log().containing("Cannot set firewall").is_empty());
    let frames = reports.finish()?;
    let told = frames
        .iter()
        .any(|frame| frame.source.starts_with("00:00:5e"));
    ensure!(!told, "{frames:?}");
    let router = ground.routers.first().context("no router")?;
    router.signal(SIGTERM)?;
    router.wait(LIMIT)?;
    host.wait_gone(&["vrrpd-warden"], LIMIT)?;
    ground.wait("r1", &[VIP, "vrrp.51"], false)
}

/// With `-V` an orderly end leaves everything where it is.
#[test]
fn routes_stay_if_the_operator_says_so() -> Result<()> {
    let mut ground = Ground::new()?;
    ground.start_with("r1", Ours, &["-V"], &conf(150, "", ROUTES))?;
    ground.wait("r1", &SHOWN, true)?;
    let router = ground.routers.first().context("no router")?;
    router.signal(SIGTERM)?;
    router.wait(LIMIT)?;
    wait::holds_for(Duration::from_secs(2), || {
        let shown = shown(ground.host("r1")?)?;
        ensure!(SHOWN.iter().all(|text| shown.contains(text)), "{shown}");
        Ok(())
    })
}

const STATIC: &str = "
static_ipaddress {
    10.5.0.1/24 dev ens160
}
static_routes {
    192.0.2.0/24 via 10.0.254.77 dev ens160
}
static_rules {
    from 203.0.113.0/24 table 9 preference 100
}";

fn what_is_static(whose: Implementation) -> Result<()> {
    let all = [" 10.5.0.1/24 ", SHOWN[0], SHOWN[2]];
    let mut ground = Ground::new()?;
    ground.start("r1", whose, &conf(150, STATIC, ""))?;
    ground.wait("r1", &all, true)?;
    let host = ground.host("r1")?;
    host.ip("address del 10.5.0.1/24 dev ens160\n")?;
    ground.wait("r1", &all, true)?;
    if whose == Ours {
        // The original lets these go.
        host.ip("route del 192.0.2.0/24\nrule del preference 100\n")?;
        ground.wait("r1", &all, true)?;
    }
    let router = ground.routers.first().context("no router")?;
    router.signal(SIGTERM)?;
    router.wait(LIMIT)?;
    // The original leaves an address that it had to set again.
    let gone = if whose == Ours { &all[..] } else { &all[1..] };
    ground.wait("r1", gone, false)
}

#[test]
fn what_is_static_is_there_all_the_time() -> Result<()> {
    what_is_static(Ours)
}

#[test]
fn what_is_static_is_there_all_the_time_with_the_original() -> Result<()> {
    what_is_static(Original)
}

fn no_accept(whose: Implementation) -> Result<()> {
    let mut ground = Ground::new()?;
    ground.start("r1", whose, &conf(150, "", "    no_accept"))?;
    ground.wait("r1", &[VIP], true)?;
    let client = ground.host("r2")?;
    ensure!(answer(client, VIP)? == Answer::Nothing);
    ensure!(answer(client, "10.0.254.1")? == Answer::Refusal);
    // The address is on the wire all the same.
    let neighbours = client.run(&["ip", "neighbour", "show", VIP])?.success()?;
    ensure!(neighbours.stdout.contains("lladdr"), "{neighbours:?}");
    if whose == Original {
        // It goes on dropping after such a reload.
        return Ok(());
    }
    ground.host("r1")?.write(CONF, conf(150, "", ""))?;
    let router = ground.routers.first().context("no router")?;
    router.signal(SIGHUP)?;
    wait::until_ok("an answer", LIMIT, || {
        Ok((answer(client, VIP)? == Answer::Refusal).then_some(()))
    })?;
    ground
        .host("r1")?
        .write(CONF, conf(150, "", "    no_accept"))?;
    router.signal(SIGHUP)?;
    wait::until_ok("no answer", LIMIT, || {
        Ok((answer(client, VIP)? == Answer::Nothing).then_some(()))
    })?;
    router.signal(SIGTERM)?;
    router.wait(LIMIT)?;
    ground.wait("r1", &[VIP], false)
}

#[test]
fn a_master_that_does_not_accept_drops() -> Result<()> {
    no_accept(Ours)?;
    no_accept(Original)
}

/// What is dropped goes with the daemon, however it ends.
#[test]
fn what_a_killed_router_dropped_is_let_through() -> Result<()> {
    let mut ground = Ground::new()?;
    ground.start("r1", Ours, &conf(150, "", "    no_accept"))?;
    ground.wait("r1", &[VIP], true)?;
    let router = ground.routers.pop().context("no router")?;
    router.signal(SIGKILL)?;
    router.wait(LIMIT)?;
    ground.wait("r1", &[VIP], false)?;
    ground
        .host("r1")?
        .ip(&format!("address add {VIP}/32 dev ens160\n"))?;
    let client = ground.host("r2")?;
    ensure!(answer(client, VIP)? == Answer::Refusal);
    Ok(())
}

/// Everything waits for the first and comes before the second.
fn start_and_end(whose: Implementation) -> Result<()> {
    let scripts = "\
global_defs {
    script_user root
    enable_script_security
    startup_script \"/usr/bin/touch /tmp/started\"
    shutdown_script \"/usr/bin/ls /nowhere\"
}";
    let mut ground = Ground::new()?;
    ground.start("r1", whose, &conf(150, scripts, ""))?;
    ground.wait("r1", &[VIP], true)?;
    let host = ground.host("r1")?;
    host.read("/tmp/started").context("it was not run")?;
    let router = ground.routers.first().context("no router")?;
    router.signal(SIGTERM)?;
    router.wait(LIMIT)?;
    let lines = [
        "Running startup script /usr/bin/touch",
        "startup script script succeeded",
        "Startup complete",
        "Stopping",
        "Running shutdown script /usr/bin/ls",
        "shutdown script script failed, status 2",
        "Stopped Keepalived",
    ];
    wait::until("the last line", LIMIT, || {
        (!host.log().containing("Stopped Keepalived").is_empty()).then_some(())
    })?;
    let log = host.log().messages();
    let place = |line: &&str| log.iter().position(|message| message.text.contains(line));
    let places: Option<Vec<usize>> = lines.iter().map(place).collect();
    ensure!(places.is_some_and(|places| places.is_sorted()), "{log:?}");
    Ok(())
}

#[test]
fn scripts_of_start_and_end_are_waited_for() -> Result<()> {
    start_and_end(Ours)
}

#[test]
fn scripts_of_start_and_end_are_waited_for_by_the_original() -> Result<()> {
    start_and_end(Original)
}

/// `promote_secondaries` of a host's interface.
fn promotes(host: &Host) -> Result<String> {
    let shown = host.run(&["cat", PROMOTE])?.success()?.stdout;
    Ok(shown.trim().to_owned())
}

const PROMOTE: &str = "/proc/sys/net/ipv4/conf/ens160/promote_secondaries";

fn promotes_secondaries(whose: Implementation) -> Result<()> {
    let mut ground = Ground::new()?;
    let off = format!("echo 0 > {PROMOTE}");
    ground.host("r1")?.run(&["bash", "-c", &off])?.success()?;
    ground.start("r1", whose, &conf(150, "", "    promote_secondaries"))?;
    ground.wait("r1", &[VIP], true)?;
    let during = promotes(ground.host("r1")?)?;
    ground.stop()?;
    let after = promotes(ground.host("r1")?)?;
    ensure!(
        (during.as_str(), after.as_str()) == ("1", "0"),
        "{during} {after}"
    );
    Ok(())
}

#[test]
fn secondaries_are_promoted_from_start_to_end() -> Result<()> {
    promotes_secondaries(Ours)
}

#[test]
fn secondaries_are_promoted_from_start_to_end_by_the_original() -> Result<()> {
    promotes_secondaries(Original)
}
