//! A backend stops and returns: no connection is lost once it is marked down, and
//! ours and the original say the same about it.

use std::time::Duration;

use e2e::clock::Moment;
use e2e::pair::{Implementation, PATIENCE, Pair, SERVERS, owners_files};
use e2e::traffic::{lost, tally};

use Implementation::{Original, Ours};

/// `inter 2s fall 3`, and a loaded machine.
const CHECKED: Duration = Duration::from_secs(30);

#[test]
fn a_stopped_backend_gets_no_connection_and_a_returned_one_does() -> anyhow::Result<()> {
    // Ours serves the address; the original, on the other host, watches the same backends.
    let mut pair = Pair::start(owners_files([Ours, Original], [Ours; 2]))?;
    let client = pair.vip_client()?;
    let (_, name, _) = SERVERS[1];

    let start = Moment::now();
    pair.stop_server(1)?;
    let marked = both_log(&pair, &format!("Server apiserver/{name} is DOWN"), start)?;
    let after = client.wait_attempts(marked, 60, PATIENCE)?;
    assert_eq!(
        lost(&after),
        0,
        "after {name} was marked down: {:?}",
        tally(&after)
    );
    assert!(!tally(&after).contains_key(name), "{:?}", tally(&after));
    assert_eq!(tally(&after).len(), 2, "{:?}", tally(&after));

    let start = Moment::now();
    pair.start_server(1)?;
    let marked = both_log(&pair, &format!("Server apiserver/{name} is UP"), start)?;
    let after = client.wait_attempts(marked, 60, PATIENCE)?;
    assert_eq!(
        lost(&client.since(start)),
        0,
        "while {name} returned: {:?}",
        tally(&client.since(start))
    );
    assert_eq!(tally(&after).len(), 3, "{:?}", tally(&after));

    // All of them: the backend as a whole is gone, which is an emergency.
    let start = Moment::now();
    for index in 0..3 {
        pair.stop_server(index)?;
    }
    for (_, name, _) in SERVERS {
        both_log(&pair, &format!("Server apiserver/{name} is DOWN"), start)?;
    }
    both_log(&pair, "backend apiserver has no server available!", start)?;
    let start = Moment::now();
    for index in 0..3 {
        pair.start_server(index)?;
    }
    for (_, name, _) in SERVERS {
        both_log(&pair, &format!("Server apiserver/{name} is UP"), start)?;
    }
    let since = Moment::now();
    let after = client.wait_attempts(since, 30, PATIENCE)?;
    assert_eq!(lost(&after), 0, "{:?}", tally(&after));
    Ok(())
}

/// Waits until both log `text`, holds their lines against each other, and tells
/// when ours did.
fn both_log(pair: &Pair, text: &str, since: Moment) -> anyhow::Result<Moment> {
    let mut said = Vec::new();
    for index in [0, 1] {
        let log = pair.lb(index)?.log();
        let first = log.wait_for(text, since, CHECKED)?;
        // Both targets of the owner's file, local0 and local1.
        e2e::wait::until("the second log target", PATIENCE, || {
            (log.containing(text)
                .iter()
                .filter(|m| m.at >= since)
                .count()
                >= 2)
                .then_some(())
        })?;
        let lines = log.containing(text).into_iter().filter(|m| m.at >= since);
        let mut lines: Vec<String> = lines.map(|m| normal(&m.text)).collect();
        lines.sort();
        said.push((first.at, lines));
    }
    // How many servers are left depends on who was noticed first when several go at once.
    assert_eq!(said[0].1.len(), said[1].1.len(), "{said:?}");
    if !text.contains("no server") {
        let plain = |lines: &[String]| lines.iter().map(|l| before_counts(l)).collect::<Vec<_>>();
        assert_eq!(
            plain(&said[0].1),
            plain(&said[1].1),
            "ours, then the original's"
        );
    } else {
        assert_eq!(said[0].1, said[1].1, "ours, then the original's");
    }
    Ok(said[0].0)
}

/// Without time stamp, process id and check duration.
fn normal(message: &str) -> String {
    let (priority, rest) = message.split_once('>').unwrap_or(("", message));
    let text = rest.split_once("]: ").map_or(rest, |(_, text)| text);
    let tag = rest
        .split('[')
        .next()
        .unwrap_or("")
        .rsplit(' ')
        .next()
        .unwrap_or("");
    let text = match text.split_once("check duration: ") {
        Some((head, tail)) => {
            let tail = tail.trim_start_matches(|c: char| c.is_ascii_digit());
            format!("{head}check duration: N{tail}")
        }
        None => text.to_owned(),
    };
    format!("{priority}> {tag}: {text}")
}

/// What comes before the numbers of servers and sessions, and their wording.
fn before_counts(line: &str) -> String {
    let (head, tail) = line.split_once("Nms. ").unwrap_or((line, ""));
    format!("{head}{}", tail.replace(|c: char| c.is_ascii_digit(), "N"))
}
