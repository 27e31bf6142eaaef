//! Against the kernel, in a network namespace of the test's own: the test binary is started again
//! in it.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::future::poll_fn;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use netif::{
    AddressKey, AddressSpec, Error, Event, Hop, Kernel as _, Macvlan, Operation, RouteSpec,
    Routing, RtNetlink,
};

const ALONE: &str = "NETIF_TEST_ALONE";

/// Runs `test` of this file in a namespace with two ends of a wire, `wire0` (10.0.0.1/24) and `wire1`.
fn alone(name: &str, test: impl AsyncFnOnce(RtNetlink)) {
    if std::env::var_os(ALONE).is_some() {
        ip(
            "link set lo up\nlink add wire0 type veth peer name wire1\nlink set wire0 up\nlink set wire1 up\n",
        );
        ip("address add 10.0.0.1/24 dev wire0\n");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let kernel = RtNetlink::open().unwrap();
        return runtime.block_on(test(kernel));
    }
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "--net"])
        .arg(std::env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture"])
        .env(ALONE, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"));
}

fn ip(batch: &str) {
    let mut ip = Command::new("ip")
        .args(["-batch", "-"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    ip.stdin
        .take()
        .unwrap()
        .write_all(batch.as_bytes())
        .unwrap();
    assert!(ip.wait().unwrap().success());
}

/// The first event that `wanted` makes something of.
async fn event<T>(kernel: &mut RtNetlink, mut wanted: impl FnMut(Event) -> Option<T>) -> T {
    let search = async {
        loop {
            let event = poll_fn(|cx| kernel.poll_event(cx)).await.unwrap();
            if let Some(found) = wanted(event) {
                return found;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), search)
        .await
        .unwrap()
}

fn route(last: u8, index: u32) -> Routing {
    let hop = Hop {
        ifindex: Some(index),
        ..Hop::default()
    };
    let mut route = RouteSpec::new(([192, 0, 2, last].into(), 32), hop);
    route.protocol = 18;
    route.into()
}

async fn index_of(kernel: &mut RtNetlink, name: &str) -> u32 {
    event(kernel, |event| match event {
        Event::Snapshot(snapshot) => {
            let mut links = snapshot.links.into_iter();
            links.find(|link| link.name == name).map(|link| link.index)
        }
        _ => None,
    })
    .await
}

/// More changes than anybody listens to are made; one of them is that a route goes.
#[test]
fn a_route_that_goes_while_events_are_lost_is_told() {
    alone(
        "a_route_that_goes_while_events_are_lost_is_told",
        async |mut kernel| {
            let index = index_of(&mut kernel, "wire0").await;
            for last in [1, 2] {
                kernel.set_routing(&route(last, index));
                let result = event(&mut kernel, |event| match event {
                    Event::RoutingDone { result, .. } => Some(result),
                    _ => None,
                });
                assert_eq!(result.await, Ok(()));
            }
            let mut flood = String::new();
            for round in 0..3000 {
                let word = if round % 2 == 0 { "add" } else { "del" };
                flood += &format!("address {word} 10.0.0.9/24 dev wire0\n");
                if round == 1500 {
                    flood += "route del 192.0.2.2/32\n";
                }
            }
            ip(&flood);
            let gone = event(&mut kernel, |event| match event {
                Event::RoutingGone(what) => Some(what),
                _ => None,
            });
            assert_eq!(gone.await, route(2, index));
            // The other one is there: that it goes is told next.
            ip("route del 192.0.2.1/32\n");
            let gone = event(&mut kernel, |event| match event {
                Event::RoutingGone(what) => Some(what),
                _ => None,
            });
            assert_eq!(gone.await, route(1, index));
        },
    );
}

#[test]
fn a_link_of_somebody_elses_is_left_alone() {
    alone(
        "a_link_of_somebody_elses_is_left_alone",
        async |mut kernel| {
            index_of(&mut kernel, "wire0").await;
            let link = |name: &str| Macvlan {
                name: name.to_owned(),
                base: "wire0".to_owned(),
                mac: [0, 0, 0x5e, 0, 1, 7],
                v6: false,
            };
            let mut make = async |name: &str| {
                kernel.make_macvlan(&link(name));
                event(&mut kernel, |event| match event {
                    Event::LinkDone { result, .. } => Some(result),
                    _ => None,
                })
                .await
            };
            assert_eq!(make("wire1").await, Err(Error::Kernel(17)));
            // What is like its own is what it left behind.
            assert_eq!(make("vrrp.7").await, Ok(()));
            assert_eq!(make("vrrp.7").await, Ok(()));
        },
    );
}

/// What is asked for many times a second is not heard of again, and is done all the same; what
/// somebody else does to the address is heard.
#[test]
fn a_refresh_is_answered_and_not_reported() {
    alone(
        "a_refresh_is_answered_and_not_reported",
        async |mut kernel| {
            let index = index_of(&mut kernel, "wire0").await;
            let key = AddressKey {
                ifindex: index,
                addr: [10, 0, 0, 9].into(),
                prefix: 24,
            };
            let mut spec = AddressSpec::new(key);
            spec.lifetime = Some(2);
            kernel.add_address(&spec);
            let done = |wanted: Operation| {
                move |event: Event| match event {
                    Event::Done {
                        operation, result, ..
                    } if operation == wanted => Some(result),
                    _ => None,
                }
            };
            assert_eq!(event(&mut kernel, done(Operation::Add)).await, Ok(()));
            spec.lifetime = Some(600);
            let mut reports = 0;
            for _ in 0..5 {
                kernel.refresh_address(&spec);
                let answer = event(&mut kernel, |event| {
                    // The report of its making bears the first lifetime.
                    let again =
                        |it: &Event| matches!(it, Event::Address(it) if it.lifetime > Some(2));
                    reports += u32::from(again(&event));
                    done(Operation::Refresh)(event)
                });
                assert_eq!(answer.await, Ok(()));
            }
            assert_eq!(reports, 0);
            let shown = Command::new("ip")
                .args(["-o", "address", "show", "dev", "wire0"])
                .output()
                .unwrap();
            let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
            assert!(
                shown.contains("10.0.0.9/24") && shown.contains("valid_lft 600sec"),
                "{shown}"
            );
            ip("address change 10.0.0.9/24 dev wire0 valid_lft 700 preferred_lft 700\n");
            let heard = event(&mut kernel, |event| match event {
                Event::Address(address) if address.key == key => {
                    address.lifetime.filter(|seconds| *seconds > 600)
                }
                _ => None,
            });
            assert_eq!(heard.await, 700);
            // A refusal is the answer.
            spec.key.ifindex = 0x7fff_fff0;
            kernel.refresh_address(&spec);
            let refused = event(&mut kernel, done(Operation::Refresh)).await;
            assert!(matches!(refused, Err(Error::Kernel(_))), "{refused:?}");
        },
    );
}
