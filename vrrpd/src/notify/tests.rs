use std::io::Read as _;
use std::path::Path;

use keepalived_conf::env::Credentials;

use super::*;

fn command(words: &str) -> Command {
    Command {
        argv: words.split(' ').map(OsString::from).collect(),
        user: Credentials::ROOT,
    }
}

fn orders() -> NotifyDef {
    NotifyDef {
        master: Some(command("m a b")),
        backup: Some(command("b")),
        fault: Some(command("f")),
        stop: Some(command("s")),
        lower_priority: Some(command("l")),
        deleted: Some(Some(command("d"))),
        any: Some(command("any x")),
        priority_changes: true,
    }
}

fn words(command: Option<Command>) -> String {
    let argv = command.map(|command| command.argv).unwrap_or_default();
    let words: Vec<_> = argv
        .iter()
        .map(|word| word.to_str().unwrap().to_owned())
        .collect();
    words.join(" ")
}

fn notice(party: &Party, orders: &NotifyDef, occasion: Occasion) -> Notice {
    Notice {
        party: party.clone(),
        orders: orders.clone(),
        occasion,
        priority: 105,
    }
}

fn check(party: &Party, orders: &NotifyDef, occasion: Occasion, expected: [&str; 3]) {
    let plan = plan(&notice(party, orders, occasion));
    let line = plan.line.unwrap_or_default();
    let got = [
        line.trim_end().to_owned(),
        words(plan.first),
        words(plan.then),
    ];
    assert_eq!(got, expected, "{party:?} {occasion:?}");
}

#[test]
fn an_instance_is_told_in_keepaliveds_words() {
    let party = Party::Instance("VI 1".to_owned());
    for (occasion, line, first, then) in [
        (Occasion::Master, "MASTER 105", "m a b", "MASTER 105"),
        (Occasion::Backup, "BACKUP 105", "b", "BACKUP 105"),
        (Occasion::Fault, "FAULT 105", "f", "FAULT 105"),
        (Occasion::Stop, "STOP 105", "s", "STOP 105"),
        (Occasion::Deleted, "DELETED 105", "d", "DELETED 105"),
        (Occasion::LowerPriority, "MASTER_RX_LOWER_PRI 105", "l", ""),
        (Occasion::MasterPriority, "MASTER_PRIORITY 105", "", ""),
        (Occasion::BackupPriority, "BACKUP_PRIORITY 105", "", ""),
    ] {
        let line = format!("INSTANCE \"VI 1\" {line}");
        let then = match then {
            "" => String::new(),
            then => format!("any x INSTANCE VI 1 {then}"),
        };
        check(&party, &orders(), occasion, [&line, first, &then]);
    }
}

#[test]
fn the_name_stays_one_word() {
    let party = Party::Instance("VI 1".to_owned());
    let then = plan(&notice(&party, &orders(), Occasion::Master))
        .then
        .unwrap();
    assert_eq!(then.argv[2..], ["INSTANCE", "VI 1", "MASTER", "105"]);
}

#[test]
fn a_group_has_no_priority() {
    let party = Party::Group("G1".to_owned());
    check(
        &party,
        &orders(),
        Occasion::Master,
        ["GROUP \"G1\" MASTER 0", "m a b", "any x GROUP G1 MASTER 0"],
    );
}

#[test]
fn a_deletion_is_a_fault_unless_asked_for() {
    let party = Party::Instance("V".to_owned());
    let mut orders = orders();
    orders.deleted = None;
    let expected = ["INSTANCE \"V\" FAULT 105", "", "any x INSTANCE V FAULT 105"];
    check(&party, &orders, Occasion::Deleted, expected);
    orders.deleted = Some(None);
    let expected = [
        "INSTANCE \"V\" DELETED 105",
        "",
        "any x INSTANCE V DELETED 105",
    ];
    check(&party, &orders, Occasion::Deleted, expected);
}

#[test]
fn priorities_are_told_only_where_asked_for() {
    let party = Party::Instance("V".to_owned());
    let mut orders = orders();
    orders.priority_changes = false;
    check(&party, &orders, Occasion::MasterPriority, ["", "", ""]);
}

#[test]
fn every_notification_of_a_router_has_its_occasion() {
    let states = [State::Init, State::Backup, State::Master, State::Fault];
    let entered = states.map(|state| Occasion::of(Notification::Entered(state)));
    assert_eq!(
        entered,
        [
            None,
            Some(Occasion::Backup),
            Some(Occasion::Master),
            Some(Occasion::Fault)
        ]
    );
    let changed = states.map(|state| Occasion::of(Notification::PriorityChanged(state)));
    assert_eq!(
        changed,
        [
            None,
            Some(Occasion::BackupPriority),
            Some(Occasion::MasterPriority),
            None
        ]
    );
}

fn reader(path: &Path, script: Option<&str>) -> Option<FifoDef> {
    Some(FifoDef {
        path: path.to_owned(),
        owner: None,
        script: script.map(command),
    })
}

fn content(path: &Path) -> String {
    let mut bytes = [0; 512];
    let mut file = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .unwrap();
    let length = file.read(&mut bytes).unwrap();
    String::from_utf8_lossy(&bytes[..length]).into_owned()
}

#[test]
fn a_reload_keeps_fifos_and_readers_that_did_not_change() {
    let directory = tempfile::tempdir().unwrap();
    let (kept, gone) = (directory.path().join("kept"), directory.path().join("gone"));
    let (sender, mut work) = mpsc::channel(8);
    let mut notifier = Notifier::new(sender);
    let mut global = GlobalDefs {
        fifo: reader(&kept, Some("cat -u")),
        vrrp_fifo: reader(&gone, None),
        ..GlobalDefs::default()
    };
    assert!(notifier.configure(&global).is_empty());
    let Work::Readers(scripts) = work.try_recv().unwrap() else {
        panic!("no readers");
    };
    assert_eq!(scripts.len(), 1);
    assert_eq!(scripts[0].argv[2], kept.as_os_str());

    let party = Party::Instance("V".to_owned());
    let none = NotifyDef::default();
    notifier.tell(&notice(&party, &none, Occasion::Backup));
    // The same again: nothing is started anew, and the line waits still.
    assert!(notifier.configure(&global).is_empty());
    assert!(work.try_recv().is_err());
    assert_eq!(content(&kept), "INSTANCE \"V\" BACKUP 105\n");
    assert_eq!(content(&gone), "INSTANCE \"V\" BACKUP 105\n");

    global.vrrp_fifo = None;
    assert!(notifier.configure(&global).is_empty());
    assert!(kept.exists() && !gone.exists());
    notifier.tell(&notice(&party, &none, Occasion::Master));
    assert_eq!(content(&kept), "INSTANCE \"V\" MASTER 105\n");
    notifier.close();
    assert!(!kept.exists());
}

#[test]
fn a_fifo_that_cannot_be_made_is_said() {
    let (sender, _work) = mpsc::channel(8);
    let mut notifier = Notifier::new(sender);
    let global = GlobalDefs {
        fifo: reader(Path::new("/no/such/fifo"), None),
        ..GlobalDefs::default()
    };
    let lines = notifier.configure(&global);
    assert_eq!(
        lines,
        ["Unable to create notify fifo /no/such/fifo: No such file or directory"]
    );
}

#[test]
fn scripts_that_find_no_room_are_said() {
    let (sender, _work) = mpsc::channel(1);
    let mut notifier = Notifier::new(sender);
    let party = Party::Instance("V".to_owned());
    let master = notice(&party, &orders(), Occasion::Master);
    assert!(notifier.tell(&master).is_empty());
    assert_eq!(
        notifier.tell(&notice(&party, &orders(), Occasion::Backup)),
        ["(V) notify scripts not run: too many scripts wait"]
    );
}
