//! What client and server of one connection do, drawn from a seed.

use crate::pattern::LONGEST;

/// One connection.
#[derive(Debug, Clone)]
pub struct Plan {
    pub seed: u64,
    pub kind: Kind,
    pub client: Script,
    pub server: Script,
}

/// How often which kind comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mix {
    /// Mostly small, as in life.
    Ordinary,
    /// One in five is large.
    Bulk,
}

/// What a connection is mostly about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Not a byte in either direction.
    Nothing,
    /// Messages of a few bytes.
    Short,
    /// Up to 64 KiB a message.
    Medium,
    /// Up to 4 MiB a message.
    Large,
    /// Bulk that gets into a pipe, then small messages, then bulk again, and so on.
    Switching,
    /// A reader with a small receive buffer that takes its time.
    Slow,
    /// A server that says much to a client that does not read yet, and may be gone by the time it
    /// does.
    Parting,
}

/// One side's part.
#[derive(Debug, Clone, Default)]
pub struct Script {
    pub turns: Vec<Turn>,
    /// Before the FIN: bytes to have received, and a stall.
    pub ending: (u64, u64),
    pub abort: Option<Abort>,
    pub reader: Reader,
    pub receive_buffer: Option<usize>,
    pub send_buffer: Option<usize>,
}

/// Something to say.
#[derive(Debug, Clone, Default)]
pub struct Turn {
    /// Bytes to have received first.
    pub after: u64,
    /// Microseconds to wait then.
    pub stall: u64,
    pub length: u64,
    /// The largest piece it is sent in; pieces are log-uniform below.
    pub piece: usize,
    /// Of 256 pieces so many are followed by a stall.
    pub stalls: u8,
}

/// An end that is not a FIN after all has been said.
#[derive(Debug, Clone, Copy)]
pub struct Abort {
    pub how: How,
    pub when: Moment,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// `SO_LINGER` 0 and close: a RST.
    Reset,
    /// close(2) with all it may leave unread.
    Close,
}

#[derive(Debug, Clone, Copy)]
pub enum Moment {
    /// So many bytes were sent.
    Sent(u64),
    /// So many bytes were received.
    Received(u64),
    /// So many microseconds have passed.
    After(u64),
    /// It has sent its FIN.
    AfterFin,
}

/// How a side reads.
#[derive(Debug, Clone)]
pub struct Reader {
    /// Microseconds before the first read.
    pub late: u64,
    pub chunk: usize,
    /// Of 256 reads so many are followed by a stall.
    pub stalls: u8,
    /// The longest stall in microseconds.
    pub longest: u64,
}

impl Default for Reader {
    fn default() -> Self {
        Self {
            late: 0,
            chunk: 256 * 1024,
            stalls: 0,
            longest: 0,
        }
    }
}

impl Script {
    pub fn total(&self) -> u64 {
        self.turns.iter().map(|turn| turn.length).sum()
    }
}

impl Plan {
    pub fn draw(seed: u64, mix: Mix) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let kind = match (mix, random.u32(0..1000)) {
            (_, 0..60) => Kind::Nothing,
            (Mix::Ordinary, 60..740) | (Mix::Bulk, 60..400) => Kind::Short,
            (Mix::Ordinary, 740..970) | (Mix::Bulk, 400..700) => Kind::Medium,
            (Mix::Ordinary, 970..980) | (Mix::Bulk, 700..850) => Kind::Large,
            (Mix::Ordinary, 980..983) | (Mix::Bulk, 850..900) => Kind::Switching,
            (Mix::Ordinary, 983..987) | (Mix::Bulk, 900..950) => Kind::Parting,
            _ => Kind::Slow,
        };
        let mut plan = Self {
            seed,
            kind,
            client: Script::default(),
            server: Script::default(),
        };
        plan.converse(&mut random);
        for up in [true, false] {
            let largest = plan.largest();
            let script = plan.side(up);
            script.reader = reader(kind, largest, &mut random);
            if random.u32(0..16) == 0 {
                script.send_buffer = Some(log_uniform(2048, 256 * 1024, &mut random) as usize);
            }
            if kind == Kind::Slow {
                // Windows far below a loopback segment open in steps of 200 ms: not too many of them.
                let least = (largest / 24).clamp(2048, 32 << 10);
                script.receive_buffer = Some(log_uniform(least, 64 << 10, &mut random) as usize);
            }
            script.ending.1 = stall(&mut random);
        }
        if kind == Kind::Parting {
            plan.client.reader.late = random.u64(1000..50_000);
            if random.bool() {
                let when = Moment::Sent(plan.server.total());
                let how = if random.bool() {
                    How::Reset
                } else {
                    How::Close
                };
                plan.server.abort = Some(Abort { how, when });
            }
            return plan;
        }
        let aborts = random.u32(0..100);
        for (up, range) in [(true, 0..15), (false, 12..27)] {
            if range.contains(&aborts) {
                let theirs = plan.side(!up).total();
                plan.side(up).abort = Some(abort(plan.side(up).total(), theirs, &mut random));
            }
        }
        plan
    }

    fn side(&mut self, client: bool) -> &mut Script {
        if client {
            &mut self.client
        } else {
            &mut self.server
        }
    }

    fn largest(&self) -> u64 {
        self.client.total().max(self.server.total())
    }

    /// Who says what after what. Each turn may wait for what the other side said in earlier turns
    /// only, so no plan can wait for itself.
    fn converse(&mut self, random: &mut fastrand::Rng) {
        let (turns, smallest, longest) = match self.kind {
            Kind::Nothing => (0, 1, 1),
            Kind::Short => (random.u32(1..9), 1, 4096),
            Kind::Medium => (random.u32(1..7), 1, 64 << 10),
            Kind::Large => (random.u32(1..4), 64 << 10, 4 << 20),
            Kind::Switching => (random.u32(3..6), 1 << 20, 2 << 20),
            Kind::Slow => (random.u32(1..4), 1024, 256 << 10),
            Kind::Parting => (random.u32(2..4), 1 << 20, 4 << 20),
        };
        let mut said = [0_u64; 2];
        if self.kind == Kind::Parting && random.bool() {
            let length = log_uniform(1, 3000, random);
            self.say(true, false, length, &mut said, random);
        }
        for turn in 0..turns {
            let speaker = self.kind != Kind::Parting && random.bool();
            let waits = self.kind == Kind::Switching || random.u32(0..3) > 0;
            let length = log_uniform(smallest, longest, random);
            self.say(speaker, waits, length, &mut said, random);
            if self.kind == Kind::Switching && turn + 1 < turns {
                let messages = random.u32(2..30);
                for _ in 0..messages {
                    let length = log_uniform(1, 3000, random);
                    self.say(random.bool(), true, length, &mut said, random);
                }
            }
        }
        for client in [true, false] {
            // At the end too: at once, or after all the other has said.
            if random.bool() {
                self.side(client).ending.0 = said[usize::from(!client)];
            }
        }
    }

    fn say(
        &mut self,
        client: bool,
        waits: bool,
        length: u64,
        said: &mut [u64; 2],
        random: &mut fastrand::Rng,
    ) {
        let after = if waits { said[usize::from(!client)] } else { 0 };
        // In a hundred pieces or so at most, or the test would be about system calls.
        let least = (length / 50).max(1);
        let piece = if random.u32(0..4) == 0 {
            log_uniform(least, length.max(least), random)
        } else {
            length
        };
        self.side(client).turns.push(Turn {
            after,
            stall: if random.u32(0..8) == 0 {
                stall(random)
            } else {
                0
            },
            length,
            piece: (piece as usize).min(LONGEST),
            stalls: if random.u32(0..8) == 0 {
                random.u8(..) / 4
            } else {
                0
            },
        });
        said[usize::from(client)] += length;
    }
}

fn reader(kind: Kind, largest: u64, random: &mut fastrand::Rng) -> Reader {
    let mut reader = Reader::default();
    if random.u32(0..4) == 0 {
        let least = (largest / 100).max(1);
        reader.chunk = log_uniform(least, 256 << 10, random) as usize;
    }
    if kind == Kind::Slow || random.u32(0..10) == 0 {
        reader.late = stall(random);
        reader.stalls = random.u8(..) / 8;
        reader.longest = 3000;
    }
    reader
}

fn abort(ours: u64, theirs: u64, random: &mut fastrand::Rng) -> Abort {
    let how = if random.u32(0..3) == 0 {
        How::Close
    } else {
        How::Reset
    };
    let when = match random.u32(0..8) {
        0..3 => Moment::Sent(random.u64(0..=ours)),
        3..6 => Moment::Received(random.u64(0..=theirs)),
        6 => Moment::After(stall(random)),
        _ => Moment::AfterFin,
    };
    Abort { how, when }
}

/// Mostly short, now and then long enough for everything else to come to rest. Microseconds.
fn stall(random: &mut fastrand::Rng) -> u64 {
    match random.u32(0..50) {
        0 => random.u64(0..50_000),
        1..10 => random.u64(0..3000),
        _ => random.u64(0..200),
    }
}

fn log_uniform(least: u64, most: u64, random: &mut fastrand::Rng) -> u64 {
    let (low, high) = ((least as f64).ln(), (most as f64 + 1.0).ln());
    let drawn = (low + random.f64() * (high - low)).exp();
    (drawn as u64).clamp(least, most)
}
