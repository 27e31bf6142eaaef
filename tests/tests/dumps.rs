//! The files that exporters read: written on the same signals, in the same places, with
//! the same bytes as keepalived's but for what cannot be equal.

use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use anyhow::{Context as _, Result};
use e2e::binaries;
use e2e::host::{Host, HostSpec};
use e2e::lab::Lab;
use e2e::pair::Implementation::{self, Original, Ours};
use e2e::wait;
use nix::libc::SIGTERM;

const CONF: &str = "/etc/keepalived/keepalived.conf";
const LIMIT: Duration = Duration::from_secs(20);

/// One router that becomes master, one that lies beneath a peer that nobody is, and one of
/// version 3 over unicast.
const TEXT: &str = "\
global_defs {
    router_id LAB
    script_user root
    enable_script_security
    vrrp_higher_prio_send_advert true
}
vrrp_script chk_a {
    script \"/usr/bin/true a 'b c'\"
    interval 2
    timeout 1
    weight 5
    rise 2
    fall 3
}
vrrp_instance V1 {
    interface ens160
    virtual_router_id 51
    priority 150
    advert_int 1
    authentication {
        auth_type PASS
        auth_pass 1234
    }
    virtual_ipaddress {
        10.0.254.100/24 brd 10.0.254.255 dev ens160 label ens160:vip
        10.0.254.101
    }
    virtual_ipaddress_excluded {
        10.0.254.102/32 dev ens160 no_track
    }
    garp_master_refresh 60
}
vrrp_instance V2 {
    state BACKUP
    interface ens160
    virtual_router_id 52
    priority 100
    advert_int 0.5
    version 3
    nopreempt
    unicast_src_ip 10.0.254.1
    unicast_ttl 64
    unicast_peer {
        10.0.254.2
        10.0.254.3 min_ttl 10 max_ttl 64
    }
    virtual_ipaddress {
        10.0.254.110/32
    }
    track_script {
        chk_a
    }
    lower_prio_no_advert true
}
vrrp_instance V3 {
    interface ens160
    virtual_router_id 53
    priority 90
    down_timer_adverts 100
    preempt_delay 10
    virtual_ipaddress {
        10.0.254.120/24
    }
}
";

/// A daemon with this file on a host of its own, once two of its routers are masters.
fn with_daemon<T>(whose: Implementation, act: impl FnOnce(&Host) -> Result<T>) -> Result<T> {
    let mut spec = HostSpec::new("r1", Ipv4Addr::new(10, 0, 254, 1));
    spec.binaries = vec![(binaries::ours("vrrpd")?, "vrrpd".to_owned())];
    let lab = Lab::start(&[spec])?;
    let host = lab.host("r1")?;
    host.write(CONF, TEXT)?;
    let daemon = host.spawn(&[whose.router(), "--dont-fork", "-P", "-f", CONF])?;
    let result = wait::until_ok("two masters", LIMIT, || {
        let masters = host.log().containing("Entering MASTER STATE");
        let judged = host.log().containing("VRRP_Script(chk_a) succeeded");
        Ok((masters.len() == 2 && !judged.is_empty()).then_some(()))
    })
    .and_then(|()| act(host))
    .with_context(|| format!("{whose:?}: {:?}", host.log().messages()));
    daemon.signal(SIGTERM)?;
    daemon.wait(LIMIT)?;
    result
}

fn main_pid(host: &Host, whose: Implementation) -> Result<i32> {
    let list = host.processes_named(whose.router_names())?;
    let pids = list.iter().map(|process| process.pid);
    pids.min().context("it does not run")
}

/// Sends the signal that `--signum` names and waits for the file to be written whole.
fn written(host: &Host, whose: Implementation, what: &str, path: &str) -> Result<String> {
    let number = host.run(&[whose.router(), &format!("--signum={what}")])?;
    let number = number.success()?.stdout;
    let outside = host.outside(path);
    let _ = std::fs::remove_file(&outside);
    // A real-time signal has no name that the harness knows.
    let pid = main_pid(host, whose)?.to_string();
    host.run(&["/bin/kill", &format!("-{}", number.trim()), &pid])?
        .success()?;
    let mut last = String::new();
    wait::until_ok(path, LIMIT, || {
        let text = std::fs::read_to_string(&outside).unwrap_or_default();
        let same = !text.is_empty() && text == last;
        last.clone_from(&text);
        Ok(same.then_some(text))
    })
}

/// The text without what differs from run to run: moments, numbers of sockets, counts of
/// adverts; and without the password, which only keepalived tells.
fn masked(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let (label, value) = line.split_once(" = ").unwrap_or((line, ""));
        let shown = match label.trim() {
            "Last transition" | "Read timeout" if value != "DISABLED" => "MOMENT",
            "Password" => "MASKED",
            // Of a master nobody has heard of keepalived shows whatever address it
            // wrote down last.
            "Master router" => "SOMEBODY",
            _ if label.trim_start().starts_with("fd_in") => continue,
            _ => value,
        };
        out += label;
        out += " = ";
        out += shown;
        out.push('\n');
    }
    out
}

/// The part of `keepalived.data` under this heading.
fn section<'a>(text: &'a str, heading: &str) -> &'a str {
    let heading = format!("------< {heading} >------\n");
    let start = text.find(&heading).map(|at| at + heading.len());
    let rest = start
        .and_then(|start| text.get(start..))
        .unwrap_or_default();
    rest.find("------<")
        .and_then(|end| rest.get(..end))
        .unwrap_or(rest)
}

/// JSON with the same members in the same order, without what differs from run to run.
fn masked_json(text: &str) -> Result<Vec<String>> {
    let _: serde_json::Value = serde_json::from_str(text)?;
    let members = text.trim_end().split(",\"").map(|member| {
        let (key, value) = member.split_once(':').unwrap_or((member, ""));
        match key {
            "last_transition\"" | "advert_sent\"" => key.to_owned(),
            // keepalived tells it to everybody.
            "auth_data\"" => {
                key.to_owned() + value.trim_start_matches(['"', '*', '1', '2', '3', '4'])
            }
            _ => format!("{key}:{value}"),
        }
    });
    Ok(members.collect())
}

/// Everything that one daemon tells.
struct Told {
    numbers: Vec<String>,
    data: String,
    /// Before, with and after STATS_CLEAR.
    stats: [String; 3],
    json: String,
    modes: Vec<String>,
}

fn told(whose: Implementation) -> Result<Told> {
    with_daemon(whose, |host| {
        let mut numbers = Vec::new();
        for name in [
            "STOP",
            "RELOAD",
            "DATA",
            "STATS",
            "STATS_CLEAR",
            "JSON",
            "TDATA",
            "stop",
        ] {
            let output = host.run(&[whose.router(), &format!("--signum={name}")])?;
            numbers.push(format!(
                "{name}: {}{} {:?}",
                output.stdout, output.stderr, output.ending
            ));
        }
        let data = written(host, whose, "DATA", "/tmp/keepalived.data")?;
        let parent = host.read("/tmp/keepalived_parent.data")?;
        anyhow::ensure!(parent.starts_with("------< Global definitions >------\n"));
        let stats = written(host, whose, "STATS", "/tmp/keepalived.stats")?;
        let cleared = written(host, whose, "STATS_CLEAR", "/tmp/keepalived.stats")?;
        let after = written(host, whose, "STATS", "/tmp/keepalived.stats")?;
        let json = written(host, whose, "JSON", "/tmp/keepalived.json")?;
        let mut modes = Vec::new();
        for file in [
            "keepalived.data",
            "keepalived_parent.data",
            "keepalived.stats",
            "keepalived.json",
        ] {
            let meta = std::fs::metadata(host.outside(&format!("/tmp/{file}")))?;
            modes.push(format!("{file} {:o}", meta.permissions().mode() & 0o777));
        }
        Ok(Told {
            numbers,
            data,
            stats: [stats, cleared, after],
            json,
            modes,
        })
    })
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

#[track_caller]
fn same(what: &str, ours: &[String], theirs: &[String]) {
    let differing = ours
        .iter()
        .zip(theirs)
        .find(|(ours, theirs)| ours != theirs);
    assert!(
        ours == theirs,
        "{what}: {differing:?}, {} and {} lines",
        ours.len(),
        theirs.len()
    );
}

#[test]
fn what_signals_make_a_router_write_is_what_the_original_writes() -> Result<()> {
    let (ours, theirs) = std::thread::scope(|scope| {
        let ours = scope.spawn(|| told(Ours));
        let theirs = told(Original);
        let ours = ours.join().unwrap_or_else(|_| anyhow::bail!("a panic"));
        anyhow::Ok((ours?, theirs?))
    })?;
    same("numbers", &ours.numbers, &theirs.numbers);
    same("modes", &ours.modes, &theirs.modes);
    for heading in ["VRRP Topology", "VRRP Scripts"] {
        let [ours, theirs] = [&ours.data, &theirs.data];
        let [ours, theirs] = [ours, theirs].map(|text| lines(&masked(section(text, heading))));
        same(heading, &ours, &theirs);
    }
    assert!(!ours.data.contains("1234"), "the password is in it");
    // Adverts go on being sent, the files are written when they are.
    let without_sent = |text: &String| -> Vec<String> {
        let mut lines = lines(text);
        lines.retain(|line| !line.trim().starts_with("Sent: "));
        lines
    };
    for (ours, theirs) in ours.stats.iter().zip(&theirs.stats) {
        same("statistics", &without_sent(ours), &without_sent(theirs));
    }
    let [before, cleared, after] = ours.stats.map(|text| text.contains("Became master: 1"));
    assert_eq!([before, cleared, after], [true, true, false]);
    same(
        "JSON",
        &masked_json(&ours.json)?,
        &masked_json(&theirs.json)?,
    );
    assert!(!ours.json.contains("1234"), "the password is in it");
    Ok(())
}
