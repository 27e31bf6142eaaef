//! One pairing through one trouble, round after round.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use e2e::capture::Capture;
use e2e::clock::Moment;
use e2e::duel::{Duel, Setup, Trouble, Wire};
use e2e::wait;

use super::rows::{MoveRow, Pairing, Sample};

/// What follows a mending is watched this long: how often the winner says who it is.
const AFTERMATH: Duration = Duration::from_secs(1);

/// After a split longer: a vrrpd that has not heard the loser says so all 5 s.
const AFTER_A_SPLIT: Duration = Duration::from_millis(6500);

/// From the moment the master has the address to the earliest strike: more than an advert.
const SETTLED: f64 = 1.2;

/// The strikes are spread over this many seconds, the interval of the scripts.
const PHASES: f64 = 2.0;

/// Adverts of either family.
const ADVERTS: &str = "ip proto 112 or ip6 proto 112";

/// What all moves share.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms<'a> {
    pub(super) vrrpd: &'a Path,
    pub(super) wire: Wire,
    pub(super) rounds: usize,
}

/// Runs all rounds of one pairing; what went wrong is in the samples.
pub(super) fn run(terms: Terms<'_>, row: &MoveRow, pairing: &Pairing) -> Vec<Sample> {
    let mut duel: Option<Duel> = None;
    let mut samples = Vec::new();
    for round in 0..terms.rounds {
        let mut sample = Sample::new(row.name, pairing, round);
        let measured = match duel.take() {
            Some(duel) => Ok(duel),
            None => prepare(terms, row, pairing),
        }
        .and_then(|mut fresh| {
            measure(&mut fresh, row, round, &mut sample)?;
            Ok(fresh)
        });
        match measured {
            Ok(used) => duel = Some(used),
            Err(error) => sample.fault = Some(format!("{error:#}")),
        }
        samples.push(sample);
    }
    samples
}

fn prepare(terms: Terms<'_>, row: &MoveRow, pairing: &Pairing) -> Result<Duel> {
    Duel::prepare(Setup {
        vrrpd: Some(terms.vrrpd.to_owned()),
        vital: row.trouble == Trouble::Vital,
        ..Setup::new(row.wire.unwrap_or(terms.wire), pairing.routers)
    })
}

fn measure(duel: &mut Duel, row: &MoveRow, round: usize, sample: &mut Sample) -> Result<()> {
    let start = Moment::now();
    for index in [0, 1] {
        duel.start_router(index)?;
    }
    duel.wait_scripts(start)?;
    duel.settle()?;
    let capture = match row.trouble {
        Trouble::Reload => Some(Capture::start_of(&duel.lab, &["r1"], ADVERTS)?),
        _ => None,
    };
    wait::holds_for(Duration::from_secs_f64(SETTLED + phase(round)), || Ok(()))?;
    let passage = duel.suffer(row.trouble)?;
    if let Some(capture) = capture {
        let changes = passage.there.len() + passage.home.len() - 2;
        sample.tell("changes", changes as f64);
        let adverts: Vec<f64> = capture
            .finish()?
            .iter()
            .filter(|frame| frame.is_advert())
            .map(|frame| frame.time)
            .collect();
        let silence = adverts.windows(2).map(|two| two[1] - two[0]);
        if let Some(longest) = silence.max_by(f64::total_cmp) {
            sample.tell("silence", longest);
        }
    } else {
        let after = |at: Option<Moment>| at.map(|at| at.since(passage.struck));
        let mut tell = |key, value: Option<Duration>| {
            if let Some(value) = value {
                sample.tell(key, value.as_secs_f64());
            }
        };
        tell("gained", after(passage.gained));
        tell("lost", after(passage.lost));
        tell("none", Some(passage.none()));
        tell("two", Some(passage.two()));
        tell("back", Some(passage.back.since(passage.mended)));
        tell("none_after", Some(passage.none_after()));
        tell("two_after", Some(passage.two_after()));
        sample.two_remained = passage.two_remained();
        let aftermath = match row.trouble {
            Trouble::Silent => AFTER_A_SPLIT,
            _ => AFTERMATH,
        };
        wait::holds_for(aftermath, || Ok(()))?;
        let announced = duel.announcements(0, passage.mended)?.len();
        sample.tell("announced", announced as f64);
    }
    for index in [0, 1] {
        duel.stop_router(index)?;
    }
    Ok(())
}

/// When in a period a round strikes, the same for all pairings: spread evenly, however many
/// rounds there are.
fn phase(round: usize) -> f64 {
    const GOLDEN: f64 = 0.618_033_988_749_895;
    (round as f64 * GOLDEN).fract() * PHASES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_phases_are_spread_over_the_interval() {
        let mut phases: Vec<f64> = (0..8).map(phase).collect();
        phases.sort_unstable_by(f64::total_cmp);
        assert!(phases.iter().all(|phase| (0.0..PHASES).contains(phase)));
        let widest = phases.windows(2).map(|two| two[1] - two[0]);
        assert!(widest.max_by(f64::total_cmp).unwrap() < 0.5, "{phases:?}");
    }
}
