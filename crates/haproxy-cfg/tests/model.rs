//! The model that configurations give, and that no bytes make the reader panic.

mod common;

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use common::{Machine, args, check, check_with, load, plain};
use haproxy_cfg::model::{
    Balance, BindAddr, CheckKind, ConnectionLog, LogDest, LogFormat, Mode, ProxyKind, StatsLevel,
};
use proptest::prelude::*;

const PAIR: &str = "\
global
    log /dev/log local0
    log /dev/log local1 notice
    chroot /var/lib/haproxy
    stats socket /run/haproxy/admin.sock mode 660 level admin expose-fd listeners
    stats timeout 30s
    user haproxy
    group haproxy
    daemon
    ca-base /etc/ssl/certs
    ssl-default-bind-options ssl-min-ver TLSv1.2 no-tls-tickets
defaults
    log global
    mode http
    option httplog
    option dontlognull
    timeout connect 5000
    timeout client 50000
    timeout server 50000
    errorfile 503 /etc/haproxy/errors/503.http
frontend apiserver # 代理入口
    bind *:6443
    mode tcp
    option tcplog
    default_backend apiserver
backend apiserver
    mode tcp
    option tcplog
    option ssl-hello-chk
    balance roundrobin
    server k8s-master-1 10.0.254.250:6443 check
    server k8s-master-2 10.0.254.249:6443 check inter 1s rise 3 weight 7 backup
";

#[test]
fn the_apiserver_pair_gives_its_model() {
    let loaded = load(PAIR);
    let config = loaded.config.expect("the configuration is good");
    let global = &config.global;
    assert_eq!(
        global.chroot.as_deref(),
        Some(Path::new("/var/lib/haproxy"))
    );
    assert_eq!(global.user.as_ref().map(|user| user.id), Some(106));
    assert!(global.daemon);
    assert_eq!(global.stats_timeout, Duration::from_secs(30));
    let socket = &global.stats_sockets[0];
    assert_eq!(
        socket.addr,
        BindAddr::Unix("/run/haproxy/admin.sock".into())
    );
    assert_eq!(socket.rights.mode, Some(0o660));
    assert_eq!(socket.level, StatsLevel::Admin);
    assert!(socket.expose_fd_listeners);
    assert_eq!(global.log.len(), 2);
    assert_eq!(global.log[0].dest, LogDest::Unix("/dev/log".into()));
    assert_eq!(global.log[1].max_level.0, 5);

    let [front, back] = config.proxies.as_slice() else {
        panic!("two proxies: {:?}", config.proxies);
    };
    assert_eq!((front.id, back.id), (2, 3));
    assert_eq!(front.kind, ProxyKind::Frontend);
    assert_eq!((front.mode, back.mode), (Mode::Tcp, Mode::Tcp));
    assert_eq!(front.default_backend, Some(1));
    assert!(front.log.dontlognull);
    assert_eq!(front.log.format, ConnectionLog::TcpLog);
    assert_eq!(front.log.targets.len(), 2);
    assert_eq!(front.timeouts.client, Some(Duration::from_secs(50)));
    let BindAddr::Inet { addr, .. } = front.binds[0].addr else {
        panic!("an IP address: {:?}", front.binds);
    };
    assert_eq!(addr, SocketAddr::from(([0, 0, 0, 0], 6443)));
    assert_eq!(back.check_kind, CheckKind::SslHello);
    assert_eq!((back.balance, back.retries), (Balance::RoundRobin, 3));
    let [first, second] = back.servers.as_slice() else {
        panic!("two servers: {:?}", back.servers);
    };
    assert_eq!(
        first.addr.fixed(),
        Some("10.0.254.250:6443".parse().unwrap())
    );
    let check = first.check.expect("checked");
    assert_eq!(
        (check.inter, check.rise, check.fall),
        (Duration::from_secs(2), 2, 3)
    );
    let check = second.check.expect("checked");
    assert_eq!((check.inter, check.rise), (Duration::from_secs(1), 3));
    assert_eq!((second.weight, second.backup, second.id), (7, true, 2));
}

/// Only a target without a format takes the host name of `log-send-hostname`.
#[test]
fn a_log_format_that_is_written_differs_from_none() {
    let config = load(
        "global\n log 127.0.0.1 local0\n log 127.0.0.1 format local local0\n \
         stats socket /tmp/s\n",
    )
    .config
    .expect("the configuration is good");
    let formats: Vec<_> = config.global.log.iter().map(|log| log.format).collect();
    assert_eq!(formats, [LogFormat::Auto, LogFormat::Local]);
}

#[test]
fn ranges_lists_and_families_of_listeners() {
    let config = load(
        "listen l\n bind :80-82,127.0.0.1:90 name a\n bind [::1]:5 v6only id 2\n bind unix@/run/x mode 600\n timeout client 1s\n",
    )
    .config
    .expect("good");
    let listeners: Vec<String> = config.proxies[0]
        .binds
        .iter()
        .map(|bind| match &bind.addr {
            BindAddr::Inet { addr, .. } => format!("{addr} {}", bind.id),
            BindAddr::Unix(path) => format!("{} {}", path.display(), bind.id),
            other => format!("{other:?}"),
        })
        .collect();
    assert_eq!(
        listeners,
        [
            "0.0.0.0:80 1",
            "0.0.0.0:81 3",
            "0.0.0.0:82 4",
            "127.0.0.1:90 5",
            "[::1]:5 2",
            "/run/x 6"
        ]
    );
}

#[test]
fn changes_of_the_environment_reach_later_lines_and_the_model() {
    let config = load(
        "global\n setenv PORT 81\n presetenv FOO no\n unsetenv EMPTY\nlisten l\n bind \"127.0.0.1:$PORT\"\n timeout client 1s\n",
    )
    .config
    .expect("good");
    assert_eq!(config.proxies[0].binds[0].text, "127.0.0.1:81");
    assert_eq!(
        config.global.env,
        [("PORT".into(), Some("81".into())), ("EMPTY".into(), None)]
    );
}

#[test]
fn what_haproxy_knows_and_we_do_not_is_refused_once_with_line_and_reason() {
    for line in [
        "stick-table type ip size 1m",
        "tcp-request content switch-mode http",
        "option httpchk",
        "tcp-check connect",
        "source 1.2.3.4",
        "balance random",
        "bind :443 ssl crt /x",
        "server a 1.2.3.4:80 send-proxy",
        "server a 1.2.3.4:80 ssl verify none",
    ] {
        let config = format!("listen l\n bind :1\n timeout client 1s\n {line}\n");
        let output = check(config.as_bytes());
        let text = plain(&output.stderr);
        assert_eq!(output.code, 1, "{line}");
        let mut alerts = text.lines().filter(|line| line.contains("not supported"));
        let alert = alerts.next().unwrap_or_default();
        assert!(alert.contains("FILE:4]"), "{line}: {text}");
        assert!(alert.ends_with('.'), "{line}: {text}");
        assert_eq!(alerts.next(), None, "{line}: {text}");
        assert_eq!(text.lines().count(), 3, "{line}: {text}");
    }
}

#[test]
fn http_proxies_are_refused_where_they_begin() {
    let output = check(b"defaults\n mode http\n timeout client 1s\nlisten l\n bind :1\n");
    assert_eq!(output.code, 1);
    let text = plain(&output.stderr);
    assert!(
        text.contains("[FILE:4] : proxy 'l': 'mode http' is not supported"),
        "{text}"
    );
}

#[test]
fn folders_give_their_cfg_files_in_order() {
    let mut machine = Machine::with("conf/b.cfg", b" timeout client 1s\n");
    for (name, text) in [
        ("conf/B.cfg", "listen one\n bind :1\n timeout client 1s\n"),
        ("conf/a.cfg", "listen two\n bind :2\n timeout client 1s\n"),
        ("conf/b.cfg", "listen three\n bind :3\n timeout client 1s\n"),
        ("conf/.hidden.cfg", "nonsense\n"),
        ("conf/c.txt", "nonsense\n"),
    ] {
        machine.files.insert(name.into(), text.into());
    }
    let loaded = haproxy_cfg::load(&args(&["-f", "conf"]), &machine);
    let names: Vec<String> = loaded
        .config
        .expect("good")
        .proxies
        .into_iter()
        .map(|proxy| proxy.name)
        .collect();
    assert_eq!(names, ["one", "two", "three"]);
}

#[test]
fn quiet_hides_everything_but_the_exit_code() {
    let bad = b"listen l\n foo\n";
    let output = check_with(&["-c", "-q", "-f", "FILE"], bad);
    assert_eq!(
        (output.code, output.stdout.len(), output.stderr.len()),
        (1, 0, 0)
    );
    let output = check_with(&["-c", "-q", "-V", "-f", "FILE"], bad);
    assert!(!output.stderr.is_empty());
    let warns = b"listen l\n bind :1\n";
    let output = check_with(&["-c", "-dW", "-f", "FILE"], warns);
    assert_eq!(output.code, 1);
    assert!(plain(&output.stderr).contains("'zero-warning' is set. Aborting."));
}

#[test]
fn the_document_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/compat/haproxy.md");
    let wanted = haproxy_cfg::compat_markdown();
    if std::env::var_os("HAPROXY_CFG_RECORD").is_some() {
        std::fs::write(&path, &wanted).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(written, wanted, "run the tests with HAPROXY_CFG_RECORD=1");
}

#[test]
fn ten_megabytes_are_read() {
    let mut text = b"listen l\n bind :1\n timeout client 1s\n".to_vec();
    while text.len() < 10 << 20 {
        text.extend_from_slice(b"# a comment that goes on and on and on\n");
    }
    assert_eq!(check(&text).code, 0);
    assert_eq!(check(&vec![b'x'; 10 << 20]).code, 1);
}

const WORDS: &[&str] = &[
    "global",
    "defaults",
    "frontend",
    "backend",
    "listen",
    "from",
    "bind",
    ":80-90",
    "[::1]:1",
    "server",
    "s",
    "1.2.3.4:5",
    "check",
    "inter",
    "10s",
    "weight",
    "no",
    "option",
    "tcplog",
    "timeout",
    "client",
    "log",
    "stdout",
    "format",
    "raw",
    "local0",
    "stats",
    "socket",
    "/x",
    "maxconn",
    "-1",
    "99999999999999999999",
    "\"",
    "'",
    "\\",
    "${FOO",
    "\"$FOO\"",
    "\"${LIST[*]}\"",
    "\n",
    "\n",
    "\n",
    "\0",
    "\u{fffd}",
    "é",
    "#",
    ".if",
    ".endif",
    "(",
    "streq(a,b)",
    "default",
];

proptest! {
    #[test]
    fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(check(&bytes).code <= 2);
    }

    #[test]
    fn any_words_are_answered(words in proptest::collection::vec(proptest::sample::select(WORDS), 0..80)) {
        prop_assert!(check(words.join(" ").as_bytes()).code <= 2);
    }
}

/// Only `-d` itself, or with a letter that means nothing, is the debug mode.
#[test]
fn flags_that_begin_with_d_have_meanings_of_their_own() {
    for (flag, debug) in [
        ("-d", true),
        ("-dx", true),
        ("-de", false),
        ("-dp", false),
        ("-dG", false),
        ("-dV", false),
        ("-dM", false),
        ("-dM0x50", false),
        ("-dKcfg", false),
        ("-dS", false),
        ("-dR", false),
        ("-db", false),
    ] {
        assert_eq!(args(&[flag, "-f", "FILE"]).debug, debug, "{flag}");
    }
    assert!(args(&["-dS", "-f", "FILE"]).no_splice);
}

/// What `option splice-*` leave in the model: an explicit `no` is more than nothing.
#[test]
fn splice_options_are_inherited_and_taken_back() {
    let config = load(
        "defaults\n mode tcp\n timeout client 1s\n no option splice-auto\n option splice-request\n\
         listen a\n bind :1\n\
         listen b\n bind :2\n option splice-auto\n no option splice-request\n\
         defaults\n mode tcp\n timeout client 1s\n\
         listen c\n bind :3\n option splice-response\n",
    )
    .config
    .expect("good");
    let found: Vec<_> = config
        .proxies
        .iter()
        .map(|proxy| {
            let options = &proxy.options;
            (
                options.splice_auto,
                options.splice_request,
                options.splice_response,
            )
        })
        .collect();
    assert_eq!(
        found,
        [
            (Some(false), true, false),
            (Some(true), false, false),
            (None, false, true)
        ]
    );
}

#[test]
fn cpu_maps_of_threads_meet_the_one_of_the_process() {
    let map = |lines: &str| {
        let config = load(&format!(
            "global\n{lines}\nlisten l\n bind :1\n mode tcp\n timeout client 1s\n"
        ));
        let map = config.config.expect("good").global.cpu_map;
        [0, 1, 2].map(|thread| map.of_thread(thread))
    };
    let only = |cpu| Some(vec![cpu]);
    assert_eq!(map(""), [None, None, None]);
    assert_eq!(map(" cpu-map 1 4"), [only(4), only(4), only(4)]);
    assert_eq!(map(" cpu-map 2 4"), [None, None, None]);
    assert_eq!(
        map(" cpu-map auto:1/1-3 7 5 6"),
        [only(5), only(6), only(7)]
    );
    assert_eq!(
        map(" cpu-map 1/all 1\n cpu-map 1/2 2"),
        [only(1), only(2), only(1)],
        "a later line replaces"
    );
    assert_eq!(
        map(" cpu-map 1 0-1\n cpu-map 1/1 1-2\n cpu-map 1/2 3"),
        [only(1), None, Some(vec![0, 1])],
        "nothing in common is no limit"
    );
}

#[test]
fn sizes_and_limits_that_are_not_written_differ_from_those_that_are() {
    let tuned = |lines: &str| {
        let config = load(&format!(
            "global\n{lines}\nlisten l\n bind :1\n mode tcp\n timeout client 1s\n"
        ));
        let global = config.config.expect("good").global;
        (global.tune.bufsize, global.tune.pipesize, global.maxpipes)
    };
    assert_eq!(tuned(""), (None, None, None));
    assert_eq!(tuned(" maxpipes 0"), (None, None, None), "0 is computed");
    assert_eq!(tuned(" maxpipes -1"), (None, None, Some(0)));
    assert_eq!(
        tuned(" tune.bufsize 4100\n tune.pipesize 65536\n maxpipes 9"),
        (Some(4112), Some(65536), Some(9))
    );
}
