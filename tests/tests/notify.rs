//! Notify scripts and FIFOs: the arguments, users and lines of the original, and one
//! thing better: the scripts of a transition never end before those of the one before.

use std::fs::Permissions;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use anyhow::{Context as _, Result};
use e2e::binaries;
use e2e::host::{Host, HostSpec};
use e2e::lab::Lab;
use e2e::pair::Implementation::{self, Original, Ours};
use e2e::task::Task;
use e2e::wait;
use nix::libc::{SIGHUP, SIGTERM};

const CONF: &str = "/etc/keepalived/keepalived.conf";
const LOG: &str = "/tmp/notify.log";
const SCRIPT: &str = "/tmp/told.sh";
const LIMIT: Duration = Duration::from_secs(20);

/// Appends one line: who runs it, and its arguments in brackets.
const TELL: &str = "\
#!/bin/sh
line=\"$(id -u):$(id -g)\"
for word in \"$@\"; do line=\"$line [$word]\"; done
echo \"$line\" >> /tmp/notify.log
";

/// Two instances in a group and one alone; `user` runs one of the scripts.
fn conf(user: &str) -> String {
    format!(
        "\
global_defs {{
    script_user root
    enable_script_security
    notify_fifo /tmp/fifo
    vrrp_notify_priority_changes true
}}
track_file fault {{
    file /tmp/fault
    weight 0
    init_file 0
}}
track_file more {{
    file /tmp/more
    weight 1
    init_file 0
}}
vrrp_sync_group G1 {{
    group {{
        V1
        V2
    }}
    notify_master \"{SCRIPT} gm\"
    notify_backup \"{SCRIPT} gb\"
    notify_fault \"{SCRIPT} gf\"
    notify_stop \"{SCRIPT} gs\"
    notify \"{SCRIPT} gany\"
}}
vrrp_instance V1 {{
    interface ens160
    virtual_router_id 51
    priority 150
    virtual_ipaddress {{
        10.0.254.100/24
    }}
    track_file {{
        fault
    }}
    notify_master \"{SCRIPT} m1 'a b'\" {user}
    notify_backup \"{SCRIPT} b1\"
    notify_fault \"{SCRIPT} f1\"
    notify_stop \"{SCRIPT} s1\"
    notify \"{SCRIPT} any1\"
}}
vrrp_instance V2 {{
    interface ens160
    virtual_router_id 52
    priority 120
    virtual_ipaddress {{
        10.0.254.101/24
    }}
    notify \"{SCRIPT} any2\"
}}
"
    )
}

/// One instance more, which a reload removes.
fn alone(name: &str, vrid: u8, deleted: &str) -> String {
    format!(
        "\
vrrp_instance {name} {{
    interface ens160
    virtual_router_id {vrid}
    priority 130
    virtual_ipaddress {{
        10.0.254.{vrid}/24
    }}
    track_file {{
        more
    }}
    notify \"{SCRIPT} any-{name}\"
    notify_fault \"{SCRIPT} fault-{name}\"
    notify_stop \"{SCRIPT} stop-{name}\"
    {deleted}
}}
"
    )
}

struct Stage {
    daemon: Task,
    reader: Task,
    lab: Lab,
}

impl Stage {
    fn set(whose: Implementation, text: &str, script: &str) -> Result<Self> {
        let mut spec = HostSpec::new("r1", Ipv4Addr::new(10, 0, 254, 1));
        spec.binaries = vec![(binaries::ours("vrrpd")?, "vrrpd".to_owned())];
        let lab = Lab::start(&[spec])?;
        let host = lab.host("r1")?;
        host.write(CONF, text)?;
        host.write(LOG, "")?;
        // Other users write the log too.
        std::fs::set_permissions(host.outside("/tmp"), Permissions::from_mode(0o755))?;
        std::fs::set_permissions(host.outside(LOG), Permissions::from_mode(0o666))?;
        host.write(SCRIPT, script)?;
        std::fs::set_permissions(host.outside(SCRIPT), Permissions::from_mode(0o755))?;
        if whose == Original {
            // At a reload it removes the FIFO that it made, and for a moment there is none.
            host.run(&["/usr/bin/mkfifo", "/tmp/fifo"])?.success()?;
        }
        let daemon = host.spawn(&[whose.router(), "--dont-fork", "-P", "-f", CONF])?;
        wait::until("the FIFO", LIMIT, || {
            host.outside("/tmp/fifo").exists().then_some(())
        })?;
        // Held open for writing as well, it does not end when the original closes it.
        let held = "exec cat <> /tmp/fifo";
        let reader = host.spawn(&["/bin/sh", "-c", held])?;
        Ok(Self {
            daemon,
            reader,
            lab,
        })
    }

    fn host(&self) -> Result<&Host> {
        self.lab.host("r1")
    }

    fn told(&self) -> Result<Vec<String>> {
        Ok(self.host()?.read(LOG)?.lines().map(str::to_owned).collect())
    }

    fn wait_told(&self, line: &str) -> Result<()> {
        self.wait_times(line, 1)
    }

    fn wait_times(&self, line: &str, times: usize) -> Result<()> {
        wait::until_ok(line, LIMIT, || {
            let told = self.told()?;
            let found = told.iter().filter(|told| told.ends_with(line)).count();
            Ok((found >= times).then_some(()))
        })
        .with_context(|| format!("{:?}, {:?}", self.told(), self.fifo()))
    }

    fn fifo(&self) -> Vec<String> {
        let lines = self.reader.lines();
        lines.into_iter().map(|line| line.text).collect()
    }

    fn wait_fifo(&self, line: &str) -> Result<()> {
        wait::until(line, LIMIT, || {
            self.fifo().iter().any(|told| told == line).then_some(())
        })
        .with_context(|| format!("{:?}, {:?}", self.told(), self.fifo()))
    }
}

/// The words of each line that somebody was told.
type Lines = Vec<Vec<String>>;

/// What a daemon tells through all that can happen to it, by teller: the scripts of one
/// transition are started together, so only those of one keyword have an order.
fn told(whose: Implementation, user: &str) -> Result<(Lines, Lines)> {
    let four = alone("V4", 54, &format!("notify_deleted \"{SCRIPT} deleted\""));
    let text = conf(user) + &four + &alone("V5", 55, "");
    let stage = Stage::set(whose, &text, TELL)?;
    for line in [
        "[gany] [GROUP] [G1] [MASTER] [0]",
        "[any-V5] [INSTANCE] [V5] [MASTER] [130]",
    ] {
        stage.wait_told(line)?;
    }
    let host = stage.host()?;
    host.write("/tmp/more", "5\n")?;
    stage.wait_fifo("INSTANCE \"V5\" MASTER_PRIORITY 135")?;
    host.write("/tmp/fault", "1\n")?;
    stage.wait_told("[gany] [GROUP] [G1] [FAULT] [0]")?;
    stage.wait_told("[any2] [INSTANCE] [V2] [FAULT] [120]")?;
    host.write("/tmp/fault", "0\n")?;
    stage.wait_times("[gany] [GROUP] [G1] [MASTER] [0]", 2)?;
    stage.wait_times("[any1] [INSTANCE] [V1] [MASTER] [150]", 2)?;
    stage.wait_times("[any2] [INSTANCE] [V2] [MASTER] [120]", 2)?;
    host.write(CONF, conf(user))?;
    stage.daemon.signal(SIGHUP)?;
    stage.wait_told("[any-V4] [INSTANCE] [V4] [DELETED] [135]")?;
    stage.wait_told("[any-V5] [INSTANCE] [V5] [FAULT] [135]")?;
    stage.wait_told("[deleted]")?;
    stage.daemon.signal(SIGTERM)?;
    stage.daemon.wait(LIMIT)?;
    for line in ["[gs]", "[s1]", "[any2] [INSTANCE] [V2] [STOP] [120]"] {
        stage.wait_told(line)?;
    }
    stage.wait_fifo("INSTANCE \"V2\" STOP 120")?;
    stage.wait_fifo("GROUP \"G1\" STOP 0")?;
    // The original's was not its own.
    let left = host.outside("/tmp/fifo").exists();
    anyhow::ensure!(whose == Original || !left, "the FIFO was left behind");
    let by = |lines: Vec<String>, key: fn(&str) -> String| {
        let mut keys: Vec<String> = lines.iter().map(|line| key(line)).collect();
        keys.sort();
        keys.dedup();
        let of = |wanted: &String| {
            let mut lines = lines.clone();
            lines.retain(|line| key(line) == *wanted);
            lines
        };
        keys.iter().map(of).collect()
    };
    let scripts = by(stage.told()?, |line| {
        line.split(' ').nth(1).unwrap_or_default().to_owned()
    });
    let lines = by(stage.fifo(), |line| {
        line.split(' ').nth(1).unwrap_or_default().to_owned()
    });
    Ok((scripts, lines))
}

#[test]
fn scripts_and_fifo_are_told_what_the_original_tells() -> Result<()> {
    let other_users = {
        let lab = Lab::start(&[HostSpec::new("r1", Ipv4Addr::new(10, 0, 254, 1))])?;
        let argv = [
            "/usr/bin/setpriv",
            "--reuid=1",
            "--regid=1",
            "--clear-groups",
            "/bin/true",
        ];
        lab.host("r1")?.run(&argv)?.success().is_ok()
    };
    let user = if other_users { "daemon" } else { "root" };
    let (ours, theirs) = std::thread::scope(|scope| {
        let ours = scope.spawn(|| told(Ours, user));
        let theirs = told(Original, user);
        let ours = ours.join().unwrap_or_else(|_| anyhow::bail!("a panic"));
        anyhow::Ok((ours?, theirs?))
    })?;
    assert_eq!(ours.0, theirs.0, "scripts");
    assert_eq!(ours.1, theirs.1, "FIFO");
    Ok(())
}

#[test]
fn a_slow_script_is_never_overtaken() -> Result<()> {
    let slow =
        "#!/bin/sh\necho begin $1 >> /tmp/notify.log\nsleep 1\necho end $1 >> /tmp/notify.log\n";
    let text = "\
global_defs {
    script_user root
    enable_script_security
    notify_fifo /tmp/fifo
}
track_file fault {
    file /tmp/fault
    weight 0
    init_file 0
}
vrrp_instance V1 {
    interface ens160
    virtual_router_id 51
    priority 150
    virtual_ipaddress {
        10.0.254.100/24
    }
    track_file {
        fault
    }
    notify_master \"/tmp/told.sh master\"
    notify_backup \"/tmp/told.sh backup\"
    notify_fault \"/tmp/told.sh fault\"
    notify_stop \"/tmp/told.sh stop\"
}
";
    let stage = Stage::set(Ours, text, slow)?;
    let host = stage.host()?;
    stage.wait_fifo("INSTANCE \"V1\" MASTER 150")?;
    for (value, state) in [
        ("1", "FAULT"),
        ("0", "BACKUP"),
        ("1", "FAULT"),
        ("0", "BACKUP"),
    ] {
        let times = stage
            .fifo()
            .iter()
            .filter(|line| line.contains(state))
            .count();
        host.write("/tmp/fault", value)?;
        wait::until(state, LIMIT, || {
            let now = stage
                .fifo()
                .iter()
                .filter(|line| line.contains(state))
                .count();
            (now > times).then_some(())
        })?;
    }
    stage.daemon.signal(SIGTERM)?;
    stage.daemon.wait(LIMIT)?;
    let told = stage.told()?;
    for pair in told.chunks(2) {
        let [begin, end] = pair else {
            anyhow::bail!("one did not end: {told:?}");
        };
        let name = begin.strip_prefix("begin ").context("no beginning")?;
        assert_eq!(*end, format!("end {name}"), "{told:?}");
    }
    assert_eq!(told.last().context("nothing was told")?, "end stop");
    Ok(())
}
