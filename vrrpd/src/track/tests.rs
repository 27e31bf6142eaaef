use std::os::unix::process::CommandExt as _;
use std::path::Path;

use super::*;

const LONG: Duration = Duration::from_secs(20);

/// Runs `body` with trackers of `watched`.
fn with(watched: Watched, body: impl AsyncFnOnce(&mut Trackers, Vec<Report>)) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut trackers = Trackers::start(watched, true).unwrap();
        let known = trackers.first_look().await;
        body(&mut trackers, known).await;
    });
}

/// Waits until a tracker stands so.
async fn stands(trackers: &mut Trackers, wanted: Standing) {
    let next = async {
        loop {
            let report = std::future::poll_fn(|cx| trackers.poll_report(cx)).await;
            if matches!(report, Report::Stands { standing, .. } if standing == wanted) {
                return;
            }
        }
    };
    let found = tokio::time::timeout(LONG, next).await;
    assert!(found.is_ok(), "never {wanted:?}");
}

fn file(path: &Path, initial: Option<(i32, bool)>) -> Watched {
    Watched {
        files: vec![TrackFileDef {
            name: "tf".to_owned(),
            path: path.to_owned(),
            initial,
            weight: 0,
            sense: Sense::Normal,
        }],
        ..Watched::default()
    }
}

fn value(report: &Report) -> Option<i32> {
    match report {
        Report::Stands {
            standing: Standing::Number(value),
            ..
        } => Some(*value),
        _ => None,
    }
}

#[test]
fn a_file_is_followed_through_writes_renames_and_removal() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("f");
    std::fs::write(&path, "5\n").unwrap();
    with(file(&path, None), async |trackers, known| {
        assert_eq!(known.iter().filter_map(value).collect::<Vec<_>>(), [5]);
        std::fs::write(&path, "-3\n").unwrap();
        stands(trackers, Standing::Number(-3)).await;
        let other = directory.path().join("g");
        std::fs::write(&other, "8").unwrap();
        std::fs::rename(&other, &path).unwrap();
        stands(trackers, Standing::Number(8)).await;
        std::fs::remove_file(&path).unwrap();
        stands(trackers, Standing::Number(0)).await;
        std::fs::write(&path, "9").unwrap();
        stands(trackers, Standing::Number(9)).await;
        std::fs::rename(&path, &other).unwrap();
        stands(trackers, Standing::Number(0)).await;
    });
}

#[test]
fn a_directory_that_comes_back_is_watched_again() {
    let base = tempfile::tempdir().unwrap();
    let directory = base.path().join("d");
    let path = directory.join("f");
    with(file(&path, None), async |trackers, known| {
        assert_eq!(known.iter().filter_map(value).collect::<Vec<_>>(), [0]);
        for number in [4, 6] {
            std::fs::create_dir(&directory).unwrap();
            std::fs::write(&path, number.to_string()).unwrap();
            stands(trackers, Standing::Number(number)).await;
            std::fs::remove_dir_all(&directory).unwrap();
            stands(trackers, Standing::Number(0)).await;
        }
    });
}

#[test]
fn a_link_is_followed_to_its_target_and_to_another() {
    let directory = tempfile::tempdir().unwrap();
    let (one, two) = (directory.path().join("one"), directory.path().join("two"));
    for (at, text) in [(&one, "1"), (&two, "2")] {
        std::fs::create_dir(at).unwrap();
        std::fs::write(at.join("f"), text).unwrap();
    }
    let (link, fresh) = (directory.path().join("f"), directory.path().join("x"));
    std::os::unix::fs::symlink(one.join("f"), &link).unwrap();
    with(file(&link, None), async |trackers, known| {
        assert_eq!(known.iter().filter_map(value).collect::<Vec<_>>(), [1]);
        std::fs::write(one.join("f"), "11").unwrap();
        stands(trackers, Standing::Number(11)).await;
        std::os::unix::fs::symlink(two.join("f"), &fresh).unwrap();
        std::fs::rename(&fresh, &link).unwrap();
        stands(trackers, Standing::Number(2)).await;
        std::fs::write(two.join("f"), "22").unwrap();
        stands(trackers, Standing::Number(22)).await;
    });
}

#[test]
fn initial_values_are_written_where_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("f");
    let initial = |overwrite| Some((7, overwrite));
    with(file(&path, initial(false)), async |_, known| {
        assert_eq!(known.iter().filter_map(value).collect::<Vec<_>>(), [7]);
    });
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "7\n");
    std::fs::write(&path, "3\n").unwrap();
    with(file(&path, initial(false)), async |_, known| {
        assert_eq!(known.iter().filter_map(value).collect::<Vec<_>>(), [3]);
    });
    with(file(&path, initial(true)), async |_, known| {
        assert_eq!(known.iter().filter_map(value).collect::<Vec<_>>(), [7]);
    });
}

#[test]
fn a_number_out_of_range_leaves_what_was() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("f");
    std::fs::write(&path, "5").unwrap();
    with(file(&path, None), async |trackers, _| {
        std::fs::write(&path, "99999999999999999999").unwrap();
        let report = std::future::poll_fn(|cx| trackers.poll_report(cx)).await;
        let expected = format!(
            "Invalid number 9223372036854775807 read from {} - ignoring",
            path.display()
        );
        assert_eq!(report, Report::Line(expected));
    });
}

/// With the kernel's events where they are to be had, else by looking into `/proc`.
#[test]
fn processes_are_counted_as_they_come_and_go() {
    let title = format!("vrrpd-test-{}", std::process::id());
    let watched = Watched {
        processes: vec![TrackProcessDef {
            name: "tp".to_owned(),
            command: vec![title.clone().into(), "60".into()],
            param_match: None,
            quorum: 2,
            quorum_max: None,
            fork_delay: vrrp_core::Duration::ZERO,
            terminate_delay: vrrp_core::Duration::ZERO,
            full_command: false,
            weight: 0,
            sense: Sense::Normal,
        }],
        ..Watched::default()
    };
    let start = || {
        std::process::Command::new("/bin/sleep")
            .arg0(&title)
            .arg("60")
            .spawn()
            .unwrap()
    };
    with(watched, async |trackers, known| {
        let down = Report::Stands {
            kind: TrackerKind::Process,
            name: "tp".to_owned(),
            standing: Standing::Down,
        };
        assert!(known.contains(&down), "{known:?}");
        let mut children = [start(), start()];
        stands(trackers, Standing::Up).await;
        children[0].kill().unwrap();
        // Not yet waited for: it is dead all the same.
        stands(trackers, Standing::Down).await;
        for child in &mut children {
            let _ = child.kill();
            child.wait().unwrap();
        }
    });
}

#[test]
fn dropping_ends_the_threads() {
    let directory = tempfile::tempdir().unwrap();
    with(file(&directory.path().join("f"), None), async |_, _| {});
    let named = || {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
        tasks
            .filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok())
            .filter(|name| name.trim() == "track-files")
            .count()
    };
    let deadline = std::time::Instant::now() + LONG;
    while named() > 0 {
        assert!(std::time::Instant::now() < deadline);
        std::thread::yield_now();
    }
}
