//! Random connections through a real relay on loopback, every byte and every FIN and RST accounted.
//!
//! A run is a seed and a number of connections; a connection is a plan drawn from the seed and its
//! number, see `plan.rs`. What has to hold of it is in `verdict.rs`. A failure says how to repeat
//! that one connection:
//!
//! - `RELAY_SEED=N` takes another seed.
//! - `RELAY_ONLY=N` plays connection N alone, again and again.
//! - `RELAY_CONNECTIONS=N` plays more or fewer.
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a thread that fails fails its test"
)]

mod field;
mod lanes;
mod pattern;
mod peer;
mod plan;
#[path = "../rig/mod.rs"]
mod rig;
mod tally;
mod verdict;

use std::sync::LazyLock;
use std::thread;
use std::time::Duration;

use field::Field;
use lanes::{Player, Source};
use plan::Mix;
use relay::{ProcessFigures, Splice};
use rig::{Setup, until};
use tally::Tally;
use verdict::Rules;

/// One run.
struct Torture {
    connections: u64,
    lanes: usize,
    mix: Mix,
    rules: Rules,
}

/// What a run has covered.
struct Outcome {
    tally: Tally,
    /// The relay's at the end.
    figures: ProcessFigures,
    /// The most pipes seen in use.
    pipes: u32,
    over_ring: bool,
}

impl Outcome {
    fn is_complete(&self) {
        self.tally.is_complete(self.over_ring);
    }
}

impl Torture {
    const fn new(connections: u64) -> Self {
        Self {
            connections,
            lanes: 96,
            mix: Mix::Ordinary,
            rules: Rules::Strict,
        }
    }

    /// Plays the run over a relay set up by `change`. `None` if the environment asked for another
    /// number of connections, for then nothing can be said of what has to be covered.
    fn run(self, change: impl FnOnce(&mut Setup)) -> Option<Outcome> {
        LazyLock::force(&verdict::FORGOTTEN_BEFORE);
        let only = number("RELAY_ONLY");
        let count = if only.is_some() {
            1000
        } else {
            self.connections
        };
        let source = Source {
            seed: number("RELAY_SEED").unwrap_or(2026),
            count: number("RELAY_CONNECTIONS").unwrap_or(count),
            only,
            mix: self.mix,
            rules: self.rules,
        };
        let setup = Setup::new(1).with(|setup| {
            setup.backend.retries = 0;
            setup.frontend.timeout_client = rig::ms(120_000);
            setup.backend.timeout_server = rig::ms(120_000);
            // A client's RST that the kernel loses is noticed by asking, see `lanes::DOUBT`.
            for socket in [&mut setup.frontend.socket, &mut setup.backend.socket] {
                socket.keepalive.enabled = true;
                socket.keepalive.idle = Some(Duration::from_secs(5));
                socket.keepalive.interval = Some(Duration::from_secs(1));
            }
            change(setup);
        });
        let over_ring = setup.relay.io_uring;
        let mut field = Field::start(setup, self.lanes);
        let player = Player::new(field.post.clone(), std::mem::take(&mut field.lanes), source);
        let name = thread::current().name().unwrap_or("torture").to_owned();
        let played = thread::Builder::new()
            .name(name)
            .spawn(move || player.play());
        let played = played.unwrap();
        let mut pipes = 0;
        while !played.is_finished() {
            pipes = pipes.max(field.relay.figures().pipes_used);
            thread::sleep(Duration::from_millis(1));
        }
        let tally = played.join().unwrap_or_else(|_| panic!("see above"));
        let figures = settled(&field, &source, &tally);
        eprintln!("{tally:#?}\n{figures:#?}");
        (source.count == self.connections && only.is_none()).then_some(Outcome {
            tally,
            figures,
            pipes,
            over_ring,
        })
    }
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    let number = text.parse::<u64>();
    Some(number.unwrap_or_else(|_| panic!("{name} is not a number: {text}")))
}

/// After a run nothing is held any more, and all counters agree.
fn settled(field: &Field, source: &Source, tally: &Tally) -> ProcessFigures {
    until("everything to be given back", || {
        let figures = field.relay.figures();
        figures.connections == 0 && figures.pipes_used == 0
    });
    let frontend = &field.snapshot.frontends[0];
    let backend = &field.snapshot.backends[0];
    let view = backend.state.server(0).unwrap();
    assert_eq!((view.served, view.sessions, view.queued), (0, 0, 0));
    assert_eq!(frontend.state.sessions.current(), 0);
    assert_eq!(backend.state.sessions.current(), 0);
    let totals = frontend.state.totals();
    assert_eq!(
        (totals.bytes_in, totals.bytes_out),
        (tally.bytes_in, tally.bytes_out)
    );
    let figures = field.relay.figures();
    assert_eq!(
        (tally.connections, figures.sessions),
        (source.count, source.count)
    );
    assert!(figures.bytes_out >= tally.bytes_up + tally.bytes_down);
    assert!(figures.bytes_out <= tally.bytes_in + tally.bytes_out);
    figures
}

#[test]
fn a_hundred_thousand_connections() {
    let Some(run) = Torture::new(100_000).run(|_| {}) else {
        return;
    };
    run.is_complete();
    let rare = [run.tally.bulk_aborts, run.tally.reset_at_client];
    assert!(rare.iter().all(|count| *count > 0), "{:?}", run.tally);
    assert!(run.figures.bytes_spliced > 0, "{:?}", run.figures);
    assert!(run.pipes > 0);
}

#[test]
fn copied_only() {
    let Some(run) = Torture::new(10_000).run(|setup| setup.relay.splice = Splice::Off) else {
        return;
    };
    run.is_complete();
    assert_eq!(
        (run.figures.bytes_spliced, run.figures.pipes_free, run.pipes),
        (0, 0, 0)
    );
}

#[test]
fn two_workers() {
    let Some(run) = Torture::new(10_000).run(|setup| setup.relay.workers = 2) else {
        return;
    };
    run.is_complete();
}

/// Every full read of a small buffer counts as bulk: pipes come and go all the time.
#[test]
fn a_small_buffer() {
    let Some(run) = Torture::new(10_000).run(|setup| setup.relay.buffer = 2048) else {
        return;
    };
    run.is_complete();
    assert!(run.figures.bytes_spliced > 0, "{:?}", run.figures);
}

#[test]
fn few_pipes() {
    let torture = Torture {
        mix: Mix::Bulk,
        ..Torture::new(4000)
    };
    let Some(run) = torture.run(|setup| setup.relay.max_pipes = Some(2)) else {
        return;
    };
    // Both were in use at a time, with many more large transfers under way: those were copied.
    assert_eq!(run.pipes, 2);
    assert!(run.figures.pipes_free <= 2);
    let (spliced, all) = (run.figures.bytes_spliced, run.figures.bytes_out);
    assert!(spliced > 0 && spliced < all, "{spliced} of {all}");
}

#[test]
fn small_pipes() {
    let torture = Torture {
        mix: Mix::Bulk,
        ..Torture::new(2000)
    };
    let Some(run) = torture.run(|setup| {
        setup.relay.pipe_size = 64 * 1024;
        setup.relay.buffer = 16 * 1024;
    }) else {
        return;
    };
    assert!(run.figures.bytes_spliced > 0, "{:?}", run.figures);
}

/// `option splice-request` and `splice-response`: no bulk has to be seen first.
#[test]
fn spliced_from_the_first_byte() {
    let Some(run) = Torture::new(10_000).run(|setup| {
        setup.frontend.socket.splice.request = true;
        setup.backend.socket.splice.response = true;
    }) else {
        return;
    };
    run.is_complete();
    assert!(run.figures.bytes_spliced > 0, "{:?}", run.figures);
}

/// Timeouts as long as the stalls of the plans: sessions end for every reason there is.
#[test]
fn timeouts_among_it() {
    let torture = Torture {
        rules: Rules::Timeouts,
        ..Torture::new(10_000)
    };
    let Some(run) = torture.run(|setup| {
        setup.frontend.timeout_client = rig::ms(20);
        setup.backend.timeout_server = rig::ms(20);
    }) else {
        return;
    };
    assert!(
        run.tally.timeouts > 0 && run.tally.exact > 0,
        "{:?}",
        run.tally
    );
}

/// As [`a_hundred_thousand_connections`], begun in a ring; `RELAY_CONNECTIONS` for as many.
#[test]
fn over_a_ring() {
    let Some(run) = Torture::new(20_000).run(|setup| setup.relay.io_uring = true) else {
        return;
    };
    run.is_complete();
    assert!(run.figures.bytes_spliced > 0, "{:?}", run.figures);
}

/// Two rings; and no pause between looks, so that nothing is ever waited for.
#[test]
fn over_two_rings_that_never_wait() {
    let Some(run) = Torture::new(10_000).run(|setup| {
        setup.relay.io_uring = true;
        setup.relay.workers = 2;
        setup.relay.busy_polling = true;
    }) else {
        return;
    };
    run.is_complete();
}

/// As [`timeouts_among_it`], begun in a ring.
#[test]
fn timeouts_over_a_ring() {
    let torture = Torture {
        rules: Rules::Timeouts,
        ..Torture::new(10_000)
    };
    let Some(run) = torture.run(|setup| {
        setup.relay.io_uring = true;
        setup.frontend.timeout_client = rig::ms(20);
        setup.backend.timeout_server = rig::ms(20);
    }) else {
        return;
    };
    assert!(
        run.tally.timeouts > 0 && run.tally.exact > 0,
        "{:?}",
        run.tally
    );
}
