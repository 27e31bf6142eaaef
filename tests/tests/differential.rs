//! The owner's haproxy.cfg and everyday changes of it, fed to Debian's haproxy
//! and to proxyd: the same words, the same exit codes, the same log fields.

use std::time::Duration;

use e2e::clock::Moment;
use e2e::differential::Contest;
use e2e::fixtures::HAPROXY_CFG as OWNERS;
use e2e::pair::{ADMIN_SOCKET, HAPROXY_CFG, Implementation, LBS, PATIENCE, Pair, owners_files};
use e2e::protocol::Ending;
use e2e::traffic::Then;

use Implementation::{Original, Ours};

const CHECK: [&str; 3] = ["-c", "-f", HAPROXY_CFG];

#[test]
fn the_config_check_says_what_the_originals_says() -> anyhow::Result<()> {
    let contest = Contest::start()?;
    let mut big = String::with_capacity(11 << 20);
    big.push_str(OWNERS);
    while big.len() < 10 << 20 {
        big.push_str("# a comment line that is there to make the file ten megabytes long\n");
    }
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("the owner's file", OWNERS.into()),
        ("empty", Vec::new()),
        ("no final newline", OWNERS.trim_end().into()),
        ("cut in the middle of a line", OWNERS.as_bytes()[..1000].into()),
        ("binary", (0..4096u32).map(|i| (i * 7 % 251) as u8).collect()),
        ("ten megabytes", big.into()),
        ("unknown keyword in global", OWNERS.replace("        daemon\n", "        deamon\n").into()),
        ("unknown keyword in defaults", OWNERS.replace("        option  dontlognull", "        optoin  dontlognull").into()),
        ("unknown option in defaults", OWNERS.replace("dontlognull", "dontlognul").into()),
        ("unknown keyword in frontend", OWNERS.replace("        bind *:6443", "        bimd *:6443").into()),
        ("unknown keyword in backend", OWNERS.replace("        balance  ", "        balanse  ").into()),
        ("unknown section", format!("{OWNERS}\nfrontent x\n").into()),
        ("unknown server keyword", OWNERS.replace("10.0.254.250:6443 check", "10.0.254.250:6443 chekc").into()),
        ("unknown user", OWNERS.replace("user haproxy", "user nosuchuser").into()),
        ("unknown group", OWNERS.replace("group haproxy", "group nosuchgroup").into()),
        ("missing errorfile", OWNERS.replace("errors/503.http", "errors/none.http").into()),
        ("missing chroot folder passes", OWNERS.replace("/var/lib/haproxy", "/var/lib/none").into()),
        ("unknown default_backend", OWNERS.replace("default_backend apiserver", "default_backend apiservers").into()),
        ("no port to bind", OWNERS.replace("bind *:6443", "bind *").into()),
        ("bad timeout", OWNERS.replace("timeout connect 5000", "timeout connect 5x").into()),
        ("unknown balance", OWNERS.replace("roundrobin #", "robinround #").into()),
        ("server twice", OWNERS.replace("k8s-master-2", "k8s-master-1").into()),
        ("no listener", OWNERS.replace("frontend apiserver ", "backend other ").replace("bind", "#").into()),
        ("http mode left over", OWNERS.replacen("        mode tcp # 使用 TCP Layer 4 代理模式\n        option tcplog # 紀錄 TCP 連接的 Log\n        default", "        mode tcp\n        default", 1).into()),
        ("missing timeouts", OWNERS.replace("timeout", "#").into()),
        ("an unclosed quote", OWNERS.replace("balance     roundrobin", "balance     \"roundrobin").into()),
    ];
    let mut wrong = Vec::new();
    for (what, text) in cases {
        contest.write(HAPROXY_CFG, &text)?;
        let (ours, original) = (
            contest.balancer(Ours, &CHECK)?,
            contest.balancer(Original, &CHECK)?,
        );
        if ours != original {
            wrong.push(format!(
                "{what}:\n ours     {ours:#?}\n original {original:#?}"
            ));
        }
    }
    for arguments in [
        ["-c", "-f", "/etc/haproxy/none.cfg"],
        ["-c", "-f", "/etc/haproxy/errors/503.http"],
    ] {
        let (ours, original) = (
            contest.balancer(Ours, &arguments)?,
            contest.balancer(Original, &arguments)?,
        );
        if ours != original || ours.ending == Ending::Code(0) {
            wrong.push(format!(
                "{arguments:?}:\n ours     {ours:#?}\n original {original:#?}"
            ));
        }
    }
    // A folder without any *.cfg: the usage, and the same exit code.
    let folder = ["-c", "-f", "/etc/haproxy/errors"];
    assert_eq!(
        contest.balancer(Ours, &folder)?.ending,
        contest.balancer(Original, &folder)?.ending
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

#[test]
fn the_owners_file_is_valid_word_for_word() -> anyhow::Result<()> {
    let contest = Contest::start()?;
    let ours = contest.balancer(Ours, &CHECK)?;
    assert_eq!(ours, contest.balancer(Original, &CHECK)?);
    assert_eq!(ours.ending, Ending::Code(0));
    let quiet = contest.balancer(Ours, &["-c", "-q", "-f", HAPROXY_CFG])?;
    assert_eq!(
        quiet,
        contest.balancer(Original, &["-c", "-q", "-f", HAPROXY_CFG])?
    );
    Ok(())
}

#[test]
fn admin_socket_and_tcplog_have_the_originals_fields() -> anyhow::Result<()> {
    // lb1 runs ours, lb2 the original; no VRRP in this test.
    let mut pair = Pair::prepare(owners_files([Ours, Original], [Original; 2]))?;
    for index in [0, 1] {
        pair.start_balancer(index)?;
        pair.wait_serves(index)?;
    }
    admin_answers(&pair)?;
    connections(&mut pair)
}

fn admin_answers(pair: &Pair) -> anyhow::Result<()> {
    let ask = |command: &str| -> anyhow::Result<[String; 2]> {
        Ok([
            pair.lb(0)?.admin(ADMIN_SOCKET, command)?,
            pair.lb(1)?.admin(ADMIN_SOCKET, command)?,
        ])
    };
    let first_line = |text: &String| text.lines().next().unwrap_or("").to_owned();
    let stat = ask("show stat")?;
    assert_eq!(first_line(&stat[0]), first_line(&stat[1]));
    // Frontend, three servers, backend, in the same order under the same names.
    let names = |text: &String| {
        text.lines()
            .map(|l| l.split(',').take(2).collect::<Vec<_>>().join("/"))
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&stat[0]), names(&stat[1]));

    let info = ask("show info")?;
    let keys = |text: &String| {
        text.lines()
            .map(|l| l.split(':').next().unwrap_or("").to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(keys(&info[0]), keys(&info[1]));

    let state = ask("show servers state")?;
    // The sixteenth column and on hold ports and the like; the tenth is a time.
    let rows = |text: &String| {
        text.lines()
            .map(|line| {
                let mut columns: Vec<&str> = line.split(' ').collect();
                if columns.len() > 20 && !line.starts_with('#') {
                    columns[9] = "time";
                }
                columns.join(" ")
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(rows(&state[0]), rows(&state[1]));

    for command in [
        "set server apiserver/k8s-master-1 state maint",
        "set server apiserver/k8s-master-1 state ready",
        "disable server apiserver/k8s-master-2",
        "enable server apiserver/k8s-master-2",
        "disable server apiserver/nobody",
        "disable server nobody/nobody",
        "set server apiserver/k8s-master-1 state sleeping",
    ] {
        let said = ask(command)?;
        assert_eq!(said[0], said[1], "{command}");
    }
    let unknown = ask("sohw stat")?;
    assert_eq!(first_line(&unknown[0]), first_line(&unknown[1]));
    Ok(())
}

/// The same connections through both, one after the other; then their log lines side by side.
fn connections(pair: &mut Pair) -> anyhow::Result<()> {
    let start = Moment::now();
    let each = |pair: &Pair, index: usize| -> anyhow::Result<()> {
        let target = std::net::SocketAddr::from((pair.lb(index)?.spec.address, e2e::pair::PORT));
        let client = pair.client(target, Duration::from_millis(20), Some(3))?;
        let answered = client.wait_attempts(start, 3, PATIENCE)?;
        assert_eq!(e2e::traffic::lost(&answered), 0, "{answered:?}");
        // Zero bytes: dontlognull leaves no line.
        pair.poke(index, "", Then::ResetAfter(Duration::from_millis(300)))?;
        // No TLS: the stand-in answers with an alert and closes.
        pair.poke(index, "this is no TLS\n", Then::Read)?;
        // The client vanishes in the middle of its transfer.
        pair.poke(
            index,
            "\u{16}",
            Then::ResetAfter(Duration::from_millis(500)),
        )?;
        Ok(())
    };
    for index in [0, 1] {
        each(pair, index)?;
        wait_lines(pair, index, start, 5)?;
    }
    // Nobody listens, and no check has noticed yet: three retries a second apart.
    for index in 0..3 {
        pair.stop_server(index)?;
    }
    std::thread::scope(|scope| {
        let pair = &*pair;
        let pokes =
            [0, 1].map(|index| scope.spawn(move || pair.poke(index, "hello\n", Then::Read)));
        pokes.into_iter().try_for_each(|poke| {
            poke.join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
                .map(drop)
        })
    })?;
    for index in [0, 1] {
        wait_lines(pair, index, start, 6)?;
    }
    let lines = [fields(pair, 0, start)?, fields(pair, 1, start)?];
    assert_eq!(
        lines[0], lines[1],
        "ours ({}), then the original's ({})",
        LBS[0], LBS[1]
    );
    assert_eq!(lines[0].len(), 6, "{lines:?}");
    Ok(())
}

fn wait_lines(pair: &Pair, index: usize, since: Moment, count: usize) -> anyhow::Result<()> {
    e2e::wait::until_ok(
        &format!("{count} connections logged on {}", LBS[index]),
        PATIENCE,
        || {
            let lines = fields(pair, index, since)?;
            Ok((lines.len() >= count).then_some(()))
        },
    )
    .map_err(|error| error.context(format!("{:#?}", fields(pair, index, since))))
}

/// The tcplog lines since `since`, with what differs from run to run made equal:
/// pid, time stamps, the client's port, times (but not whether there is one).
fn fields(pair: &Pair, index: usize, since: Moment) -> anyhow::Result<Vec<String>> {
    let mut lines = Vec::new();
    for message in pair.lb(index)?.log().messages() {
        // The client of `wait_serves` came before.
        let Some((header, text)) = message.text.split_once("]: 10.0.254.10:") else {
            continue;
        };
        if message.at < since {
            continue;
        }
        let (priority, rest) = header.split_once('>').unwrap_or(("", header));
        let tag = rest
            .rsplit(' ')
            .next()
            .and_then(|t| t.split('[').next())
            .unwrap_or("");
        let stamp = rest.split(' ').count();
        let mut words = text.split(' ').skip(1);
        let date = words.next().unwrap_or("");
        let shape: String = date
            .chars()
            .map(|c| if c.is_ascii_digit() { '0' } else { c })
            .collect();
        let shape = shape.replace(|c: char| c.is_ascii_alphabetic(), "a");
        let who = [words.next().unwrap_or(""), words.next().unwrap_or("")].join(" ");
        let times = words
            .next()
            .unwrap_or("")
            .split('/')
            .map(|t| if t.starts_with('-') { t } else { "N" });
        let times: Vec<&str> = times.collect();
        let rest: Vec<&str> = words.collect();
        lines.push(format!(
            "{priority}> {stamp} {tag} {shape} {who} {} {}",
            times.join("/"),
            rest.join(" ")
        ));
    }
    Ok(lines)
}
