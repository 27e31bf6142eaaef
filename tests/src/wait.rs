//! Waiting for a condition, with a deadline; the only place that sleeps.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// How often a condition is looked at.
const POLL: Duration = Duration::from_millis(10);

/// Looks at `condition` until it gives a value; after `limit` it is an error
/// that names `what` was waited for.
pub fn until<T>(
    what: &str,
    limit: Duration,
    mut condition: impl FnMut() -> Option<T>,
) -> Result<T> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(value) = condition() {
            return Ok(value);
        }
        if Instant::now() >= deadline {
            bail!("waited {limit:?} in vain for: {what}");
        }
        std::thread::sleep(POLL);
    }
}

/// As [`until`], for conditions that can fail for good.
pub fn until_ok<T>(
    what: &str,
    limit: Duration,
    mut condition: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let mut failure = None;
    let found = until(what, limit, || match condition() {
        Ok(None) => None,
        Ok(Some(value)) => Some(Some(value)),
        Err(error) => {
            failure = Some(error);
            Some(None)
        }
    })?;
    match (found, failure) {
        (Some(value), _) => Ok(value),
        (None, Some(error)) => Err(error.context(format!("while waiting for: {what}"))),
        (None, None) => bail!("waited in vain for: {what}"),
    }
}

/// Watches that `condition` keeps holding for the whole of `span`.
///
/// # Errors
/// What `condition` says when it stops holding.
pub fn holds_for(span: Duration, mut condition: impl FnMut() -> Result<()>) -> Result<()> {
    let end = Instant::now() + span;
    while Instant::now() < end {
        condition()?;
        std::thread::sleep(POLL);
    }
    condition()
}
