//! What vrrpd does that keepalived does not, or does at its peril: the lease,
//! and a reload that cannot break what runs.

use std::time::Duration;

use e2e::clock::Moment;
use e2e::fixtures::KEEPALIVED_CONF as OWNERS;
use e2e::pair::{Implementation::Ours, KEEPALIVED_CONF, PATIENCE, Pair, VIP, owners_files};
use e2e::wait;
use nix::libc::{SIGCONT, SIGHUP, SIGSTOP};

/// A pair of routers without balancers: the script fails on both alike.
fn routers(first: &str) -> anyhow::Result<Pair> {
    let mut sides = owners_files([Ours; 2], [Ours; 2]);
    sides[0].keepalived_conf = first.into();
    let mut pair = Pair::prepare(sides)?;
    for index in [0, 1] {
        pair.start_router(index)?;
    }
    pair.settle()?;
    Ok(pair)
}

/// What the kernel of lb1 says about the address: its lifetime, `forever` or `3sec`.
fn lifetime(pair: &Pair) -> anyhow::Result<Option<String>> {
    let table = pair
        .lb(0)?
        .run(&["ip", "-o", "-4", "address", "show", "dev", "ens160"])?
        .success()?
        .stdout;
    let line = table
        .lines()
        .find(|line| line.contains(&format!("{VIP}/16")));
    Ok(line.and_then(|line| {
        line.split("valid_lft ")
            .nth(1)?
            .split_whitespace()
            .next()
            .map(str::to_owned)
    }))
}

#[test]
fn the_address_is_leased_and_the_lease_renewed() -> anyhow::Result<()> {
    let mut pair = routers(OWNERS)?;
    let start = Moment::now();
    // Much longer than the lease: it is renewed, and nobody notices.
    wait::holds_for(Duration::from_secs(7), || {
        let lifetime = lifetime(&pair)?.unwrap_or_default();
        let seconds: u32 = lifetime.trim_end_matches("sec").parse().unwrap_or(u32::MAX);
        anyhow::ensure!(seconds <= 3, "lifetime {lifetime}");
        Ok(())
    })?;
    assert!(
        pair.owners.changes().iter().all(|c| c.at < start),
        "{}",
        pair.evidence()
    );
    // Both dead: nobody is left who could take it away but the kernel.
    for index in [1, 0] {
        pair.kill_router(index)?;
    }
    let killed = Moment::now();
    let lost = pair.owners.wait_lost("lb1", PATIENCE)?;
    assert!(
        lost.since(killed) < Duration::from_secs(6),
        "{:?}",
        lost.since(killed)
    );
    Ok(())
}

#[test]
fn the_lease_can_be_switched_off() -> anyhow::Result<()> {
    let mut pair = routers(&format!(
        "global_defs {{\n  vrrp_address_lease off\n}}\n{OWNERS}"
    ))?;
    assert_eq!(lifetime(&pair)?.as_deref(), Some("forever"));
    // As with keepalived, the killed one's address stays.
    pair.kill_router(0)?;
    pair.owners.wait_holds("lb2", PATIENCE)?;
    wait::holds_for(Duration::from_secs(4), || {
        anyhow::ensure!(pair.owners.now().len() == 2, "{}", pair.evidence());
        Ok(())
    })?;
    // The next start clears what is left, and takes it back by the rules.
    pair.start_router(0)?;
    pair.settle()?;
    Ok(())
}

/// Writes lb1's file and asks for a reload.
fn reload(pair: &Pair, text: &str) -> anyhow::Result<Moment> {
    let host = pair.lb(0)?;
    host.write(KEEPALIVED_CONF, text)?;
    let now = Moment::now();
    host.signal_named(Ours.router_names(), SIGHUP)?;
    Ok(now)
}

#[test]
fn a_reload_changes_what_an_address_looks_like() -> anyhow::Result<()> {
    let pair = routers(OWNERS)?;
    let host = pair.lb(0)?;
    let start = Moment::now();
    // The kernel changes none of this while it holds the address.
    for (spec, shown) in [
        (
            "10.0.254.253/16 label ens160:vip",
            "/16 scope global ens160:vip",
        ),
        ("10.0.254.253/16", "/16 scope global ens160\\"),
        (
            "10.0.254.253/16 brd 10.0.255.255",
            "/16 brd 10.0.255.255 scope global",
        ),
        ("10.0.254.253/24", "/24 scope global"),
        ("10.0.254.253/24 scope link", "/24 scope link ens160\\"),
    ] {
        reload(
            &pair,
            &OWNERS.replace("10.0.254.253/16 #", &format!("{spec} #")),
        )?;
        wait::until_ok(shown, PATIENCE, || {
            let table = host
                .run(&["ip", "-o", "-4", "address", "show", "dev", "ens160"])?
                .success()?
                .stdout
                // A later address of its subnet, and leased.
                .replace("secondary ", "")
                .replace("dynamic ", "");
            let lines: Vec<&str> = table
                .lines()
                .filter(|line| line.contains("10.0.254.253/"))
                .collect();
            let words = format!("10.0.254.253{shown}");
            Ok(match lines.as_slice() {
                [line] if line.contains(&words) => Some(()),
                _ => None,
            })
        })
        .map_err(|error| error.context(pair.evidence()))?;
    }
    assert_eq!(pair.owners.now(), ["lb1"], "{}", pair.evidence());
    assert!(
        pair.owners.longest_gap(start) < Duration::from_millis(500),
        "{}",
        pair.evidence()
    );
    assert!(
        pair.owners
            .changes()
            .iter()
            .all(|c| c.at < start || c.host == "lb1"),
        "{}",
        pair.evidence()
    );
    Ok(())
}

#[test]
fn no_file_keeps_later_reloads_from_being_done() -> anyhow::Result<()> {
    let pair = routers(OWNERS)?;
    let host = pair.lb(0)?;
    // Ten megabytes with a fault at the end, and while they are judged the next request
    // comes: it is answered after the first. One fault, since a burst of lines overruns the
    // log socket, and the lines that are waited for would be lost with it.
    let refused = "the running configuration stays in force";
    let long = format!("{}vrrp_bogus x\n", "# a comment!!\n".repeat(750_000));
    let start = reload(&pair, &long)?;
    host.log().wait_for("Reloading ...", start, PATIENCE)?;
    host.signal_named(Ours.router_names(), SIGHUP)?;
    let first = host.log().wait_for(refused, start, PATIENCE)?;
    host.log().wait_for("Reloading ...", first.at, PATIENCE)?;
    reload(&pair, &OWNERS.replace("priority 101 #", "priority 90 #"))?;
    pair.owners
        .wait_sole("lb2", PATIENCE)
        .map_err(|error| error.context(pair.evidence()))?;
    reload(&pair, OWNERS)?;
    pair.settle()?;
    // A pipe nobody writes to, a device that never ends, and a directory.
    for make in ["mkfifo", "ln -s /dev/zero", "mkdir"] {
        let commands = format!("rm -rf {KEEPALIVED_CONF} && {make} {KEEPALIVED_CONF}");
        host.run(&["sh", "-c", &commands])?.success()?;
        let at = Moment::now();
        host.signal_named(Ours.router_names(), SIGHUP)?;
        host.log()
            .wait_for(refused, at, PATIENCE)
            .map_err(|error| error.context(pair.evidence()))?;
        assert_eq!(pair.owners.now(), ["lb1"], "{}", pair.evidence());
    }
    host.run(&["rm", "-rf", KEEPALIVED_CONF])?.success()?;
    let at = reload(&pair, OWNERS)?;
    host.log().wait_for("Reload complete", at, PATIENCE)?;
    assert_eq!(pair.owners.now(), ["lb1"], "{}", pair.evidence());
    Ok(())
}

#[test]
fn a_reload_takes_effect_whole_or_not_at_all() -> anyhow::Result<()> {
    let pair = routers(OWNERS)?;
    let host = pair.lb(0)?;
    let reload = |text: &str| reload(&pair, text);
    // The same file: nothing moves.
    let start = reload(OWNERS)?;
    host.log().wait_for("Reload", start, PATIENCE)?;
    // Files with every kind of error: nothing moves either.
    for broken in [
        String::new(),
        OWNERS.replace("priority 101 #", "priority #"),
        OWNERS.replace("virtual_router_id 60 #", "virtual_router_id 600 #"),
        OWNERS.replace("interface ens160", "interface nosuch0"),
        OWNERS.replace("vrrp_instance", "vrrp_instnace"),
        OWNERS[..1200].to_owned(),
    ] {
        let at = reload(&broken)?;
        host.log()
            .wait_for("eload", at, PATIENCE)
            .map_err(|e| e.context(pair.evidence()))?;
        wait::holds_for(Duration::from_secs(2), || {
            anyhow::ensure!(
                pair.owners.now() == ["lb1"],
                "after a reload of\n{broken}\n{}",
                pair.evidence()
            );
            Ok(())
        })?;
    }
    assert!(
        pair.owners.changes().iter().all(|c| c.at < start),
        "{}",
        pair.evidence()
    );
    // A lower priority: the other one takes over.
    reload(&OWNERS.replace("priority 101 #", "priority 90 #"))?;
    pair.owners
        .wait_sole("lb2", PATIENCE)
        .map_err(|e| e.context(pair.evidence()))?;
    reload(OWNERS)?;
    pair.settle()?;
    Ok(())
}

/// The backup stands still for about as long as it takes to count a master as down,
/// while the master lives. Its timer is overdue when it goes on, but what it would
/// have heard waits in its socket.
#[test]
fn a_backup_that_stood_still_listens_before_it_takes_over() -> anyhow::Result<()> {
    let pair = routers(OWNERS)?;
    let backup = pair.lb(1)?;
    let quiet = |since: Moment| {
        let took_over = backup
            .log()
            .containing("Entering MASTER STATE")
            .iter()
            .any(|message| message.at >= since);
        let owned = pair
            .owners
            .changes()
            .iter()
            .any(|change| change.at >= since);
        anyhow::ensure!(!took_over && !owned, "{}", pair.evidence());
        Ok(())
    };
    // Master_Down is 3.6 s after the last advert, which was up to 1 s before.
    for pause in [3750, 3900, 4400] {
        let since = Moment::now();
        pair.signal_router(1, SIGSTOP)?;
        wait::holds_for(Duration::from_millis(pause), || quiet(since))?;
        let resumed = Moment::now();
        pair.signal_router(1, SIGCONT)?;
        wait::holds_for(Duration::from_millis(1500), || quiet(since))?;
        // It is alive again, and a backup.
        backup.signal_named(Ours.router_names(), SIGHUP)?;
        backup
            .log()
            .wait_for("Reload complete", resumed, PATIENCE)?;
        quiet(since)?;
    }
    Ok(())
}
