//! `track_file`: a number in a file is added to the priority.

use std::ffi::{OsStr, OsString};
use std::io::Read as _;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use keepalived_conf::TrackFileDef;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};

use vrrp_core::Standing;
use vrrp_core::settings::TrackerKind;

use super::{Report, Tie, Unheard};

/// Pause before a directory that is not there is looked for again.
const RETRY: Duration = Duration::from_secs(1);
/// More than any number needs.
const LONGEST: u64 = 128;

/// Watches until nobody listens any more.
pub(super) fn watch(defs: Vec<TrackFileDef>, fresh: bool, tie: &Tie) -> Result<(), Unheard> {
    for def in &defs {
        if let Err(error) = initialise(def, fresh) {
            let (path, errno) = (def.path.display(), error.raw_os_error().unwrap_or_default());
            let reason = osys::error_text(&error);
            tie.line(format!(
                "Unable to open '{path}' - errno {errno} ({reason})"
            ))?;
        }
    }
    let notices = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK);
    let notices = match notices {
        Ok(notices) => Some(notices),
        Err(error) => {
            tie.line(format!(
                "Cannot watch files ({error}): they are read every second instead"
            ))?;
            None
        }
    };
    let mut files: Vec<File> = defs.into_iter().map(File::new).collect();
    for file in &mut files {
        file.arm(notices.as_ref());
        file.look(tie)?;
    }
    tie.say(Report::Looked)?;
    loop {
        let unarmed = files.iter().any(|file| file.places.is_empty());
        if wait(notices.as_ref(), tie, unarmed.then_some(RETRY)) == Woken::End {
            return Ok(());
        }
        let touched = notices.as_ref().map(read_notices).unwrap_or_default();
        for file in &mut files {
            let moved = touched.lost || file.places.iter().any(|at| touched.gone(at.watch));
            if moved || file.places.is_empty() {
                file.arm(notices.as_ref());
                file.look(tie)?;
            } else if file.is_touched(&touched) {
                // A link may lead elsewhere now.
                if file.is_link {
                    file.arm(notices.as_ref());
                }
                file.look(tie)?;
            }
        }
    }
}

fn initialise(def: &TrackFileDef, fresh: bool) -> std::io::Result<()> {
    let Some((value, overwrite)) = def.initial else {
        return Ok(());
    };
    let overwrite = overwrite && fresh;
    if !overwrite && def.path.exists() {
        return Ok(());
    }
    // Never waits, should a FIFO have that name.
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .custom_flags(flags.bits().cast_signed())
        .open(&def.path)?;
    std::io::Write::write_all(&mut file, format!("{value}\n").as_bytes())
}

#[derive(Debug, PartialEq, Eq)]
enum Woken {
    Look,
    End,
}

fn wait(notices: Option<&OwnedFd>, tie: &Tie, limit: Option<Duration>) -> Woken {
    let mut fds = vec![PollFd::new(&tie.leash, PollFlags::empty())];
    fds.extend(notices.map(|notices| PollFd::new(notices, PollFlags::IN)));
    let limit = limit.map(|limit| Timespec {
        tv_sec: limit.as_secs().cast_signed(),
        tv_nsec: limit.subsec_nanos().into(),
    });
    // An interruption is a reason to look as good as any.
    let _ = poll(&mut fds, limit.as_ref());
    let hung_up = fds.first().is_some_and(|leash| !leash.revents().is_empty());
    if hung_up { Woken::End } else { Woken::Look }
}

/// What inotify told since the last time.
#[derive(Debug, Default)]
struct Touched {
    names: Vec<(i32, OsString)>,
    ended: Vec<i32>,
    /// More happened than it can tell.
    lost: bool,
}

impl Touched {
    fn gone(&self, watch: i32) -> bool {
        self.ended.contains(&watch)
    }
}

fn read_notices(notices: &OwnedFd) -> Touched {
    let mut touched = Touched::default();
    let mut buffer = [MaybeUninit::uninit(); 4096];
    let mut reader = inotify::Reader::new(notices.as_fd(), &mut buffer);
    while let Ok(event) = reader.next() {
        if event.events().contains(ReadFlags::QUEUE_OVERFLOW) {
            touched.lost = true;
        } else if event.events().contains(ReadFlags::IGNORED) {
            touched.ended.push(event.wd());
        } else if let Some(name) = event.file_name() {
            let name = OsStr::from_bytes(name.to_bytes()).to_owned();
            touched.names.push((event.wd(), name));
        }
    }
    touched
}

/// A file and where changes of it show.
#[derive(Debug)]
struct File {
    def: TrackFileDef,
    places: Vec<Place>,
    is_link: bool,
    told: Option<i32>,
}

/// A name in a watched directory.
#[derive(Debug)]
struct Place {
    watch: i32,
    name: OsString,
}

impl File {
    const fn new(def: TrackFileDef) -> Self {
        Self {
            def,
            places: Vec::new(),
            is_link: false,
            told: None,
        }
    }

    /// Watches its directory, and that of what it links to. The file itself is not
    /// watched: editors and `mv` put another one in its place.
    fn arm(&mut self, notices: Option<&OwnedFd>) {
        const WHAT: WatchFlags = WatchFlags::CLOSE_WRITE
            .union(WatchFlags::MOVED_TO)
            .union(WatchFlags::MOVED_FROM)
            .union(WatchFlags::DELETE);
        self.is_link = self.def.path.is_symlink();
        let target = self.is_link.then(|| self.def.path.canonicalize().ok());
        let paths = [Some(self.def.path.clone()), target.flatten()];
        self.places = paths
            .iter()
            .flatten()
            .filter_map(|path| {
                let directory = path.parent().filter(|path| !path.as_os_str().is_empty());
                let directory = directory.unwrap_or(Path::new("."));
                let watch = inotify::add_watch(notices?, directory, WHAT).ok()?;
                let name = path.file_name()?.to_owned();
                Some(Place { watch, name })
            })
            .collect();
    }

    fn is_touched(&self, touched: &Touched) -> bool {
        self.places.iter().any(|place| {
            touched.names.iter().any(|(watch, name)| {
                // Of a link any part of the way may have been replaced.
                *watch == place.watch && (self.is_link || *name == place.name)
            })
        })
    }

    /// Reads it and tells its number if that is another one.
    fn look(&mut self, tie: &Tie) -> Result<(), Unheard> {
        let value = match number(&content(&self.def.path)) {
            Ok(value) => value,
            Err(excess) => {
                let path = self.def.path.display();
                tie.line(format!(
                    "Invalid number {excess} read from {path} - ignoring"
                ))?;
                // What it said before still holds.
                match self.told {
                    Some(_) => return Ok(()),
                    None => 0,
                }
            }
        };
        if self.told.replace(value) == Some(value) {
            return Ok(());
        }
        tie.say(Report::Stands {
            kind: TrackerKind::File,
            name: self.def.name.clone(),
            standing: Standing::Number(value),
        })
    }
}

/// What is in the file; nothing if it cannot be read, as keepalived has it.
fn content(path: &Path) -> Vec<u8> {
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = std::fs::OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path);
    let mut bytes = Vec::new();
    if let Ok(file) = file {
        // What could be read before an error counts.
        let _ = file.take(LONGEST).read_to_end(&mut bytes);
    }
    bytes
}

/// The number a text begins with, as `strtol(3)` with base 0 reads it: blanks, a sign,
/// then octal after 0, hexadecimal after 0x, else decimal. No number is 0.
///
/// # Errors
/// The number, if it is out of range.
fn number(text: &[u8]) -> Result<i32, i64> {
    let text = text.trim_ascii_start();
    let (negative, text) = match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        Some((b'+', rest)) => (false, rest),
        _ => (false, text),
    };
    let hexadecimal = match text {
        [b'0', b'x' | b'X', digit, ..] => digit.is_ascii_hexdigit(),
        _ => false,
    };
    let (radix, digits) = match text {
        _ if hexadecimal => (16, text.get(2..).unwrap_or_default()),
        [b'0', ..] => (8, text),
        _ => (10, text),
    };
    let mut value: i64 = 0;
    for digit in digits
        .iter()
        .map_while(|byte| char::from(*byte).to_digit(radix))
    {
        value = value
            .saturating_mul(i64::from(radix))
            .saturating_add(i64::from(digit));
    }
    let value = if negative { -value } else { value };
    i32::try_from(value).map_err(|_| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_c_reads_them() {
        for (text, expected) in [
            ("5\n", 5),
            ("-3", -3),
            ("abc", 0),
            ("", 0),
            (" 12 ", 12),
            ("12x", 12),
            ("\n7\n", 7),
            ("8\n1\n", 8),
            ("0x10", 16),
            ("0x", 0),
            ("010", 8),
            ("08", 0),
            ("1.5", 1),
            ("+4", 4),
            ("--4", 0),
            ("- 4", 0),
            ("2147483647", i32::MAX),
            ("-2147483648", i32::MIN),
        ] {
            assert_eq!(number(text.as_bytes()), Ok(expected), "{text:?}");
        }
        assert_eq!(number(b"2147483648"), Err(2_147_483_648));
        assert_eq!(number(b"99999999999999999999"), Err(i64::MAX));
        assert_eq!(number(b"-99999999999999999999"), Err(-i64::MAX));
        assert_eq!(number(&[0xff, b'1']), Ok(0));
    }
}
