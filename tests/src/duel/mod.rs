//! Two routers on one wire, a third host that listens, and nothing else: no
//! balancer, no traffic. Every way to speak VRRP, every trouble a master can have.

mod setup;
mod trouble;
mod verdict;

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::libc::{SIGHUP, SIGTERM};

pub use setup::{ADDRESSES, HEALTHY, Setup, VIP, VIP6, VITAL, Wire};
pub use trouble::{Passage, Trouble};

use crate::clock::Moment;
use crate::host::{Host, HostSpec, INTERFACE};
use crate::lab::Lab;
use crate::owners::Owners;
use crate::pair::{Implementation, KEEPALIVED_CONF, MOVE, PATIENCE};
use crate::task::Task;
use crate::traffic::{ArpWatch, Sighting};
use crate::{binaries, wait};

/// The routers' names, first the one with the higher priority.
pub const ROUTERS: [&str; 2] = ["r1", "r2"];

/// The host that only listens.
pub const LISTENER: &str = "client";

/// The two routers. Fields are dropped in this order: programs before their hosts.
#[derive(Debug)]
pub struct Duel {
    tasks: [Option<Task>; 2],
    /// Who holds the virtual address.
    pub owners: Owners,
    /// Which announcements of addresses the listener heard.
    pub arp: ArpWatch,
    setup: Setup,
    /// The hosts and wires.
    pub lab: Lab,
}

impl Duel {
    /// Makes the hosts, writes the files and starts watching; no router runs yet.
    pub fn prepare(setup: Setup) -> Result<Self> {
        let lab = Lab::start(&host_specs(&setup)?)?;
        let mut routers = Vec::new();
        for (index, name) in ROUTERS.iter().enumerate() {
            let host = lab.host(name)?;
            host.write(KEEPALIVED_CONF, setup.conf(index))?;
            host.write(HEALTHY, "")?;
            host.write(VITAL, "")?;
            if setup.wire.is_ipv6() {
                furnish_ipv6(host, index)?;
            }
            routers.push(host);
        }
        let owners = Owners::watch(&routers, setup.wire.address())?;
        let arp = ArpWatch::start(lab.host(LISTENER)?)?;
        Ok(Self {
            tasks: [None, None],
            owners,
            arp,
            setup,
            lab,
        })
    }

    /// The whole duel, up to the moment when r1 holds the address.
    pub fn start(setup: Setup) -> Result<Self> {
        let mut duel = Self::prepare(setup)?;
        for index in [0, 1] {
            duel.start_router(index)?;
        }
        duel.settle()?;
        Ok(duel)
    }

    /// What it was made from.
    pub fn setup(&self) -> &Setup {
        &self.setup
    }

    /// A router's host.
    pub fn host(&self, index: usize) -> Result<&Host> {
        self.lab.host(ROUTERS.get(index).context("no such router")?)
    }

    /// Whose router it is.
    pub fn implementation(&self, index: usize) -> Result<Implementation> {
        let routers = &self.setup.routers;
        routers.get(index).copied().context("no such router")
    }

    /// Starts a router in the foreground, logging in detail, and says when.
    pub fn start_router(&mut self, index: usize) -> Result<Moment> {
        let program = self.implementation(index)?.router();
        let start = Moment::now();
        let argv = [
            program,
            "--dont-fork",
            "--log-detail",
            "-f",
            KEEPALIVED_CONF,
        ];
        let task = self.host(index)?.spawn(&argv)?;
        if let Some(slot) = self.tasks.get_mut(index) {
            *slot = Some(task);
        }
        Ok(start)
    }

    /// The foreground process of a router.
    ///
    /// # Errors
    /// If it was not started.
    pub fn task(&self, index: usize) -> Result<&Task> {
        self.tasks
            .get(index)
            .and_then(Option::as_ref)
            .context("the router was not started")
    }

    /// A router's processes beside the one that was started: keepalived's child, and
    /// whatever helpers ours has. Scripts are not among them.
    pub fn children(&self, index: usize) -> Result<Vec<i32>> {
        let main = self.task(index)?.pid();
        let names = self.implementation(index)?.all_names();
        let mut pids: Vec<i32> = self
            .host(index)?
            .processes_named(names)?
            .iter()
            .map(|process| process.pid)
            .collect();
        pids.retain(|pid| *pid != main);
        Ok(pids)
    }

    /// Sends a signal to all processes of a router at once.
    pub fn signal_all(&self, index: usize, signal: i32) -> Result<()> {
        let names = self.implementation(index)?.all_names();
        self.host(index)?.signal_named(names, signal)
    }

    /// Waits until a router has ended with all its processes, and whoever started it knows:
    /// a dead process that nobody has collected still counts as a running daemon.
    pub fn wait_gone(&self, index: usize) -> Result<()> {
        self.task(index)?.wait(PATIENCE)?;
        let names = self.implementation(index)?.router_names();
        self.host(index)?.wait_gone(names, PATIENCE)
    }

    /// Asks a router to stop, and waits until it has; says how long it took.
    pub fn stop_router(&self, index: usize) -> Result<Duration> {
        let start = Moment::now();
        let task = self.task(index)?;
        task.signal(SIGTERM)?;
        task.wait(PATIENCE)?;
        let took = Moment::now().since(start);
        self.wait_gone(index)?;
        Ok(took)
    }

    /// Gives a router another file and has it read that.
    pub fn reload(&self, index: usize, text: &str) -> Result<Moment> {
        self.host(index)?.write(KEEPALIVED_CONF, text)?;
        self.reload_unchanged(index)
    }

    /// Has a router read its file again.
    pub fn reload_unchanged(&self, index: usize) -> Result<Moment> {
        let start = Moment::now();
        self.task(index)?.signal(SIGHUP)?;
        Ok(start)
    }

    /// Waits until r1 alone holds the address, and tells since when.
    pub fn settle(&self) -> Result<Moment> {
        self.owners
            .wait_sole("r1", MOVE)
            .with_context(|| self.evidence())
    }

    /// Whether a router has lived through its first script results: its own priority and
    /// no script's bonus missing. Both do within one interval of the scripts.
    pub fn wait_scripts(&self, since: Moment) -> Result<()> {
        if self.setup.script_interval == 0 {
            return Ok(());
        }
        for index in [0, 1] {
            self.host(index)?
                .log()
                .wait_for("VRRP_Script(healthy) succeeded", since, PATIENCE)
                .with_context(|| self.evidence())?;
        }
        Ok(())
    }

    /// The announcements of the virtual address by one router since then. With the virtual
    /// hardware address nobody can tell the routers apart: then anybody's.
    pub fn announcements(&self, index: usize, since: Moment) -> Result<Vec<Sighting>> {
        let mac = match self.setup.wire.virtual_mac() {
            Some(mac) => mac.to_owned(),
            None => crate::pair::mac(self.host(index)?.spec.address),
        };
        let mut seen = self.arp.since(since);
        seen.retain(|s| s.address == self.setup.wire.address() && s.mac == mac);
        Ok(seen)
    }

    /// Waits for a router's announcement of the virtual address.
    pub fn wait_announced(&self, index: usize, since: Moment) -> Result<()> {
        wait::until_ok("an announcement of the address", PATIENCE, || {
            Ok(self.announcements(index, since)?.first().map(|_| ()))
        })
        .with_context(|| self.evidence())
    }

    /// Lets a trouble befall r1 and checks that all that is promised held.
    pub fn endure(&mut self, trouble: Trouble) -> Result<Passage> {
        let passage = self.suffer(trouble)?;
        verdict::check(self, trouble, &passage)?;
        Ok(passage)
    }

    /// Everything that helps to understand a failure.
    pub fn evidence(&self) -> String {
        let mut text = format!("{:?} {:?}\n", self.setup.wire, self.setup.routers);
        text += &self.owners.story(Moment::default());
        for (index, name) in ROUTERS.iter().enumerate() {
            if let Ok(host) = self.lab.host(name) {
                text += &format!("log of {name}:\n");
                for message in host.log().messages() {
                    text += &format!("  {} {}\n", message.at, message.text);
                }
            }
            if let Ok(task) = self.task(index) {
                text += &format!("output of {name}: {:?}\n", task.lines());
            }
        }
        text
    }
}

fn host_specs(setup: &Setup) -> Result<Vec<HostSpec>> {
    let mut specs = Vec::new();
    for ((name, address), router) in ROUTERS.iter().zip(ADDRESSES).zip(setup.routers) {
        let mut spec = HostSpec::new(name, address);
        match router {
            Implementation::Ours => {
                let path = match &setup.vrrpd {
                    Some(path) => path.clone(),
                    None => binaries::ours("vrrpd")?,
                };
                spec.binaries.push((path, "vrrpd".to_owned()));
            }
            Implementation::Original => {
                binaries::original("keepalived")?;
            }
        }
        specs.push(spec);
    }
    specs.push(HostSpec::new(LISTENER, Ipv4Addr::new(10, 0, 254, 10)));
    Ok(specs)
}

/// An address of IPv6, and a link-local one that has passed its duplicate address detection.
fn furnish_ipv6(host: &Host, index: usize) -> Result<()> {
    host.ip(&format!(
        "address add fd00:fe::{}/64 dev {INTERFACE} nodad\n",
        252 - index
    ))?;
    let show = ["ip", "-6", "-o", "address", "show", "dev", INTERFACE];
    wait::until_ok("the link-local address", PATIENCE, || {
        let table = host.run(&show)?.success()?.stdout;
        let settled = table.contains("fe80:") && !table.contains("tentative");
        Ok(settled.then_some(()))
    })
}
