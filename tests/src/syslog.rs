//! A host's `/dev/log`: what the daemons in it log, with the time it came.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::clock::Moment;
use crate::wait;

/// One message.
#[derive(Debug, Clone)]
pub struct Message {
    /// When it came.
    pub at: Moment,
    /// All of it, priority and time stamp included.
    pub text: String,
}

/// What came so far.
#[derive(Debug, Clone, Default)]
pub struct Syslog {
    messages: Arc<Mutex<Vec<Message>>>,
}

impl Syslog {
    /// Collects from a socket at `path` until the lab's directory is gone.
    pub(crate) fn listen(&self, path: &Path) -> Result<()> {
        let socket = UnixDatagram::bind(path)
            .with_context(|| format!("cannot listen on {}", path.display()))?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o666))?;
        socket.set_read_timeout(Some(Duration::from_secs(1)))?;
        let (messages, path) = (Arc::clone(&self.messages), path.to_owned());
        std::thread::spawn(move || {
            let mut buffer = vec![0; 65536];
            while path.exists() {
                let Ok(length) = socket.recv(&mut buffer) else {
                    continue;
                };
                let text = String::from_utf8_lossy(buffer.get(..length).unwrap_or_default());
                let text = text.trim_end_matches(['\n', '\0']).to_owned();
                messages
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(Message {
                        at: Moment::now(),
                        text,
                    });
            }
        });
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Message>> {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All messages so far.
    pub fn messages(&self) -> Vec<Message> {
        self.lock().clone()
    }

    /// The messages that contain `text`.
    pub fn containing(&self, text: &str) -> Vec<Message> {
        self.lock()
            .iter()
            .filter(|m| m.text.contains(text))
            .cloned()
            .collect()
    }

    /// Waits for a message later than `since` that contains `text`.
    pub fn wait_for(&self, text: &str, since: Moment, limit: Duration) -> Result<Message> {
        wait::until(&format!("the log line {text:?}"), limit, || {
            self.lock()
                .iter()
                .find(|m| m.at >= since && m.text.contains(text))
                .cloned()
        })
    }
}
