//! What must not stop a daemon, and what must stop it with the original's words and exit code.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr};
use std::time::Duration;

use e2e::clock::Moment;
use e2e::differential::Contest;
use e2e::fixtures::{HAPROXY_CFG as OWNERS, KEEPALIVED_CONF as OWNERS_VRRP};
use e2e::forgery::{Advert, corrupt};
use e2e::host::Host;
use e2e::node::{ApiServerSpec, ForgeSpec, Manner};
use e2e::pair::{
    ADMIN_SOCKET, HAPROXY_CFG, Implementation, KEEPALIVED_CONF, PATIENCE, PORT, Pair, SERVERS,
    owners_files,
};
use e2e::pki::Authority;
use e2e::protocol::Ending;
use e2e::task::Task;
use e2e::traffic::lost;

use Implementation::{Original, Ours};

const START: [&str; 2] = ["-f", HAPROXY_CFG];

#[test]
fn a_balancer_that_cannot_start_says_why_as_the_original_does() -> anyhow::Result<()> {
    let contest = Contest::start()?;
    let mut wrong = Vec::new();
    let mut compare = |what: &str, text: &str| -> anyhow::Result<()> {
        contest.write(HAPROXY_CFG, text.as_bytes())?;
        let (ours, original) = (
            contest.balancer(Ours, &START)?,
            contest.balancer(Original, &START)?,
        );
        if ours != original {
            wrong.push(format!(
                "{what}:\n ours     {ours:#?}\n original {original:#?}"
            ));
        }
        if ours.ending == Ending::Code(0) {
            wrong.push(format!("{what}: ours started"));
        }
        Ok(())
    };
    compare(
        "unknown user",
        &OWNERS.replace("user haproxy", "user nosuchuser"),
    )?;
    compare(
        "unknown group",
        &OWNERS.replace("group haproxy", "group nosuchgroup"),
    )?;
    compare(
        "no folder for the socket",
        &OWNERS.replace("/run/haproxy/admin", "/run/none/admin"),
    )?;
    compare(
        "an address of nobody here",
        &OWNERS.replace("bind *:", "bind 10.9.9.9:"),
    )?;
    compare("unknown keyword", &OWNERS.replace("balance ", "balanse "))?;
    compare("empty", "")?;
    // In the foreground, since the jail is entered after the background.
    contest.write(
        HAPROXY_CFG,
        OWNERS
            .replace("chroot /var/lib/haproxy", "chroot /var/lib/none")
            .as_bytes(),
    )?;
    let foreground = ["-db", "-f", HAPROXY_CFG];
    let jailed = [
        contest.balancer(Ours, &foreground)?,
        contest.balancer(Original, &foreground)?,
    ];
    assert_eq!(
        jailed[0], jailed[1],
        "no folder for the jail: ours, then the original's"
    );
    for whose in [Ours, Original] {
        let running = contest.host(whose)?.processes_named(&["haproxy"])?;
        assert!(
            running.is_empty(),
            "{whose:?} started although it should not: {running:?}"
        );
    }
    let mut holders = Vec::new();
    for whose in [Ours, Original] {
        holders.push(occupy(contest.host(whose)?)?);
    }
    compare("the port is in use", OWNERS)?;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// Somebody else listens on the owner's port.
fn occupy(host: &Host) -> anyhow::Result<Task> {
    let (certificate, key) = ("/run/lab/cert.der", "/run/lab/key.der");
    Authority::new()?.write_identity(&host.outside(certificate), &host.outside(key))?;
    let spec = ApiServerSpec {
        name: "other".to_owned(),
        listen: SocketAddr::from((Ipv4Addr::UNSPECIFIED, PORT)),
        certificate: certificate.into(),
        key: key.into(),
        manner: Manner::Answer,
    };
    let task = host.spawn_job("api-server", &spec)?;
    task.wait_line("listening", PATIENCE)?;
    Ok(task)
}

#[test]
fn a_router_checks_its_file_as_the_original_does() -> anyhow::Result<()> {
    let contest = Contest::start()?;
    let check = ["-t", "-f", KEEPALIVED_CONF];
    let mut big = OWNERS_VRRP.to_owned();
    while big.len() < 10 << 20 {
        big.push_str("# a comment line that is there to make the file ten megabytes long\n");
    }
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("the owner's file", OWNERS_VRRP.into()),
        ("empty", Vec::new()),
        ("no final newline", OWNERS_VRRP.trim_end().into()),
        (
            "cut in the middle of a line",
            OWNERS_VRRP.as_bytes()[..1200].into(),
        ),
        ("ten megabytes", big.into()),
        (
            "binary",
            (0..4096u32).map(|i| (i * 7 % 251) as u8).collect(),
        ),
        (
            "unknown keyword in the instance",
            OWNERS_VRRP
                .replace("  advert_int 1", "  advert_intt 1")
                .into(),
        ),
        (
            "unknown keyword in the script",
            OWNERS_VRRP.replace("  interval 2", "  intervall 2").into(),
        ),
        (
            "unknown keyword in authentication",
            OWNERS_VRRP
                .replace("    auth_type PASS", "    auth_tpye PASS")
                .into(),
        ),
        (
            "unknown block",
            format!("{OWNERS_VRRP}\nvrrp_instnace x {{\n  state MASTER\n}}\n").into(),
        ),
        (
            "unknown keyword in global_defs",
            format!("global_defs {{\n  router_idd x\n}}\n{OWNERS_VRRP}").into(),
        ),
        (
            "missing interface",
            OWNERS_VRRP
                .replace("interface ens160", "interface nosuch0")
                .into(),
        ),
        (
            "unknown script user",
            OWNERS_VRRP
                .replace("  interval 2", "  user nosuchuser\n  interval 2")
                .into(),
        ),
        (
            "no virtual_router_id",
            OWNERS_VRRP
                .replace("  virtual_router_id 60", "  # 60")
                .into(),
        ),
        (
            "priority out of range",
            OWNERS_VRRP.replace("priority 101", "priority 300").into(),
        ),
        (
            "state in lower case",
            OWNERS_VRRP
                .replace("state MASTER #", "state master #")
                .into(),
        ),
        (
            "priority without a value",
            OWNERS_VRRP.replace("priority 101 #", "priority #").into(),
        ),
        (
            "script not found",
            OWNERS_VRRP.replace("killall -0", "nosuchprogram -0").into(),
        ),
        (
            "unclosed block",
            OWNERS_VRRP.trim_end().trim_end_matches('}').into(),
        ),
    ];
    let mut wrong = Vec::new();
    for (what, text) in cases {
        contest.write(KEEPALIVED_CONF, &text)?;
        let (ours, original) = (
            contest.router(Ours, &check)?,
            contest.router(Original, &check)?,
        );
        if ours != original {
            wrong.push(format!(
                "{what}:\n ours     {ours:#?}\n original {original:#?}"
            ));
        }
    }
    let missing = ["-t", "-f", "/etc/keepalived/none.conf"];
    let (ours, original) = (
        contest.router(Ours, &missing)?,
        contest.router(Original, &missing)?,
    );
    if ours != original {
        wrong.push(format!(
            "missing file:\n ours     {ours:#?}\n original {original:#?}"
        ));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

#[test]
fn a_router_that_cannot_run_ends_with_the_originals_code() -> anyhow::Result<()> {
    let contest = Contest::start()?;
    // A missing interface is not among them: it ends keepalived, and is waited for by ours.
    let twice = "vrrp_instance again {\n  interface ens160\n  virtual_router_id 60\n  \
                 unicast_src_ip 10.0.254.252\n  unicast_peer {\n    10.0.254.251\n  }\n  \
                 virtual_ipaddress {\n    10.0.254.7/16\n  }\n}\n";
    for (what, text) in [
        ("a VRID twice", format!("{OWNERS_VRRP}{twice}")),
        (
            "priority without a value",
            OWNERS_VRRP.replace("priority 101 #", "priority #"),
        ),
    ] {
        contest.write(KEEPALIVED_CONF, text.as_bytes())?;
        let start = ["--dont-fork", "--log-detail", "-f", KEEPALIVED_CONF];
        let (ours, original) = (
            contest.router(Ours, &start)?,
            contest.router(Original, &start)?,
        );
        assert_eq!(
            ours.ending, original.ending,
            "{what}: {ours:?}, {original:?}"
        );
        assert_ne!(ours.ending, Ending::Code(0), "{what}");
    }
    Ok(())
}

#[test]
fn wrong_packets_change_nothing_and_are_named() -> anyhow::Result<()> {
    let pair = Pair::start(owners_files([Ours; 2], [Ours, Original]))?;
    let start = Moment::now();
    // A priority of 255 would depose whoever believed it.
    let good = Advert::default();
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (
            Advert {
                password: *b"wrong-pw",
                ..good
            }
            .bytes(),
            "received an invalid passwd!",
        ),
        (
            Advert {
                auth_type: 0,
                password: [0; 8],
                ..good
            }
            .bytes(),
            "received a 0 auth, expecting 1!",
        ),
        (
            Advert {
                auth_type: 7,
                ..good
            }
            .bytes(),
            "Invalid auth type: 7",
        ),
        (
            Advert {
                interval: 2,
                ..good
            }
            .bytes(),
            "advertisement interval mismatch mine=1 sec rcv'd=2 sec",
        ),
        (
            Advert {
                version_type: 0x22,
                ..good
            }
            .bytes(),
            "Invalid packet type. 2 and expect 1",
        ),
        (
            Advert {
                version_type: 0x31,
                ..good
            }
            .bytes()[..12]
                .to_vec(),
            "wrong version. Received 3 and expect 2",
        ),
        (Advert { count: 2, ..good }.bytes(), "vrrp packet too"),
        (
            Advert {
                address: Ipv4Addr::new(10, 0, 254, 99),
                ..good
            }
            .bytes(),
            "not present in MASTER advert",
        ),
        ([good.bytes(), vec![0; 4]].concat(), "vrrp packet too long"),
        (good.bytes()[..12].to_vec(), "vrrp packet too"),
        (corrupt(good.bytes()), "Invalid VRRPv2 checksum"),
    ];
    let client = pair.lab.host("client")?;
    for (payload, words) in cases {
        let sent = Moment::now();
        for index in [0, 1] {
            let target = pair.lb(index)?.spec.address;
            let spec = ForgeSpec {
                target,
                payload: payload.clone(),
                ttl: 255,
            };
            client
                .spawn_job("forge", &spec)?
                .wait(PATIENCE)?
                .success()?;
        }
        let mut said = Vec::new();
        for index in [1, 0] {
            let message = pair
                .lb(index)?
                .log()
                .wait_for(words, sent, PATIENCE)
                .map_err(|error| {
                    error.context(format!(
                        "on {}: {}",
                        ["lb1, ours", "lb2, the original"][index],
                        pair.evidence()
                    ))
                })?;
            let text = message
                .text
                .split_once("]: ")
                .map(|(_, text)| text.to_owned())
                .unwrap_or_default();
            said.push(text);
        }
        assert_eq!(said[1], said[0], "ours, then the original's");
    }
    // Not even garbage of every length.
    for length in 0..64u8 {
        let payload: Vec<u8> = (0..length).map(|i| i.wrapping_mul(37) ^ length).collect();
        let target = pair.lb(0)?.spec.address;
        client
            .spawn_job(
                "forge",
                &ForgeSpec {
                    target,
                    payload,
                    ttl: 255,
                },
            )?
            .wait(PATIENCE)?
            .success()?;
    }
    let changes = pair.owners.changes();
    assert!(
        changes.iter().all(|change| change.at < start),
        "{}",
        pair.evidence()
    );
    assert_eq!(pair.owners.now(), ["lb1"]);
    Ok(())
}

#[test]
fn runtime_commands_of_any_kind_leave_the_balancer_serving() -> anyhow::Result<()> {
    let pair = Pair::prepare(owners_files([Ours; 2], [Original; 2]))?;
    pair.start_balancer(0)?;
    pair.wait_serves(0)?;
    let host = pair.lb(0)?;
    let target = SocketAddr::from((host.spec.address, PORT));
    let client = pair.client(target, Duration::from_millis(50), None)?;
    let start = client.wait_answer(Moment::default(), PATIENCE)?.started;

    assert!(
        host.admin(ADMIN_SOCKET, "no such command")?
            .contains("Unknown command")
    );
    for line in [
        "x".repeat(1 << 20),
        "set server ".repeat(100_000),
        "\u{0}\u{1}\u{ff}".repeat(1000),
        ";".repeat(10_000),
    ] {
        let mut stream = host.connect(ADMIN_SOCKET)?;
        // The original waits for more until its own timeout of 30 s.
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream.set_write_timeout(Some(Duration::from_secs(1)))?;
        // Refusing the rest of it is as good an answer as any.
        let _refused = stream
            .write_all(line.as_bytes())
            .and_then(|()| stream.write_all(b"\n"));
        let _closed = stream.shutdown(Shutdown::Write);
        let mut answer = Vec::new();
        let _reset = stream.read_to_end(&mut answer);
    }
    // Somebody connects and says nothing.
    let _silent = host.connect(ADMIN_SOCKET)?;
    let stat = host.admin(ADMIN_SOCKET, "show stat")?;
    for (_, name, _) in SERVERS {
        assert!(stat.contains(&format!("apiserver,{name},")), "{stat}");
    }
    let after = client.wait_attempts(Moment::now(), 10, PATIENCE)?;
    assert_eq!(lost(&after) + lost(&client.since(start)), 0, "{after:?}");
    Ok(())
}
