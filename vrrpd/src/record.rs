//! `--record FILE`: everything that the virtual routers are told, and what they do, so
//! that a fault of the field can be played again (`cargo xtask replay FILE`).
//!
//! A thread writes; the loop never waits for it. A record with a hole cannot be played, so
//! one that falls behind ends there.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use vrrp_core::record::{Entry, FORM, Masks, deeds};
use vrrp_core::settings::Instance;
use vrrp_core::{Action, Event, Time};

/// Entries that may wait for the disk.
const DEPTH: usize = 65_536;
/// How often what was written reaches the file.
const FLUSH: Duration = Duration::from_secs(1);
/// How long the end of the daemon waits for the disk.
const LAST: Duration = Duration::from_secs(1);

/// The loop's hold on the record.
#[derive(Debug)]
pub(crate) struct Recorder {
    masks: Masks,
    /// `None` once the record has ended.
    entries: Option<SyncSender<Entry>>,
    /// Closed when everything is in the file.
    done: Receiver<()>,
    next: u64,
    warning: Option<&'static str>,
}

impl Recorder {
    /// Begins a record in this file, for its owner alone.
    ///
    /// # Errors
    /// When the file or the thread cannot be made.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = File::options()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(path)?;
        let (entries, waiting) = sync_channel(DEPTH);
        let (finished, done) = sync_channel(0);
        std::thread::Builder::new()
            .name("record".to_owned())
            .spawn(move || {
                // A full disk ends the record; the loop notices by the closed channel.
                let _ = write(&waiting, BufWriter::new(file));
                drop(finished);
            })?;
        let mut recorder = Self {
            masks: Masks::default(),
            entries: Some(entries),
            done,
            next: 0,
            warning: None,
        };
        recorder.put(Entry::Record { form: FORM });
        Ok(recorder)
    }

    /// A router that was told nothing yet; the result is its number.
    pub(crate) fn router(&mut self, settings: &Instance) -> u64 {
        self.next += 1;
        let router = self.next;
        let settings = self.masks.settings(settings);
        self.put(Entry::Router { router, settings });
        router
    }

    /// `event` as it may be written.
    pub(crate) fn mask(&mut self, event: &Event) -> Event {
        self.masks.event(event)
    }

    /// A router was told this and did that.
    pub(crate) fn told(&mut self, router: u64, at: Time, event: Event, did: &[Action]) {
        if self.entries.is_some() {
            let did = deeds(did);
            self.put(Entry::Told {
                router,
                at,
                event,
                did,
            });
        }
    }

    /// A router is gone.
    pub(crate) fn gone(&mut self, router: u64) {
        self.put(Entry::Gone { router });
    }

    /// What the log is to be told, once.
    pub(crate) const fn take_warning(&mut self) -> Option<&'static str> {
        self.warning.take()
    }

    fn put(&mut self, entry: Entry) {
        let Some(entries) = &self.entries else {
            return;
        };
        let reason = match entries.try_send(entry) {
            Ok(()) => return,
            Err(TrySendError::Full(_)) => "The record ends here: it cannot be written fast enough",
            Err(TrySendError::Disconnected(_)) => {
                "The record ends here: its file cannot be written, is the disk full?"
            }
        };
        self.entries = None;
        self.warning = Some(reason);
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.entries = None;
        // Whether everything has arrived or the disk hangs: the daemon ends.
        let _ = self.done.recv_timeout(LAST);
    }
}

fn write(entries: &Receiver<Entry>, mut out: BufWriter<File>) -> io::Result<()> {
    loop {
        match entries.recv_timeout(FLUSH) {
            Ok(entry) => {
                serde_json::to_writer(&mut out, &entry)?;
                out.write_all(b"\n")?;
            }
            Err(RecvTimeoutError::Timeout) => out.flush()?,
            Err(RecvTimeoutError::Disconnected) => return out.flush(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU8;

    use vrrp_core::VirtualRouter;
    use vrrp_core::record::Replay;
    use vrrp_core::settings::Auth;

    use super::*;

    #[test]
    fn what_is_written_can_be_played_again_and_holds_no_password() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("record");
        let mut settings = Instance::new("V", "eth0", NonZeroU8::new(60).unwrap());
        settings.auth = Auth::Pass(*b"k8s-lb@l");
        let mut router = VirtualRouter::new(settings.clone());
        let mut recorder = Recorder::open(&path).unwrap();
        let number = recorder.router(&settings);
        let source = "10.0.0.1".parse().ok();
        for (at, event) in [
            (0, Event::Source(source)),
            (0, Event::Start),
            (4_000_000_000, Event::Timer),
            (5_000_000_000, Event::Timer),
            (6_000_000_000, Event::Stop),
        ] {
            let masked = recorder.mask(&event);
            router.handle(Time(at), event);
            let did: Vec<Action> = std::iter::from_fn(|| router.poll_action()).collect();
            recorder.told(number, Time(at), masked, &did);
        }
        recorder.gone(number);
        assert_eq!(recorder.take_warning(), None);
        drop(recorder);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(!text.contains("k8s-lb"), "{text}");
        let mut replay = Replay::default();
        for line in text.lines() {
            let entry: Entry = serde_json::from_str(line).unwrap();
            assert_eq!(replay.take(entry), Ok(None), "{line}");
        }
        assert_eq!(replay.told(), 5);
    }

    #[test]
    fn a_record_that_cannot_be_written_ends_with_one_warning() {
        let mut recorder = Recorder::open(Path::new("/dev/full")).unwrap();
        let settings = Instance::new("V", "eth0", NonZeroU8::new(60).unwrap());
        let deadline = std::time::Instant::now() + Duration::from_secs(20);
        let warning = loop {
            recorder.router(&settings);
            if let Some(warning) = recorder.take_warning() {
                break warning;
            }
            assert!(std::time::Instant::now() < deadline);
            // It is the disk that ends it, not the length of the queue.
            std::thread::yield_now();
        };
        assert!(warning.starts_with("The record ends here: "), "{warning}");
        recorder.router(&settings);
        assert_eq!(recorder.take_warning(), None);
    }
}
