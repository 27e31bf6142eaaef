//! What virtual routers were told and did, as plain data: a daemon writes it
//! down, [`Replay`] tells it to fresh routers and compares what they do.
//!
//! Passwords do not get into a record. Each one is replaced by a word of its
//! own, in settings and in packets alike, so that what was equal stays equal and
//! what differed stays different; checksums that were right are made right again.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};
use vrrp_proto::{Datagram, checksum};

use crate::action::Action;
use crate::event::Event;
use crate::router::VirtualRouter;
use crate::settings::{Auth, Instance};
use crate::time::Time;

/// Version of the form of [`Entry`].
pub const FORM: u32 = 1;

/// One line of a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entry {
    /// The first line.
    Record {
        /// [`FORM`]
        form: u32,
    },
    /// A router is made.
    Router {
        /// A number of its own.
        router: u64,
        /// What it is told at first.
        settings: Box<Instance>,
    },
    /// A router handled an event.
    Told {
        /// Which one.
        router: u64,
        /// The present time it was told.
        at: Time,
        /// What happened.
        event: Event,
        /// What it did, as [`deeds`] puts it.
        did: Vec<String>,
    },
    /// A router is gone.
    Gone {
        /// Which one.
        router: u64,
    },
}

/// Actions as lines of text.
#[must_use]
pub fn deeds(actions: &[Action]) -> Vec<String> {
    actions.iter().map(|action| format!("{action:?}")).collect()
}

/// More passwords than anybody configures: those behind are all the same word.
const PASSWORDS: usize = 64;

/// Takes passwords out of what is recorded.
#[derive(Clone, Debug, Default)]
pub struct Masks {
    /// Each in the place that its word names.
    known: Vec<[u8; 8]>,
}

impl Masks {
    /// `settings` without their password.
    #[must_use]
    pub fn settings(&mut self, settings: &Instance) -> Box<Instance> {
        let mut masked = settings.clone();
        masked.auth = self.auth(settings.auth);
        Box::new(masked)
    }

    /// `event` without passwords.
    #[must_use]
    pub fn event(&mut self, event: &Event) -> Event {
        match event {
            Event::Packet(datagram) => Event::Packet(self.datagram(datagram)),
            Event::Reload(settings) => Event::Reload(self.settings(settings)),
            Event::Start
            | Event::Timer
            | Event::LinkUp
            | Event::LinkDown
            | Event::Source(_)
            | Event::Script { .. }
            | Event::Tracker { .. }
            | Event::Group(_)
            | Event::AddressRemoved(_)
            | Event::RouteRemoved
            | Event::Stop => event.clone(),
        }
    }

    fn auth(&mut self, auth: Auth) -> Auth {
        match auth {
            Auth::None => Auth::None,
            Auth::Pass(password) => Auth::Pass(self.word(password)),
        }
    }

    fn word(&mut self, password: [u8; 8]) -> [u8; 8] {
        let known = self.known.iter().position(|known| *known == password);
        let place = known.unwrap_or_else(|| {
            if self.known.len() < PASSWORDS {
                self.known.push(password);
                self.known.len() - 1
            } else {
                PASSWORDS
            }
        });
        let mut word = *b"secret00";
        let [.., tens, ones] = &mut word;
        *tens += u8::try_from(place / 10).unwrap_or(9);
        *ones += u8::try_from(place % 10).unwrap_or(9);
        word
    }

    /// Version 2 over IPv4 with a password (RFC 2338, 5.3.6): its last eight
    /// bytes. Whatever else looks like it is masked as well.
    fn datagram(&mut self, datagram: &Datagram) -> Datagram {
        let mut masked = datagram.clone();
        let is_right = checksum::internet(&[&datagram.payload]) == 0;
        let has_password = matches!(
            datagram.payload.as_slice(),
            [version, _, _, _, kind, ..] if version >> 4 == 2 && *kind != 0
        );
        if !has_password {
            return masked;
        }
        let Some((_, tail)) = masked.payload.split_last_chunk_mut::<8>() else {
            return masked;
        };
        *tail = self.word(*tail);
        let Some(field) = masked.payload.get_mut(6..8) else {
            return masked;
        };
        field.fill(0);
        let right = checksum::internet(&[&masked.payload]);
        let sum = if is_right { right } else { !right };
        if let Some(field) = masked.payload.get_mut(6..8) {
            field.copy_from_slice(&sum.to_be_bytes());
        }
        masked
    }
}

/// Where a router did not do what is recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The router.
    pub router: u64,
    /// When.
    pub at: Time,
    /// What it was told.
    pub event: String,
    /// What the record says.
    pub recorded: Vec<String>,
    /// What it did now.
    pub replayed: Vec<String>,
}

/// Why a record cannot be replayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unusable {
    /// It is of another form.
    Form(u32),
    /// It speaks of a router that it did not introduce.
    Stranger(u64),
}

/// Tells a record to fresh routers.
#[derive(Clone, Debug, Default)]
pub struct Replay {
    routers: BTreeMap<u64, VirtualRouter>,
    /// Events told so far.
    told: u64,
}

impl Replay {
    /// Takes the next entry; a difference if the router did something else.
    ///
    /// # Errors
    /// See [`Unusable`].
    pub fn take(&mut self, entry: Entry) -> Result<Option<Difference>, Unusable> {
        match entry {
            Entry::Record { form: FORM } => Ok(None),
            Entry::Record { form } => Err(Unusable::Form(form)),
            Entry::Router { router, settings } => {
                self.routers.insert(router, VirtualRouter::new(*settings));
                Ok(None)
            }
            Entry::Gone { router } => {
                self.routers.remove(&router);
                Ok(None)
            }
            Entry::Told {
                router,
                at,
                event,
                did,
            } => {
                let fresh = self.routers.get_mut(&router);
                let fresh = fresh.ok_or(Unusable::Stranger(router))?;
                let text = format!("{event:?}");
                fresh.handle(at, event);
                let actions: VecDeque<Action> =
                    std::iter::from_fn(|| fresh.poll_action()).collect();
                self.told += 1;
                let replayed = deeds(&Vec::from(actions));
                Ok((replayed != did).then_some(Difference {
                    router,
                    at,
                    event: text,
                    recorded: did,
                    replayed,
                }))
            }
        }
    }

    /// Events told so far.
    #[must_use]
    pub const fn told(&self) -> u64 {
        self.told
    }

    /// The routers as they stand, by their numbers.
    pub fn routers(&self) -> impl Iterator<Item = (u64, &VirtualRouter)> {
        self.routers
            .iter()
            .map(|(number, router)| (*number, router))
    }
}
