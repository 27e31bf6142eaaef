use std::num::NonZeroU8;
use std::time::{Duration as StdDuration, UNIX_EPOCH};

use keepalived_conf::Config;
use keepalived_conf::model::routes::{
    HopDef, PROTOCOL_KEEPALIVED, Prefix, RouteDef, RouteKind, RouteMetrics, RouterPreference,
    RuleAction, RuleDef,
};
use vrrp_core::settings::{
    Address, Auth, Family, Instance, OnAdvert, Peer, Preempt, SourceCheck, Sync, Tracker,
    TrackerKind, Transport, Version,
};
use vrrp_core::{Duration, Event, Standing};

use super::*;

/// The instance whose files keepalived 2.2.7 wrote, but for what cannot be equal: the
/// password, and whether a higher advert is answered.
pub(super) fn instance() -> Instance {
    let vrid = NonZeroU8::new(54).unwrap();
    let mut settings = Instance::new("D", "eth0", vrid);
    settings.priority = NonZeroU8::new(90).unwrap();
    settings.down_timer_adverts = 5;
    settings.garp.repeat = 2;
    settings.on_higher = OnAdvert::Silent;
    settings.auth = Auth::Pass(*b"1234\0\0\0\0");
    settings.transport = Transport::Multicast {
        group: "224.0.0.19".parse().unwrap(),
        source: None,
    };
    settings.addresses = vec![Address::new("10.0.0.104".parse().unwrap(), 24, "eth0")];
    settings.trackers = vec![Tracker {
        kind: TrackerKind::Interface,
        name: "eth1".to_owned(),
        weight: 0,
        sense: Sense::Normal,
    }];
    settings
}

/// Shows a router that has just become master.
pub(super) fn with<T>(settings: Instance, show: impl FnOnce(&[Item<'_>]) -> T) -> T {
    with_def(&InstanceDef::new(settings), show)
}

/// The same of an instance of a configuration.
fn with_def<T>(def: &InstanceDef, show: impl FnOnce(&[Item<'_>]) -> T) -> T {
    let source = "10.0.0.1".parse().ok();
    let mut router = VirtualRouter::new(def.settings.clone());
    router.handle(Time(0), Event::Source(source));
    router.handle(Time(0), Event::Start);
    let due = router.poll_timeout().unwrap();
    router.handle(due, Event::Timer);
    assert_eq!(router.state(), State::Master);
    osys::time::load_zone();
    let moment = UNIX_EPOCH + StdDuration::from_micros(1_795_395_535_044_143);
    show(&[Item {
        router: &router,
        def,
        counters: *router.counters(),
        transition: Some(moment),
        timeout: Some(moment + StdDuration::from_micros(3_000_404)),
        source,
        faults: 0,
        undecided: 0,
        commands: Vec::new(),
        link: None,
        group: None,
    }])
}

#[test]
fn data_is_keepaliveds_byte_for_byte() {
    let text = with(instance(), |items| {
        let mut out = String::new();
        data::topology(&mut out, items);
        out
    });
    let moment = |offset: u64| {
        let moment = UNIX_EPOCH + StdDuration::from_micros(1_795_395_535_044_143 + offset);
        stamp_in_words(moment)
    };
    let expected = format!(
        "\
------< VRRP Topology >------
 VRRP Instance = D
   VRRP Version = 2
   State = MASTER
   Flags: none
   Wantstate = MASTER
   Number of config faults = 0
   Number of interface and track script faults = 0
   Number of track scripts init = 0
   Last transition = {}
   Read timeout = {}
   Master down timer = 5648437 usecs
   Interface = eth0
   Using src_ip = 10.0.0.1
   Multicast address 224.0.0.19
   Gratuitous ARP delay = 5
   Gratuitous ARP repeat = 2
   Gratuitous ARP refresh = 0
   Gratuitous ARP refresh repeat = 1
   Gratuitous ARP lower priority delay = 5
   Gratuitous ARP lower priority repeat = 5
   Down timer adverts = 5
   Send advert after receive lower priority advert = true
   Send advert after receive higher priority advert = false
   Virtual Router ID = 54
   Priority = 90
   Effective priority = 90
   Total priority = 90
   Advert interval = 1 sec
   Accept = enabled
   Preempt = enabled
   Promote_secondaries = disabled
   Authentication type = SIMPLE_PASSWORD
   Password = ********
   Virtual IP (1):
     10.0.0.104/24 dev eth0 scope global set
   Tracked interfaces :
     eth1 weight 0
   Using smtp notification = no
   Notify deleted = Fault
   Notify priority changes = false
",
        moment(0),
        moment(3_000_404)
    );
    assert_eq!(text, expected);
}

#[tokio::test]
async fn a_file_that_cannot_be_written_is_one_warning() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("missing").join("keepalived.data");
    let log = Log::in_memory();
    write_to(&log, path.clone(), "text".to_owned());
    let deadline = std::time::Instant::now() + StdDuration::from_secs(20);
    let lines = loop {
        log.flush();
        let lines = log.take_lines();
        if !lines.is_empty() {
            break lines;
        }
        assert!(std::time::Instant::now() < deadline);
        tokio::task::yield_now().await;
    };
    let start = format!("Cannot write {}: ", path.display());
    assert!(
        lines.len() == 1 && lines.iter().all(|line| line.starts_with(&start)),
        "{lines:?}"
    );
}

#[test]
fn a_file_is_written_whole_or_not_at_all_and_through_no_link() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    let inside = |name: &str| directory.path().join(name);
    let names = || {
        let entries = std::fs::read_dir(directory.path()).unwrap().flatten();
        let names = entries.map(|entry| entry.file_name().into_string().unwrap());
        names.collect::<std::collections::BTreeSet<_>>()
    };
    std::fs::write(inside("secret"), "theirs").unwrap();
    std::os::unix::fs::symlink(inside("secret"), inside("data")).unwrap();
    write_file(&inside("data"), "ours").unwrap();
    assert_eq!(std::fs::read_to_string(inside("secret")).unwrap(), "theirs");
    assert_eq!(std::fs::read_to_string(inside("data")).unwrap(), "ours");
    let mode = std::fs::symlink_metadata(inside("data"))
        .unwrap()
        .permissions();
    assert_eq!(mode.mode() & 0o7777, 0o600);
    // What stands in the way stays, and nothing is left beside it.
    std::fs::create_dir(inside("json")).unwrap();
    assert!(write_file(&inside("json"), "ours").is_err());
    assert_eq!(
        names(),
        ["data", "json", "secret"].map(str::to_owned).into()
    );
}

#[test]
fn stamps_are_in_both_forms() {
    osys::time::load_zone();
    // Noon UTC is the same day within eleven hours of it.
    let noon = UNIX_EPOCH + StdDuration::from_micros(1_793_793_600_007_169);
    assert_eq!(stamp(noon), "1793793600.007169");
    let words = stamp_in_words(noon);
    assert!(
        words.starts_with("1793793600.007169 (Wed Nov  4 ") && words.ends_with(".007169 2026)"),
        "{words}"
    );
}

/// The configuration of a file, on a host with the interfaces of the tests.
fn read(text: &str) -> Config {
    let file = keepalived_conf::env::FakeFile::readable(text);
    let environment = keepalived_conf::FakeEnvironment::new()
        .with_file("/etc/k.conf", file)
        .with_file("/bin/true", keepalived_conf::env::FakeFile::executable())
        .with_interface("eth0")
        .with_interface("eth1")
        .with_interface("eth2");
    let path = Path::new("/etc/k.conf");
    let read = keepalived_conf::load(path, &keepalived_conf::Options::default(), &environment);
    read.config.unwrap()
}

/// Measured with 2.2.7: a member neither shows what its group tracks nor what it says of
/// changes of priorities, which it does as its group.
#[test]
fn a_member_shows_what_it_tracks_itself() {
    let mut text = "vrrp_sync_group G {\n group {\n A\n B\n }\n track_interface {\n eth1\n }\n \
                    notify_priority_changes\n}\n"
        .to_owned();
    for (name, vrid, track) in [("A", 51, "eth2"), ("B", 52, "eth1")] {
        text += &format!(
            "vrrp_instance {name} {{\n interface eth0\n virtual_router_id {vrid}\n \
             track_interface {{\n {track}\n }}\n virtual_ipaddress {{\n 10.0.0.{vrid}/24\n }}\n}}\n"
        );
    }
    let config = read(&text);
    for (def, tracked) in config.instances.iter().zip(["eth2", "eth1"]) {
        assert!(def.notify.priority_changes);
        let mut def = def.clone();
        // It becomes master alone here.
        def.settings.sync = Sync::Alone;
        let out = with_def(&def, |items| {
            let mut out = String::new();
            data::topology(&mut out, items);
            out
        });
        let expected = format!("   Tracked interfaces :\n     {tracked} weight 0\n   Using");
        assert!(out.contains(&expected), "{out}");
        let json = with_def(&def, json::text);
        let expected = format!("\"track_ifp\":[\"{tracked}\"]");
        assert!(json.contains(&expected), "{json}");
    }
}

/// Measured with 2.2.7, which calls a script bad before its first result.
#[test]
fn a_script_without_a_result_is_shown_as_keepaliveds() {
    let config = read(
        "vrrp_script s {\n script \"/bin/true\"\n init_fail\n}\n\
         vrrp_instance V {\n interface eth0\n virtual_router_id 60\n \
         virtual_ipaddress {\n 10.0.0.9/24\n }\n track_script {\n s\n }\n}\n",
    );
    let script = crate::script::Tracked::new(config.scripts[0].clone(), 1, Time(0));
    let mut out = String::new();
    trackers::scripts(&mut out, std::iter::once(&script), &[]);
    let expected = "   Result = 0\n   Insecure = no\n   Init state = INIT\n   Status = BAD\n";
    assert!(out.contains(expected), "{out}");
}

#[test]
fn json_of_version_2_names_its_lists() {
    let config = read(
        "vrrp_track_process p {\n process /usr/sbin/nginx -g x\n quorum 2\n weight 7\n}\n\
         vrrp_instance V {\n interface eth0\n virtual_router_id 60\n \
         virtual_ipaddress {\n 10.0.0.9/24\n }\n track_process {\n p\n }\n}\n",
    );
    let stands =
        |kind, name: &str| (kind == TrackerKind::Process && name == "p").then_some(Standing::Up);
    let text = with(instance(), |items| json::text_2(items, &config, &stands));
    let all: serde_json::Value = serde_json::from_str(&text).unwrap();
    let routers = with(instance(), json::text);
    let routers: serde_json::Value = serde_json::from_str(&routers).unwrap();
    assert_eq!(all.pointer("/vrrp"), Some(&routers));
    let expected = serde_json::json!([{
        "name": "p", "process": "/usr/sbin/nginx", "parameters": ["-g", "x"],
        "min_processes": 2, "have_quorum": true, "weight": 7, "full_command": true,
    }]);
    assert_eq!(all.pointer("/track_process"), Some(&expected));
}

#[test]
fn json_is_keepaliveds_byte_for_byte() {
    let text = with(instance(), json::text);
    let expected = concat!(
        r#"[{"data":{"iname":"D","dont_track_primary":0,"skip_check_adv_addr":0,"#,
        r#""strict_mode":0,"vmac_ifname":"","ifp_ifname":"eth0","master_priority":0,"#,
        r#""last_transition":1795395535.044143,"garp_delay":5,"garp_refresh":0,"garp_rep":2,"#,
        r#""garp_refresh_rep":1,"garp_lower_prio_delay":5,"garp_lower_prio_rep":5,"#,
        r#""lower_prio_no_advert":0,"higher_prio_send_advert":0,"vrid":54,"base_priority":90,"#,
        r#""effective_priority":90,"vipset":true,"promote_secondaries":false,"adver_int":1,"#,
        r#""master_adver_int":1,"accept":1,"nopreempt":false,"preempt_delay":0,"state":2,"#,
        r#""wantstate":2,"version":2,"smtp_alert":false,"notify_deleted":false,"#,
        r#""vips":["10.0.0.104\/24 dev eth0 scope global set"],"track_ifp":["eth1"],"#,
        r#""auth_type":1,"auth_data":"********"},"stats":{"advert_rcvd":0,"advert_sent":1,"#,
        r#""become_master":1,"release_master":0,"packet_len_err":0,"advert_interval_err":0,"#,
        r#""ip_ttl_err":0,"invalid_type_rcvd":0,"addr_list_err":0,"invalid_authtype":0,"#,
        r#""authtype_mismatch":0,"auth_failure":0,"pri_zero_rcvd":0,"pri_zero_sent":0}}]"#,
        "\n"
    );
    assert_eq!(text, expected);
}

#[test]
fn stats_are_keepaliveds_byte_for_byte() {
    let text = with(instance(), stats::text);
    let expected = "\
VRRP Instance: D
  Advertisements:
    Received: 0
    Sent: 1
  Became master: 1
  Released master: 0
  Packet Errors:
    Length: 0
    TTL: 0
    Invalid Type: 0
    Advertisement Interval: 0
    Address List: 0
  Authentication Errors:
    Invalid Type: 0
    Type Mismatch: 0
    Failure: 0
  Priority Zero:
    Received: 0
    Sent: 0
";
    assert_eq!(text, expected);
}

#[test]
fn unicast_and_version_3_have_their_lines() {
    let mut settings = instance();
    settings.version = Version::V3;
    settings.auth = Auth::None;
    settings.advert_interval = Duration::from_millis(500);
    settings.preempt = Preempt::No;
    let peer = |address: &str, min_ttl, max_ttl| Peer {
        address: address.parse().unwrap(),
        min_ttl,
        max_ttl,
    };
    settings.transport = Transport::Unicast {
        source: "10.0.0.1".parse().ok(),
        peers: vec![peer("10.0.0.2", 0, 255), peer("10.0.0.3", 10, 64)],
        ttl: 64,
        source_check: SourceCheck::PeersOnly,
    };
    let text = with(settings, |items| {
        let mut out = String::new();
        data::topology(&mut out, items);
        host::sockets(&mut out, items);
        out
    });
    for lines in [
        "   Flags:\n     Using unicast\n   Wantstate = MASTER\n",
        "   Using src_ip = 10.0.0.1 (from configuration)\n   Gratuitous ARP delay = 5\n",
        "   Advert interval = 500 milli-sec\n   Accept = enabled\n   Preempt = disabled\n",
        "   Promote_secondaries = disabled\n   Virtual IP (1):\n",
        "   Unicast TTL = 64\n   Check unicast src : yes\n   Unicast Peer :\n     \
         10.0.0.2 min_ttl 0 max_ttl 255\n     10.0.0.3 min_ttl 10 max_ttl 64\n   \
         Unicast checksum compatibility = no\n",
        "   Type = Unicast\n   Address = 10.0.0.1\n",
    ] {
        assert!(text.contains(lines), "{lines}\nis not in\n{text}");
    }
}

#[test]
fn addresses_are_shown_as_they_were_set() {
    let mut plain = Address::new("10.0.0.100".parse().unwrap(), 24, "eth0");
    plain.broadcast = "10.0.0.255".parse().ok();
    plain.label = Some("eth0:vip".to_owned());
    let mut flagged = Address::new("2001:db8::77".parse().unwrap(), 128, "eth0");
    flagged.flags.no_dad = true;
    flagged.flags.manage_temporary = true;
    flagged.flags.no_prefix_route = true;
    let mut aged = Address::new("2001:db8::78".parse().unwrap(), 64, "eth0");
    aged.preferred_lifetime = Some(100);
    let mut quiet = Address::new("10.0.0.102".parse().unwrap(), 32, "eth1");
    quiet.flags.no_track = true;
    let forever = Address::new("2001:db8::99".parse().unwrap(), 64, "eth0");
    for (item, expected) in [
        (
            plain,
            "10.0.0.100/24 brd 10.0.0.255 dev eth0 scope global label eth0:vip set",
        ),
        (
            flagged,
            "2001:db8::77 dev eth0 scope global -nodad mngtmpaddr noprefixroute deprecated set",
        ),
        (
            aged,
            "2001:db8::78/64 dev eth0 scope global preferred_lft 100 set",
        ),
        (quiet, "10.0.0.102 dev eth1 scope global no_track set"),
        (
            forever,
            "2001:db8::99/64 dev eth0 scope global preferred_lft forever set",
        ),
    ] {
        assert_eq!(address::text(&item, None, true), expected);
    }
}

fn prefix(text: &str) -> Prefix {
    let (address, length) = text.split_once('/').unwrap();
    Prefix {
        address: address.parse().unwrap(),
        length: length.parse().unwrap(),
    }
}

fn plain_route(kind: RouteKind, destination: &str) -> RouteDef {
    RouteDef {
        kind,
        destination: prefix(destination),
        from: None,
        source: None,
        gateway: None,
        device: Some("eth0".to_owned()),
        onlink: false,
        hops: Vec::new(),
        table: None,
        vrf: None,
        protocol: PROTOCOL_KEEPALIVED,
        scope: None,
        metric: None,
        tos: 0,
        realms: None,
        expires: None,
        preference: None,
        ttl_propagate: None,
        metrics: RouteMetrics::default(),
        append: false,
        tracked: true,
        track_group: None,
    }
}

/// Each line was written by keepalived 2.2.7 for such a route.
#[test]
fn routes_are_keepaliveds() {
    let plain = plain_route(RouteKind::Unicast, "10.20.0.0/16");
    let unicast = |change: &dyn Fn(&mut RouteDef)| {
        let mut def = plain.clone();
        change(&mut def);
        def
    };
    let gateway = || "10.0.0.254".parse().ok();
    for (def, expected) in [
        (
            unicast(&|def| {
                def.gateway = gateway();
                def.track_group = Some("tg".to_owned());
            }),
            "prepend 10.20.0.0/16 via inet 10.0.0.254 dev eth0 proto 18 track_group tg",
        ),
        (
            unicast(&|def| {
                def.destination = prefix("0.0.0.0/0");
                def.gateway = gateway();
                def.device = None;
                def.tracked = false;
            }),
            "prepend 0.0.0.0/0 via inet 10.0.0.254 proto 18 no_track",
        ),
        (
            unicast(&|def| {
                def.append = true;
                def.gateway = gateway();
                def.onlink = true;
                def.metrics.features = Some(1);
                def.metrics.mtu = Some(1300);
                def.metrics.locked = 1 << 2;
                def.metrics.initcwnd = Some(10);
                def.metrics.quickack = Some(1);
            }),
            "append 10.20.0.0/16 via inet 10.0.0.254 dev eth0 proto 18 onlink features ecn \
             mtu lock 1300 initcwnd 10 quickack 1",
        ),
        (
            unicast(&|def| {
                let hop = |address: &str, weight| HopDef {
                    gateway: address.parse().ok(),
                    device: Some("eth0".to_owned()),
                    weight: Some(weight),
                    ..HopDef::default()
                };
                def.device = None;
                def.tracked = false;
                def.hops = vec![hop("10.0.0.7", 3), hop("10.1.0.7", 5)];
            }),
            "prepend 10.20.0.0/16 proto 18 nexthop via inet 10.0.0.7 dev eth0 weight 3 \
             nexthop via inet 10.1.0.7 dev eth0 weight 5 no_track",
        ),
        (
            unicast(&|def| {
                def.destination = prefix("2001:db8:9::/48");
                def.gateway = "fe80::7".parse().ok();
                def.expires = Some(500);
                def.preference = Some(RouterPreference::High);
            }),
            "prepend 2001:db8:9::/48 via inet6 fe80::7 dev eth0 proto 18 expires 500sec pref high",
        ),
        (
            unicast(&|def| {
                def.source = "10.1.0.1".parse().ok();
                def.table = Some(12);
                def.scope = Some(253);
                def.metric = Some(5);
            }),
            "prepend 10.20.0.0/16 src 10.1.0.1 dev eth0 table 12 proto 18 scope 253 metric 5",
        ),
        (
            plain_route(RouteKind::Local, "10.31.0.0/24"),
            "add local 10.31.0.0/24 dev eth0 proto 18",
        ),
    ] {
        assert_eq!(routes::route(&def), expected);
    }
}

/// Each line was written by keepalived 2.2.7 for such a rule.
#[test]
fn rules_are_keepaliveds() {
    let plain = RuleDef {
        family: Family::V4,
        inverted: false,
        from: Some(prefix("10.30.0.0/16")),
        to: None,
        action: RuleAction::Table(100),
        preference: 16384,
        tos: 0,
        mark: None,
        realms: None,
        input: None,
        output: None,
        suppress_prefix: None,
        suppress_group: None,
        tunnel: None,
        users: None,
        protocol: PROTOCOL_KEEPALIVED,
        transport: None,
        source_ports: None,
        destination_ports: None,
        tracked: true,
        track_group: None,
    };
    let rule = |change: &dyn Fn(&mut RuleDef)| {
        let mut def = plain.clone();
        change(&mut def);
        routes::rule(&def)
    };
    assert_eq!(
        rule(&|_| {}),
        "from 10.30.0.0/16 priority 16384 tos 0x0 protocol 18 lookup 100"
    );
    let marked = rule(&|def| {
        def.from = None;
        def.to = Some(prefix("10.31.0.0/16"));
        def.preference = 77;
        def.tos = 0x10;
        def.mark = Some((5, Some(7)));
        def.input = Some("eth0".to_owned());
        def.output = Some("eth1".to_owned());
        def.suppress_prefix = Some(8);
        def.action = RuleAction::Table(9);
    });
    assert_eq!(
        marked,
        "from all to 10.31.0.0/16 priority 77 tos 0x10 fwmark 0x5/0x7 iif eth0 oif eth1 \
         suppress_prefixlen 8 protocol 18 lookup 9"
    );
    let refused = rule(&|def| {
        def.inverted = true;
        def.transport = Some(6);
        def.source_ports = Some((5, 9));
        def.action = RuleAction::Prohibit;
    });
    assert_eq!(
        refused,
        "not from 10.30.0.0/16 priority 16384 tos 0x0 protocol 18 ipproto 6 sport 5-9 \
         type prohibit"
    );
    let through = rule(&|def| {
        def.users = Some((5, 9));
        def.tunnel = Some(6);
        def.realms = Some(4);
        def.action = RuleAction::Goto(30_000);
    });
    assert_eq!(
        through,
        "from 10.30.0.0/16 priority 16384 tos 0x0 tunnel-id 6 uidrange 5-9 protocol 18 \
         realms 0/4 goto 30000"
    );
}

#[test]
fn addresses_on_a_virtual_interface_name_the_one_below() {
    let address = Address::new("10.0.0.120".parse().unwrap(), 24, "vrrp53");
    let below = |own| {
        let interface = "eth0";
        Some(address::Below { interface, own })
    };
    assert_eq!(
        address::text(&address, below(false), true),
        "10.0.0.120/24 dev vrrp53@eth0 scope global set"
    );
    assert_eq!(
        address::text(&address, below(true), false),
        "10.0.0.120/24 dev vrrp53@eth0 use_vmac scope global"
    );
}
