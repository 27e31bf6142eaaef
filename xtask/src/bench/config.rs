//! The proxies' configurations.

use std::fmt::Write as _;

use super::scenario::Shape;

/// Where everything is, in a namespace that holds nothing else.
pub(crate) const BACKEND: u16 = 9000;
/// The backend of the scenarios with two workers: two threads, unpinned.
pub(crate) const BACKEND_TWO: u16 = 9001;
pub(crate) const LOG: u16 = 5514;
/// The proxies' first port; each has one of its own.
pub(crate) const LISTEN: u16 = 10000;
/// The first port of the frontends nobody talks to.
pub(crate) const SPARE: u16 = 11000;
/// Frontends and servers of the big configuration beside those in use.
const SPARE_FRONTENDS: u32 = 99;
const SPARE_SERVERS: u32 = 999;

/// Ports that may not become a client's.
pub(crate) const RESERVED: &str = "5514,9000-9001,10000-10199,11000-11199";

/// What a configuration needs to know.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) port: u16,
    pub(crate) shape: Shape,
    pub(crate) maxconn: usize,
    /// A directory for sockets.
    pub(crate) dir: String,
}

impl Settings {
    pub(crate) const fn backend(&self) -> u16 {
        match self.shape {
            Shape::Two => BACKEND_TWO,
            Shape::One | Shape::Big => BACKEND,
        }
    }

    const fn workers(&self) -> usize {
        match self.shape {
            Shape::Two => 2,
            Shape::One | Shape::Big => 1,
        }
    }
}

/// What HAProxy is told about splicing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Splice {
    /// Nothing, as in most configurations.
    Default,
    /// `option splice-auto`.
    Auto,
    /// And pipes of 1 MiB.
    AutoLargePipes,
    /// `option splice-request` and `option splice-response`: where `splice-auto` waits for
    /// a sign that HAProxy 2.6 often misses as long as no write blocks, these do not.
    Always,
    /// And pipes of 1 MiB.
    AlwaysLargePipes,
}

impl Splice {
    const fn large_pipes(self) -> bool {
        matches!(self, Self::AutoLargePipes | Self::AlwaysLargePipes)
    }

    const fn options(self) -> &'static str {
        match self {
            Self::Default => "",
            Self::Auto | Self::AutoLargePipes => "    option splice-auto\n",
            Self::Always | Self::AlwaysLargePipes => {
                "    option splice-request\n    option splice-response\n"
            }
        }
    }
}

/// The text for HAProxy and proxyd: one and the same.
pub(crate) fn haproxy(settings: &Settings, splice: Splice) -> String {
    let Settings {
        port, maxconn, dir, ..
    } = settings;
    let mut text = format!(
        "global\n    log 127.0.0.1:{LOG} local0\n    maxconn {maxconn}\n    nbthread {}\n    \
         stats socket {dir}/{port}.sock mode 600 level admin\n",
        settings.workers()
    );
    // Without a bound HAProxy wants descriptors for a pipe per four connections, and
    // then does not start with so many connections; 32 streams need 64 pipes at most.
    if splice != Splice::Default {
        text.push_str("    maxpipes 64\n");
    }
    if splice.large_pipes() {
        text.push_str("    tune.pipesize 1048576\n");
    }
    text.push_str("\ndefaults\n    mode tcp\n    log global\n    option tcplog\n");
    text.push_str(splice.options());
    let backend = settings.backend();
    let _infallible = write!(
        text,
        "    timeout connect 5s\n    timeout client 1m\n    timeout server 1m\n    \
         maxconn {maxconn}\n\n\
         frontend bench\n    bind 127.0.0.1:{port}\n    default_backend servers\n\n\
         backend servers\n    balance roundrobin\n    \
         server s1 127.0.0.1:{backend} check inter 2s\n"
    );
    if settings.shape == Shape::Big {
        spare(&mut text, backend);
    }
    text
}

/// Frontends and servers that have no traffic. The servers are checked once a minute,
/// so that the checks themselves (17 a second) are not what is measured.
fn spare(text: &mut String, backend: u16) {
    for index in 0..SPARE_FRONTENDS {
        let port = u32::from(SPARE) + index;
        let _infallible = write!(
            text,
            "\nfrontend spare{index}\n    bind 127.0.0.1:{port}\n    default_backend spare{index}\n\
             \nbackend spare{index}\n    balance roundrobin\n"
        );
        let from = SPARE_SERVERS * index / SPARE_FRONTENDS;
        let to = SPARE_SERVERS * (index + 1) / SPARE_FRONTENDS;
        for server in from..to {
            let _infallible = writeln!(
                text,
                "    server x{server} 127.0.0.1:{backend} check inter 60s"
            );
        }
    }
}

/// nginx with the same features: a log line per connection to the same socket, timeouts,
/// half-close. It has no active checks in its free version.
pub(crate) fn nginx(settings: &Settings) -> String {
    let Settings {
        port, maxconn, dir, ..
    } = settings;
    let workers = settings.workers();
    let backend = settings.backend();
    let slots = maxconn * 2 + 64;
    format!(
        "load_module /usr/lib/nginx/modules/ngx_stream_module.so;\n\
         user root;\ndaemon off;\nworker_processes {workers};\n\
         pid {dir}/{port}.pid;\nerror_log stderr error;\n\
         events {{ worker_connections {slots}; }}\n\
         stream {{\n    \
         log_format tcplog '$remote_addr:$remote_port [$time_local] bench servers/$upstream_addr '\n        \
         '$upstream_connect_time/$session_time $bytes_sent $status';\n    \
         access_log syslog:server=127.0.0.1:{LOG},facility=local0,tag=nginx tcplog;\n    \
         upstream servers {{ server 127.0.0.1:{backend}; }}\n    \
         server {{\n        listen 127.0.0.1:{port} reuseport backlog=4096;\n        \
         tcp_nodelay on;\n        proxy_half_close on;\n        proxy_connect_timeout 5s;\n        \
         proxy_timeout 1m;\n        proxy_pass servers;\n    }}\n}}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(port: u16, shape: Shape) -> Settings {
        Settings {
            port,
            shape,
            maxconn: 9000,
            dir: "/run".to_owned(),
        }
    }

    #[test]
    fn haproxy_and_proxyd_get_one_text_but_for_ports() {
        let ours = haproxy(&settings(10001, Shape::One), Splice::Default);
        let theirs = haproxy(&settings(10002, Shape::One), Splice::Default);
        assert_ne!(ours, theirs);
        assert_eq!(
            ours.replace("10001", "PORT"),
            theirs.replace("10002", "PORT")
        );
        for feature in [
            "log 127.0.0.1",
            "option tcplog",
            "timeout",
            "check",
            "stats socket",
        ] {
            assert!(ours.contains(feature), "{feature}");
        }
        assert!(!ours.contains("splice"));
    }

    #[test]
    fn the_splice_variants_differ_by_their_lines_only() {
        let plain = haproxy(&settings(1, Shape::One), Splice::Default);
        let large = haproxy(&settings(1, Shape::One), Splice::AutoLargePipes);
        let more: Vec<_> = large
            .lines()
            .filter(|line| !plain.contains(line))
            .map(str::trim)
            .collect();
        assert_eq!(
            more,
            ["maxpipes 64", "tune.pipesize 1048576", "option splice-auto"]
        );
        let auto = haproxy(&settings(1, Shape::One), Splice::Auto);
        assert!(auto.contains("splice-auto") && !auto.contains("pipesize"));
    }

    #[test]
    fn the_big_configuration_is_as_big_as_it_says() {
        let text = haproxy(&settings(10000, Shape::Big), Splice::Default);
        let count = |word: &str| {
            text.lines()
                .filter(|line| line.trim_start().starts_with(word))
                .count()
        };
        assert_eq!(count("frontend "), 100);
        assert_eq!(count("server "), 1000);
        assert_eq!(count("bind "), 100);
    }

    #[test]
    fn two_workers_are_two_everywhere() {
        assert!(haproxy(&settings(1, Shape::Two), Splice::Default).contains("nbthread 2"));
        let nginx = nginx(&settings(1, Shape::Two));
        assert!(nginx.contains("worker_processes 2;"));
        assert!(nginx.contains("server 127.0.0.1:9001;"));
        assert!(nginx.contains("proxy_half_close on;"));
    }
}
