//! Where the programs under test are.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, bail};

/// Set by whoever has built the programs already, so that no test builds them again.
pub const READY: &str = "E2E_BINARIES_READY";

/// The same for this process alone.
static BUILT: AtomicBool = AtomicBool::new(false);

/// Declares that the programs are built, so that [`ours`] only looks for them.
pub fn declare_built() {
    BUILT.store(true, Ordering::Relaxed);
}

/// The path of one of our programs, built if it is not.
pub fn ours(name: &str) -> Result<PathBuf> {
    static BUILD: OnceLock<Result<(), String>> = OnceLock::new();
    let built = BUILD.get_or_init(|| build().map_err(|error| format!("{error:#}")));
    if let Err(error) = built {
        bail!("cannot build the programs: {error}");
    }
    let path = target_dir()?.join(name);
    if !path.exists() {
        bail!(
            "{} does not exist: run `cargo build --workspace --bins`",
            path.display()
        );
    }
    Ok(path)
}

/// The path of one of the originals, which Debian's packages install.
pub fn original(name: &str) -> Result<PathBuf> {
    let path = Path::new("/usr/sbin").join(name);
    if !path.exists() {
        bail!(
            "{} is not installed: `cargo xtask test` installs what the tests need, `cargo xtask test --no-install` lists it",
            path.display()
        );
    }
    Ok(path)
}

fn build() -> Result<()> {
    if BUILT.load(Ordering::Relaxed) || std::env::var_os(READY).is_some() {
        return Ok(());
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(cargo);
    command
        .args(["build", "--quiet", "--workspace", "--bins"])
        .current_dir(workspace());
    if target_dir()?.ends_with("release") {
        command.arg("--release");
    }
    let output = command.output().context("cannot run cargo")?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

/// The folder of the running program, `deps` left out: test programs lie in it.
fn target_dir() -> Result<PathBuf> {
    let program = std::env::current_exe()?;
    let dir = program.parent().context("the program has no folder")?;
    Ok(if dir.ends_with("deps") {
        dir.parent().unwrap_or(dir)
    } else {
        dir
    }
    .to_owned())
}

/// The root of the source tree this was built from.
pub fn workspace() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package).to_owned()
}
