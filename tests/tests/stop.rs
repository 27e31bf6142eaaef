//! A daemon that is told to stop in an unusual moment leaves nothing behind.

use anyhow::{Context as _, Result, ensure};
use e2e::ground::{Ground, LIMIT, VIP, conf, shown};
use e2e::pair::Implementation::Ours;
use e2e::protocol::Ending;
use e2e::wait;
use nix::libc::SIGTERM;

const PID_FILES: [&str; 2] = ["/run/keepalived.pid", "/run/vrrp.pid"];

#[test]
fn a_stop_while_the_startup_script_runs_comes_after_it() -> Result<()> {
    let scripts = "\
global_defs {
    script_user root
    enable_script_security
    startup_script \"/usr/bin/sleep 2\"
    shutdown_script \"/usr/bin/touch /tmp/ended\"
}";
    let mut ground = Ground::new()?;
    ground.start("r1", Ours, &conf(255, scripts, "    state MASTER"))?;
    let host = ground.host("r1")?;
    wait::until("the script", LIMIT, || {
        let running = host.log().containing("Running startup script");
        (!running.is_empty()).then_some(())
    })?;
    for path in PID_FILES {
        host.read(path).with_context(|| path.to_owned())?;
    }
    let router = ground.routers.first().context("no router")?;
    router.signal(SIGTERM)?;
    let output = router.wait(LIMIT)?;
    ensure!(output.ending == Ending::Code(0), "{output:?}");
    host.read("/tmp/ended").context("the last script")?;
    for path in PID_FILES {
        ensure!(host.read(path).is_err(), "{path} is left");
    }
    wait::until("the last line", LIMIT, || {
        (!host.log().containing("Stopped Keepalived").is_empty()).then_some(())
    })?;
    let log = host.log().messages();
    let has = |text: &str| log.iter().any(|message| message.text.contains(text));
    ensure!(has("startup script script succeeded"), "{log:?}");
    ensure!(!has("Startup complete") && !has("MASTER STATE"), "{log:?}");
    ensure!(!shown(host)?.contains(VIP), "the address is set");
    Ok(())
}
