//! The owner's set-up: two load balancers with a virtual address, three
//! API-server stand-ins, one client.
//!
//! ```text
//! client 10.0.254.10 ──┐            ┌── m1 10.0.254.250:6443
//!                    switch ────────┼── m2 10.0.254.249:6443
//!  lb1 10.0.254.252 ───┼            └── m3 10.0.254.248:6443
//!  lb2 10.0.254.251 ───┘   virtual address 10.0.254.253
//! ```

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result};
use nix::libc::{SIGKILL, SIGTERM};

use crate::clock::Moment;
use crate::host::{Host, HostSpec};
use crate::lab::Lab;
use crate::node::{ApiServerSpec, Manner};
use crate::owners::Owners;
use crate::pki::Authority;
use crate::task::Task;
use crate::traffic::{ArpWatch, Client, ClientSpec, PokeSpec, Then};
use crate::{binaries, fixtures, wait};

/// The virtual address of the owner's files.
pub const VIP: Ipv4Addr = Ipv4Addr::new(10, 0, 254, 253);

/// The port of the owner's files.
pub const PORT: u16 = 6443;

/// The two balancers, first the one with the higher priority.
pub const LBS: [&str; 2] = ["lb1", "lb2"];

/// The stand-ins: host name, name in the owner's haproxy.cfg, address.
pub const SERVERS: [(&str, &str, Ipv4Addr); 3] = [
    ("m1", "k8s-master-1", Ipv4Addr::new(10, 0, 254, 250)),
    ("m2", "k8s-master-2", Ipv4Addr::new(10, 0, 254, 249)),
    ("m3", "k8s-master-3", Ipv4Addr::new(10, 0, 254, 248)),
];

/// Where the daemons look for their files.
pub const HAPROXY_CFG: &str = "/etc/haproxy/haproxy.cfg";
/// Where the daemons look for their files.
pub const KEEPALIVED_CONF: &str = "/etc/keepalived/keepalived.conf";

/// The admin socket of the owner's haproxy.cfg.
pub const ADMIN_SOCKET: &str = "/run/haproxy/admin.sock";

/// How long anything may take that depends only on the machine's speed.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// How long the address may take to move: detection by the script (2 s), three
/// adverts and the skew (3.6 s), and a loaded machine.
pub const MOVE: Duration = Duration::from_secs(25);

/// Whose daemon it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Implementation {
    /// proxyd and vrrpd.
    Ours,
    /// Debian's haproxy and keepalived.
    Original,
}

impl Implementation {
    /// The balancer's program as a host sees it.
    pub fn balancer(self) -> &'static str {
        match self {
            Self::Ours => "/run/lab/bin/haproxy",
            Self::Original => "/usr/sbin/haproxy",
        }
    }

    /// The router's program as a host sees it.
    pub fn router(self) -> &'static str {
        match self {
            Self::Ours => "/run/lab/bin/vrrpd",
            Self::Original => "/usr/sbin/keepalived",
        }
    }

    /// What the router's processes are called.
    pub fn router_names(self) -> &'static [&'static str] {
        match self {
            Self::Ours => &["vrrpd"],
            Self::Original => &["keepalived", "keepalived_vrrp"],
        }
    }

    /// The same with what is there only to clean up after them.
    pub fn all_names(self) -> &'static [&'static str] {
        match self {
            Self::Ours => &["vrrpd", "vrrpd-warden"],
            Self::Original => self.router_names(),
        }
    }
}

/// What the balancer's processes are called, ours too: it is started through a link.
pub const BALANCER_NAMES: &[&str] = &["haproxy"];

/// One of the two balancer hosts.
#[derive(Debug, Clone)]
pub struct Side {
    /// Whose haproxy.
    pub balancer: Implementation,
    /// Whose keepalived.
    pub router: Implementation,
    /// Its haproxy.cfg.
    pub haproxy_cfg: Vec<u8>,
    /// Its keepalived.conf.
    pub keepalived_conf: Vec<u8>,
}

/// Both balancer hosts.
pub type Sides = [Side; 2];

/// The owner's files with these daemons: on lb1 byte for byte.
pub fn owners_files(balancers: [Implementation; 2], routers: [Implementation; 2]) -> Sides {
    let conf = [
        fixtures::KEEPALIVED_CONF.to_owned(),
        fixtures::second_keepalived_conf(),
    ];
    let side = |index: usize, conf: &str| Side {
        balancer: balancers
            .get(index)
            .copied()
            .unwrap_or(Implementation::Ours),
        router: routers.get(index).copied().unwrap_or(Implementation::Ours),
        haproxy_cfg: fixtures::HAPROXY_CFG.into(),
        keepalived_conf: conf.into(),
    };
    let [first, second] = &conf;
    [side(0, first), side(1, second)]
}

/// The same with multicast adverts.
pub fn over_multicast(sides: Sides) -> Sides {
    sides.map(|side| Side {
        keepalived_conf: fixtures::multicast(&String::from_utf8_lossy(&side.keepalived_conf))
            .into_bytes(),
        ..side
    })
}

/// The running set-up. Fields are dropped in this order: programs before their hosts.
#[derive(Debug)]
pub struct Pair {
    routers: [Option<Task>; 2],
    servers: [Option<Task>; 3],
    /// Who holds the virtual address.
    pub owners: Owners,
    /// Which gratuitous ARPs the client's host heard.
    pub arp: ArpWatch,
    sides: Sides,
    /// The hosts and wires.
    pub lab: Lab,
}

impl Pair {
    /// Makes the hosts, starts the stand-ins, and starts watching; no balancer and no router runs yet.
    pub fn prepare(sides: Sides) -> Result<Self> {
        let lab = Lab::start(&host_specs(&sides)?)?;
        let authority = Authority::new()?;
        let mut servers = [None, None, None];
        for ((host, name, _), task) in SERVERS.iter().zip(&mut servers) {
            let host = lab.host(host)?;
            authority.write_identity(
                &host.outside("/run/lab/cert.der"),
                &host.outside("/run/lab/key.der"),
            )?;
            *task = Some(serve(host, name)?);
        }
        let client = lab.host("client")?;
        authority.write_trust(&client.outside("/run/lab/ca.der"))?;
        let arp = ArpWatch::start(client)?;
        let [first, second] = LBS;
        for (name, side) in LBS.iter().zip(&sides) {
            let host = lab.host(name)?;
            host.write(HAPROXY_CFG, &side.haproxy_cfg)?;
            host.write(KEEPALIVED_CONF, &side.keepalived_conf)?;
        }
        let owners = Owners::watch(&[lab.host(first)?, lab.host(second)?], VIP)?;
        Ok(Self {
            routers: [None, None],
            servers,
            owners,
            arp,
            sides,
            lab,
        })
    }

    /// The whole set-up, up to the moment when lb1 holds the address.
    pub fn start(sides: Sides) -> Result<Self> {
        let mut pair = Self::prepare(sides)?;
        for index in [0, 1] {
            pair.start_balancer(index)?;
        }
        for index in [0, 1] {
            pair.start_router(index)?;
        }
        pair.owners
            .wait_sole("lb1", MOVE)
            .with_context(|| pair.evidence())?;
        Ok(pair)
    }

    /// A balancer host.
    pub fn lb(&self, index: usize) -> Result<&Host> {
        self.lab.host(LBS.get(index).context("no such balancer")?)
    }

    fn side(&self, index: usize) -> Result<&Side> {
        self.sides.get(index).context("no such balancer")
    }

    /// Whose router runs on a balancer host.
    pub fn implementation(&self, index: usize) -> Result<Implementation> {
        Ok(self.side(index)?.router)
    }

    /// Starts a balancer as the owner's file wants it: it becomes a daemon.
    pub fn start_balancer(&self, index: usize) -> Result<()> {
        let program = self.side(index)?.balancer.balancer();
        let argv = [program, "-f", HAPROXY_CFG, "-p", "/run/haproxy.pid"];
        self.lb(index)?
            .run(&argv)?
            .success()
            .context("the balancer does not start")?;
        Ok(())
    }

    /// Sends a signal to all of a balancer's processes and waits for their end.
    pub fn kill_balancer(&self, index: usize, signal: i32) -> Result<()> {
        let host = self.lb(index)?;
        host.signal_named(BALANCER_NAMES, signal)?;
        host.wait_gone(BALANCER_NAMES, PATIENCE)
    }

    /// Starts a router as Debian's unit does: in the foreground, logging in detail.
    pub fn start_router(&mut self, index: usize) -> Result<()> {
        let program = self.side(index)?.router.router();
        let task = self.lb(index)?.spawn(&[
            program,
            "--dont-fork",
            "--log-detail",
            "-f",
            KEEPALIVED_CONF,
        ])?;
        if let Some(slot) = self.routers.get_mut(index) {
            *slot = Some(task);
        }
        Ok(())
    }

    /// Sends a signal to all of a router's processes.
    pub fn signal_router(&self, index: usize, signal: i32) -> Result<()> {
        self.lb(index)?
            .signal_named(self.side(index)?.router.router_names(), signal)
    }

    /// Asks a router to stop and waits until it has.
    pub fn stop_router(&mut self, index: usize) -> Result<()> {
        // keepalived's parent stops its child itself.
        if let Some(task) = self.routers.get(index).and_then(Option::as_ref) {
            task.signal(SIGTERM)?;
            task.wait(PATIENCE)?;
        }
        self.lb(index)?
            .wait_gone(self.side(index)?.router.router_names(), PATIENCE)
    }

    /// Kills a router, all its processes at once.
    pub fn kill_router(&mut self, index: usize) -> Result<()> {
        self.signal_router(index, SIGKILL)?;
        self.lb(index)?
            .wait_gone(self.side(index)?.router.router_names(), PATIENCE)
    }

    /// The foreground process of a router, if it was started.
    pub fn router(&self, index: usize) -> Option<&Task> {
        self.routers.get(index)?.as_ref()
    }

    /// Stops a stand-in: its port refuses.
    pub fn stop_server(&mut self, index: usize) -> Result<()> {
        if let Some(task) = self.servers.get_mut(index).and_then(Option::take) {
            task.signal(SIGKILL)?;
            task.wait(PATIENCE)?;
        }
        Ok(())
    }

    /// Starts a stand-in again.
    pub fn start_server(&mut self, index: usize) -> Result<()> {
        let (host, name, _) = SERVERS.get(index).context("no such server")?;
        let task = serve(self.lab.host(host)?, name)?;
        if let Some(slot) = self.servers.get_mut(index) {
            *slot = Some(task);
        }
        Ok(())
    }

    /// A client that connects to `target` all `every`.
    pub fn client(
        &self,
        target: SocketAddr,
        every: Duration,
        count: Option<u64>,
    ) -> Result<Client> {
        let spec = ClientSpec {
            target,
            authority: "/run/lab/ca.der".into(),
            every,
            limit: Duration::from_secs(1),
            count,
        };
        Client::start(self.lab.host("client")?, &spec)
    }

    /// A client of the virtual address, 20 attempts a second.
    pub fn vip_client(&self) -> Result<Client> {
        self.client(
            SocketAddr::from((VIP, PORT)),
            Duration::from_millis(50),
            None,
        )
    }

    /// Makes one connection to a balancer's own address and says what came of it.
    pub fn poke(&self, index: usize, send: &str, then: Then) -> Result<String> {
        let target = SocketAddr::from((self.lb(index)?.spec.address, PORT));
        let spec = PokeSpec {
            target,
            send: send.to_owned(),
            then,
        };
        Ok(self
            .lab
            .host("client")?
            .spawn_job("poke", &spec)?
            .wait(PATIENCE)?
            .success()?
            .stdout)
    }

    /// Waits until a balancer answers the client on its own address.
    pub fn wait_serves(&self, index: usize) -> Result<()> {
        let address = self.lb(index)?.spec.address;
        let client = self.client(
            SocketAddr::from((address, PORT)),
            Duration::from_millis(50),
            None,
        )?;
        client.wait_answer(Moment::default(), PATIENCE)?;
        Ok(())
    }

    /// Everything that helps to understand a failure.
    pub fn evidence(&self) -> String {
        let mut text = self.owners.story(Moment::default());
        for (index, name) in LBS.iter().enumerate() {
            if let Ok(host) = self.lab.host(name) {
                text += &format!("log of {name}:\n");
                let told = host.log().messages();
                // One line a connection would hide what matters.
                for message in told
                    .iter()
                    .filter(|m| !m.text.contains("] apiserver apiserver/"))
                {
                    text += &format!("  {} {}\n", message.at, message.text);
                }
            }
            if let Some(task) = self.router(index) {
                text += &format!("output of {name}'s router: {:?}\n", task.lines());
            }
        }
        text
    }

    /// Waits until nothing of the scenario's last fault is left: lb1 alone holds the address.
    pub fn settle(&self) -> Result<Moment> {
        self.owners
            .wait_sole("lb1", MOVE)
            .with_context(|| self.evidence())
    }

    /// Waits for a gratuitous ARP of the virtual address from a balancer after `since`.
    pub fn wait_garp(&self, index: usize, since: Moment, limit: Duration) -> Result<Moment> {
        let mac = mac(self.lb(index)?.spec.address);
        wait::until(
            &format!("a gratuitous ARP from {}", self.lb(index)?.name()),
            limit,
            || {
                self.arp
                    .since(since)
                    .into_iter()
                    .find(|s| s.address == VIP && s.mac == mac)
                    .map(|s| s.at)
            },
        )
        .with_context(|| self.evidence())
    }
}

/// The hardware address of the host with this address.
pub fn mac(address: Ipv4Addr) -> String {
    let [a, b, c, d] = address.octets();
    format!("02:00:{a:02x}:{b:02x}:{c:02x}:{d:02x}")
}

fn serve(host: &Host, name: &str) -> Result<Task> {
    let spec = ApiServerSpec {
        name: name.to_owned(),
        listen: SocketAddr::from((Ipv4Addr::UNSPECIFIED, PORT)),
        certificate: "/run/lab/cert.der".into(),
        key: "/run/lab/key.der".into(),
        manner: Manner::Answer,
    };
    let task = host.spawn_job("api-server", &spec)?;
    task.wait_line("listening", PATIENCE)?;
    Ok(task)
}

fn host_specs(sides: &Sides) -> Result<Vec<HostSpec>> {
    let mut specs = Vec::new();
    for ((name, address), side) in LBS
        .iter()
        .zip([
            Ipv4Addr::new(10, 0, 254, 252),
            Ipv4Addr::new(10, 0, 254, 251),
        ])
        .zip(sides)
    {
        let mut spec = HostSpec::new(name, address);
        for (implementation, ours, original) in [
            (side.balancer, "proxyd", "haproxy"),
            (side.router, "vrrpd", "keepalived"),
        ] {
            match implementation {
                Implementation::Ours => {
                    spec.binaries.push((binaries::ours(ours)?, ours.to_owned()));
                    spec.links.push((original.to_owned(), ours.to_owned()));
                }
                Implementation::Original => {
                    binaries::original(original)?;
                }
            }
        }
        specs.push(spec);
    }
    specs.push(HostSpec::new("client", Ipv4Addr::new(10, 0, 254, 10)));
    specs.extend(
        SERVERS
            .iter()
            .map(|(host, _, address)| HostSpec::new(host, *address)),
    );
    Ok(specs)
}
