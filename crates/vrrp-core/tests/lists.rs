//! Address lists that differ for a while: a pair that is reloaded one host
//! after the other has one master all the time, with vrrpd and with keepalived
//! at the other end.

mod common;

use common::{Bench, HIGHER_PEER, PEER, datagram, effects, ip, log, millis, plain, reference};
use vrrp_core::settings::{Address, Instance};
use vrrp_core::{Action, Duration, Event, State};
use vrrp_proto::Datagram;
use vrrp_proto::vrrp::{Advert, Auth, Interval, Version};

const ONE: &[&str] = &["10.0.254.253"];
const TWO: &[&str] = &["10.0.254.253", "10.0.254.254"];
const OTHERS: &[&str] = &["192.0.2.1", "192.0.2.2"];
const COUNT: &str = "(V) received an unexpected ip number count 2, expected 1!";

fn settings(priority: u8, list: &[&str]) -> Instance {
    let mut settings = plain(reference(priority));
    settings.addresses = list
        .iter()
        .map(|text| Address::new(ip(text), 16, "eth0"))
        .collect();
    settings
}

fn advert(from: &str, priority: u8, list: &[&str]) -> Datagram {
    datagram(
        from,
        &Advert {
            version: Version::V2,
            vrid: 60,
            priority,
            interval: Interval::Seconds(1),
            auth: Auth::pass(b"k8s-lb@lab"),
            addresses: list.iter().map(|text| ip(text)).collect(),
        },
    )
}

/// The lists of the adverts among `actions`, by their length.
fn lists(actions: &[Action]) -> Vec<usize> {
    let list = |action: &Action| match action {
        Action::SendAdvert(advert) => Some(advert.addresses.len()),
        _ => None,
    };
    actions.iter().filter_map(list).collect()
}

#[test]
fn a_backup_goes_on_following_a_master_whose_list_changes() {
    let mut bench = Bench::started(settings(100, ONE));
    bench.event(Event::Packet(advert(PEER, 103, ONE)));
    // The first one may be the half of an advert in two lists.
    bench.run(millis(1_000));
    let actions = bench.event(Event::Packet(advert(PEER, 103, TWO)));
    assert_eq!(log(&actions), [""; 0]);
    for round in 0..30 {
        bench.run(millis(1_000));
        let actions = bench.event(Event::Packet(advert(PEER, 103, TWO)));
        // keepalived's complaint each time, ours once.
        let lines = log(&actions);
        assert_eq!(lines[0], COUNT);
        assert_eq!(lines.len(), if round == 0 { 2 } else { 1 }, "{lines:?}");
        assert_eq!(bench.router.state(), State::Backup);
        assert_eq!(
            bench.wait(),
            Some(bench.router.settings().master_down(100)),
            "the timer starts anew"
        );
    }
    assert_eq!(bench.router.counters().address_list_errors, 30);
    // The reload of this host, and all is as it was.
    bench.event(Event::Reload(Box::new(settings(100, TWO))));
    let actions = bench.event(Event::Packet(advert(PEER, 103, TWO)));
    assert_eq!(log(&actions), [""; 0]);
}

#[test]
fn a_backup_that_is_reloaded_first_goes_on_following() {
    let mut bench = Bench::started(settings(100, ONE));
    bench.event(Event::Packet(advert(PEER, 103, ONE)));
    bench.event(Event::Reload(Box::new(settings(100, TWO))));
    for _ in 0..30 {
        bench.run(millis(1_000));
        bench.event(Event::Packet(advert(PEER, 103, ONE)));
        assert_eq!(bench.router.state(), State::Backup);
    }
}

/// A vrrpd that was reloaded says each advert in both lists.
#[test]
fn a_backup_that_hears_both_lists_says_nothing() {
    for list in [ONE, TWO] {
        let mut bench = Bench::started(settings(100, ONE));
        bench.event(Event::Packet(advert(PEER, 103, ONE)));
        bench.event(Event::Reload(Box::new(settings(100, list))));
        for _ in 0..30 {
            bench.run(millis(1_000));
            for half in [TWO, ONE] {
                let actions = bench.event(Event::Packet(advert(PEER, 103, half)));
                assert_eq!(log(&actions), [""; 0]);
                assert_eq!(effects(&actions), "");
            }
            assert_eq!(bench.router.state(), State::Backup);
        }
        assert_eq!(bench.router.counters().address_list_errors, 0);
        // What it says in the other list counts all the same.
        bench.event(Event::Packet(advert(PEER, 0, TWO)));
        assert_eq!(bench.wait(), Some(bench.router.settings().skew(100)));
    }
}

/// Two clusters that share a virtual router id by mistake, even the password:
/// neither takes the other's addresses away.
#[test]
fn a_stranger_with_another_list_is_dropped() {
    for list in [TWO, OTHERS] {
        let mut backup = Bench::started(settings(100, ONE));
        backup.run(millis(700));
        let before = backup.wait();
        let actions = backup.event(Event::Packet(advert(PEER, 103, list)));
        assert_eq!(log(&actions), [COUNT]);
        assert_eq!(backup.wait(), before);

        let mut master = Bench::master(settings(100, ONE));
        let actions = master.event(Event::Packet(advert(HIGHER_PEER, 200, list)));
        assert_eq!(log(&actions), [COUNT]);
        assert_eq!(effects(&actions), "");
        assert_eq!(master.router.state(), State::Master);
    }
}

/// Nor is a stranger with no address in common answered.
#[test]
fn a_lower_stranger_is_answered_if_an_address_is_shared() {
    let mut master = Bench::master(settings(100, ONE));
    master.run(millis(300));
    let actions = master.event(Event::Packet(advert(PEER, 90, OTHERS)));
    assert_eq!(lists(&actions), [0; 0]);
    master.run(millis(300));
    // A keepalived that was reloaded first, dropped our adverts and took over:
    // it hears us in its own words and yields.
    let actions = master.event(Event::Packet(advert(PEER, 90, TWO)));
    assert_eq!(lists(&actions), [2]);
    let again = master.event(Event::Packet(advert(PEER, 90, TWO)));
    assert_eq!(lists(&again), [0; 0], "a forger gets no amplifier");
    assert_eq!(master.router.state(), State::Master);
    // And goes on hearing us.
    let later: Vec<Action> = common::actions(master.run(millis(3_000)));
    assert_eq!(lists(&later), [1, 2, 1, 2, 1, 2]);
    // Once this host is reloaded as well, there is one list.
    master.event(Event::Reload(Box::new(settings(100, TWO))));
    let later = common::actions(master.run(millis(1_000)));
    assert_eq!(lists(&later), [2, 1], "and the old one for who needs it");
    // A master beneath it may speak in lists that are not its own, so nothing follows from one.
    master.event(Event::Packet(advert(PEER, 90, TWO)));
    let later = common::actions(master.run(millis(2_000)));
    assert_eq!(lists(&later), [2, 1, 2, 1]);
}

/// Lists are made up more easily than adverts are sent.
#[test]
fn a_forger_of_lists_gets_no_amplifier_and_pushes_no_real_list_out() {
    let mut master = Bench::master(settings(100, ONE));
    master.event(Event::Reload(Box::new(settings(100, TWO))));
    master.run(millis(300));
    let mut answers = 0;
    for last in 1..=200 {
        let forged = format!("10.0.1.{last}");
        let turned = [&[&forged, TWO[0]], &[TWO[0], forged.as_str()]];
        for list in turned {
            let actions = master.event(Event::Packet(advert(PEER, 90, list)));
            answers += lists(&actions).len();
        }
    }
    assert_eq!(answers, 8);
    // Who has not been reloaded yet hears us still, and no advert has become many.
    let later = common::actions(master.run(millis(1_000)));
    let said: Vec<usize> = lists(&later);
    assert_eq!(said[..2], [2, 1]);
    assert!(said.len() <= 5, "{said:?}");
}

/// A keepalived backup drops what does not match its list: until it is
/// reloaded too it hears the old one.
#[test]
fn a_reloaded_master_speaks_both_lists_for_a_while() {
    let mut master = Bench::master(settings(100, ONE));
    let actions = master.event(Event::Reload(Box::new(settings(100, TWO))));
    assert_eq!(
        effects(&actions),
        "add 10.0.254.253, add 10.0.254.254, garp 10.0.254.254 x5"
    );
    let later = common::actions(master.run(Duration::from_secs(2)));
    assert_eq!(lists(&later), [2, 1, 2, 1]);
    // Priority 0 is for everybody as well.
    let mut copy = Bench {
        router: master.router.clone(),
        now: master.now,
    };
    assert_eq!(lists(&copy.event(Event::Stop)), [2, 1]);
    // It ends after a quarter of an hour.
    master.run(Duration::from_secs(15 * 60));
    let later = common::actions(master.run(Duration::from_secs(2)));
    assert_eq!(lists(&later), [2, 2]);
    // A list in another order is the same list.
    let mut swapped = settings(100, TWO);
    swapped.addresses.reverse();
    master.event(Event::Reload(Box::new(swapped)));
    let later = common::actions(master.run(Duration::from_secs(2)));
    assert_eq!(lists(&later), [2, 2]);
}
