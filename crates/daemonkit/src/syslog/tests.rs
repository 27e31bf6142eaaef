use std::os::fd::AsRawFd;
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant, UNIX_EPOCH};

use super::*;

fn settings(destination: Destination, format: Format) -> Settings {
    Settings {
        destination,
        format,
        max_len: DEFAULT_MAX_LEN,
        facility: Facility::LOCAL0,
        max_level: Level::Debug,
        min_level: Level::Emerg,
        sample: None,
    }
}

fn header(hostname: Option<&str>) -> Header {
    Header {
        tag: b"haproxy".to_vec(),
        pid: 9539,
        hostname: hostname.map(|name| name.as_bytes().to_vec()),
    }
}

/// A moment whose local time is 2026-11-02 17:53:36.731555 wherever we are.
fn moment() -> SystemTime {
    let utc = 1_793_642_016;
    let offset = i64::from(osys::time::local(utc).utc_offset);
    let seconds = u64::try_from(utc - offset).unwrap();
    UNIX_EPOCH + Duration::new(seconds, 731_555_000)
}

fn offset_text() -> String {
    let offset = osys::time::local(1_793_642_016).utc_offset;
    let sign = if offset < 0 { '-' } else { '+' };
    let minutes = offset.abs() / 60;
    format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60)
}

fn check(format: Format, hostname: Option<&str>, expected: &str) {
    let settings = settings(Destination::Fd(1), format);
    let mut line = Vec::new();
    format::line(
        &mut line,
        &settings,
        Level::Alert,
        &header(hostname),
        moment(),
        b"Server l1/s1 is DOWN.",
    );
    let expected = expected.replace("+00:00", &offset_text());
    assert_eq!(String::from_utf8_lossy(&line), expected, "{format:?}");
}

/// Bytes as captured from Debian's haproxy 2.6.12, one `log` line per format.
#[test]
fn every_format_has_the_originals_bytes() {
    let rows = [
        (
            Format::Auto,
            None,
            "<129>Nov  2 17:53:36 haproxy[9539]: Server l1/s1 is DOWN.\n",
        ),
        (
            Format::Auto,
            Some("vm"),
            "<129>Nov  2 17:53:36 vm haproxy[9539]: Server l1/s1 is DOWN.\n",
        ),
        (
            Format::Local,
            Some("vm"),
            "<129>Nov  2 17:53:36 haproxy[9539]: Server l1/s1 is DOWN.\n",
        ),
        (
            Format::Rfc3164,
            None,
            "<129>Nov  2 17:53:36 localhost haproxy[9539]: Server l1/s1 is DOWN.\n",
        ),
        (
            Format::Rfc3164,
            Some("vm"),
            "<129>Nov  2 17:53:36 vm haproxy[9539]: Server l1/s1 is DOWN.\n",
        ),
        (
            Format::Rfc5424,
            None,
            "<129>1 2026-11-02T17:53:36.731555+00:00 - haproxy 9539 - - Server l1/s1 is DOWN.\n",
        ),
        (
            Format::Rfc5424,
            Some("vm"),
            "<129>1 2026-11-02T17:53:36.731555+00:00 vm haproxy 9539 - - Server l1/s1 is DOWN.\n",
        ),
        (Format::Raw, Some("vm"), "Server l1/s1 is DOWN.\n"),
        (Format::Short, Some("vm"), "<1>Server l1/s1 is DOWN.\n"),
        (
            Format::Timed,
            Some("vm"),
            "<1>2026-11-02T17:53:36.731555+00:00 Server l1/s1 is DOWN.\n",
        ),
        (
            Format::Iso,
            Some("vm"),
            "2026-11-02T17:53:36.731555+00:00 Server l1/s1 is DOWN.\n",
        ),
        (Format::Priority, Some("vm"), "<129>Server l1/s1 is DOWN.\n"),
        (
            Format::Libc,
            Some("vm"),
            "<129>Nov  2 17:53:36 haproxy[9539]: Server l1/s1 is DOWN.",
        ),
    ];
    for (format, hostname, expected) in rows {
        check(format, hostname, expected);
    }
}

#[test]
fn length_limits_header_and_message_but_not_the_line_feed() {
    let mut settings = settings(Destination::Fd(1), Format::Auto);
    settings.max_len = 80;
    let text = b"Server l1/s1 is DOWN, reason: Layer4 connection problem";
    let mut line = Vec::new();
    format::line(
        &mut line,
        &settings,
        Level::Alert,
        &header(None),
        moment(),
        text,
    );
    assert_eq!(
        String::from_utf8_lossy(&line),
        "<129>Nov  2 17:53:36 haproxy[9539]: Server l1/s1 is DOWN, reason: Layer4 connect\n"
    );
}

/// Sends through one target to a socket and gives back what arrived.
fn sent(change: impl FnOnce(&mut Settings), levels: &[Level]) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let reader = UnixDatagram::bind(&path).unwrap();
    reader.set_nonblocking(true).unwrap();
    let mut settings = settings(Destination::Unix(path), Format::Priority);
    change(&mut settings);
    let target = Target::new(settings, &mut Sinks::default());
    for level in levels {
        target.send(*level, &header(None), moment(), b"m").unwrap();
    }
    received(&reader)
}

fn received(reader: &UnixDatagram) -> Vec<String> {
    let mut lines = Vec::new();
    let mut buffer = [0; 2048];
    while let Ok(length) = reader.recv(&mut buffer) {
        lines.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
    }
    lines
}

#[test]
fn levels_filter_and_cap() {
    let capped = sent(
        |settings| {
            settings.max_level = Level::Notice;
            settings.min_level = Level::Err;
        },
        &[Level::Emerg, Level::Err, Level::Notice, Level::Info],
    );
    assert_eq!(capped, ["<131>m\n", "<131>m\n", "<133>m\n"]);
}

#[test]
fn sampling_picks_positions_of_each_cycle() {
    let picked = sent(
        |settings| {
            settings.sample = Some(Sample {
                ranges: vec![(1, 1), (3, 4)],
                size: 5,
            });
        },
        &[
            Level::Emerg,
            Level::Alert,
            Level::Crit,
            Level::Err,
            Level::Warning,
            Level::Notice,
        ],
    );
    assert_eq!(picked, ["<128>m\n", "<130>m\n", "<131>m\n", "<133>m\n"]);
}

#[test]
fn a_full_queue_drops_counts_and_never_waits() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let reader = UnixDatagram::bind(&path).unwrap();
    let target = Target::new(
        settings(Destination::Unix(path), Format::Raw),
        &mut Sinks::default(),
    );
    let logger = Logger::new(vec![Arc::new(target)], header(None));
    let begin = Instant::now();
    for _ in 0..20_000 {
        assert_eq!(logger.log(Level::Info, &[b'x'; 512]), None);
    }
    assert!(begin.elapsed() < Duration::from_secs(10));
    assert!(logger.dropped() > 0);
    drop(reader);
}

#[test]
fn a_full_pipe_drops_and_stays_in_blocking_mode() {
    let (reader, writer) = rustix::pipe::pipe().unwrap();
    let mut sinks = Sinks::default();
    let sink = sinks.open(&Destination::Fd(writer.as_raw_fd()));
    let mut outcome = Ok(());
    for _ in 0..20_000 {
        outcome = sink.send(&[b'x'; 512]);
        if outcome.is_err() {
            break;
        }
    }
    assert_eq!(outcome, Err(SendError::Full));
    let flags = rustix::fs::fcntl_getfl(&writer).unwrap();
    assert!(!flags.contains(rustix::fs::OFlags::NONBLOCK));
    drop(reader);
}

#[test]
fn a_restarted_reader_gets_lines_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let mut sinks = Sinks::default();
    let target = Target::new(
        settings(Destination::Unix(path.clone()), Format::Raw),
        &mut sinks,
    );
    let logger = Logger::new(vec![Arc::new(target)], header(None));

    let failure = logger.log(Level::Info, b"nobody").unwrap();
    assert_eq!(
        failure.to_string(),
        "sendmsg()/writev() failed in logger #1: No such file or directory (errno=2)"
    );
    assert_eq!(logger.log(Level::Info, b"still nobody"), None);
    assert_eq!(logger.dropped(), 2);

    for round in 0..2 {
        let _ = std::fs::remove_file(&path);
        let reader = UnixDatagram::bind(&path).unwrap();
        reader.set_nonblocking(true).unwrap();
        let deadline = Instant::now() + Duration::from_secs(5);
        loop {
            logger.log(Level::Info, b"hello");
            if received(&reader).contains(&"hello\n".to_owned()) {
                break;
            }
            assert!(
                Instant::now() < deadline,
                "round {round}: never reconnected"
            );
        }
    }
}

#[test]
fn a_line_right_after_the_reader_came_back_arrives() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let sink = Sinks::default().open(&Destination::Unix(path.clone()));
    assert!(sink.send(b"nobody").is_err());
    let failed = Instant::now();
    let reader = UnixDatagram::bind(&path).unwrap();
    reader.set_nonblocking(true).unwrap();
    while failed.elapsed() < Duration::from_millis(5) {
        std::thread::yield_now();
    }
    assert_eq!(sink.send(b"here"), Ok(()));
}

#[test]
fn udp_lines_arrive_with_their_line_feed() {
    let reader = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    reader
        .set_read_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    let address = reader.local_addr().unwrap();
    let sink = Sinks::default().open(&Destination::Udp(address));
    sink.send(b"line\n").unwrap();
    let mut buffer = [0; 64];
    let length = reader.recv(&mut buffer).unwrap();
    assert_eq!(&buffer[..length], b"line\n");
}

#[test]
fn one_destination_is_opened_once() {
    let mut sinks = Sinks::default();
    let destination = Destination::Fd(2);
    assert!(Arc::ptr_eq(
        &sinks.open(&destination),
        &sinks.open(&destination)
    ));
    let bad = sinks.open(&Destination::Fd(999_999));
    assert_eq!(
        bad.send(b"x"),
        Err(SendError::Failed(rustix::io::Errno::BADF.raw_os_error()))
    );
}

#[test]
fn names_and_numbers_of_levels_and_facilities_agree() {
    for level in Level::ALL {
        assert_eq!(Level::from_name(level.name()), Some(level));
        assert_eq!(Level::from_number(level.number()), level);
    }
    assert_eq!(Level::from_name("warn"), None);
    for number in 0..24 {
        let facility = Facility::from_number(number).unwrap();
        assert_eq!(Facility::from_name(facility.name()), Some(facility));
        assert_eq!(facility.number(), number);
    }
    assert_eq!(Facility::from_number(24), None);
}

#[test]
fn lines_sent_together_keep_their_order_at_each_destination() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let unix = UnixDatagram::bind(&path).unwrap();
    unix.set_nonblocking(true).unwrap();
    let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    udp.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let mut sinks = Sinks::default();
    let targets = [
        Destination::Unix(path),
        Destination::Udp(udp.local_addr().unwrap()),
    ]
    .map(|to| Arc::new(Target::new(settings(to, Format::Raw), &mut sinks)));
    let logger = Logger::new(targets.to_vec(), header(None));

    let mut batch = Batch::default();
    for number in 0..10 {
        let text = format!("line {number}");
        logger.collect(Level::Info, text.as_bytes(), &mut batch);
    }
    assert!(
        received(&unix).is_empty(),
        "nothing leaves before the flush"
    );
    assert_eq!(batch.flush(), None);
    assert!(batch.is_empty());
    let expected: Vec<String> = (0..10).map(|number| format!("line {number}\n")).collect();
    assert_eq!(received(&unix), expected);
    let mut buffer = [0; 64];
    let by_udp: Vec<String> = (0..10)
        .map(|_| {
            let length = udp.recv(&mut buffer).unwrap();
            String::from_utf8_lossy(&buffer[..length]).into_owned()
        })
        .collect();
    assert_eq!(by_udp, expected);
    assert_eq!(logger.dropped(), 0);
}

#[test]
fn lines_kept_for_an_absent_reader_are_counted_and_complained_of_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let mut sinks = Sinks::default();
    let target = Target::new(settings(Destination::Unix(path), Format::Raw), &mut sinks);
    let logger = Logger::new(vec![Arc::new(target)], header(None));
    let mut batch = Batch::default();
    for _ in 0..3 {
        logger.collect(Level::Info, b"nobody", &mut batch);
    }
    let failure = batch.flush().unwrap();
    assert_eq!((failure.logger, failure.errno), (1, 2));
    assert_eq!(logger.dropped(), 3);
    logger.collect(Level::Info, b"still nobody", &mut batch);
    assert_eq!(batch.flush(), None);
    assert_eq!(logger.dropped(), 4);
}

#[test]
fn a_full_queue_takes_what_it_can_of_lines_sent_together() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let reader = UnixDatagram::bind(&path).unwrap();
    reader.set_nonblocking(true).unwrap();
    let mut sinks = Sinks::default();
    let target = Target::new(settings(Destination::Unix(path), Format::Raw), &mut sinks);
    let logger = Logger::new(vec![Arc::new(target)], header(None));
    let mut batch = Batch::default();
    let total = 5000;
    for number in 0..total {
        logger.collect(Level::Info, format!("{number}").as_bytes(), &mut batch);
    }
    assert_eq!(batch.flush(), None, "a full queue is nobody's failure");
    let got = received(&reader);
    assert!(!got.is_empty());
    assert_eq!(got.len() as u64 + logger.dropped(), total);
    let numbers: Vec<u64> = got
        .iter()
        .map(|line| line.trim().parse().unwrap())
        .collect();
    assert!(numbers.is_sorted());
}
