//! Two hosts on one wire with a router's file each, and what lies in their kernels: addresses,
//! routes, rules, what is dropped.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use nix::libc::SIGTERM;

use crate::host::{Host, HostSpec};
use crate::lab::Lab;
use crate::pair::Implementation;
pub use crate::pair::KEEPALIVED_CONF as CONF;
use crate::protocol::Ending;
use crate::task::Task;
use crate::{binaries, wait};

/// How long anything may take.
pub const LIMIT: Duration = Duration::from_secs(20);
/// The virtual address of [`conf`].
pub const VIP: &str = "10.0.254.100";

/// Two hosts, `r1` and `r2`, on one wire; a router may run on each.
#[derive(Debug)]
pub struct Ground {
    /// The hosts.
    pub lab: Lab,
    /// The routers in the order of their start.
    pub routers: Vec<Task>,
}

impl Ground {
    /// Makes the hosts; no router runs yet.
    pub fn new() -> Result<Self> {
        let mut specs = Vec::new();
        for (name, last) in [("r1", 1), ("r2", 2)] {
            let mut spec = HostSpec::new(name, Ipv4Addr::new(10, 0, 254, last));
            spec.binaries = vec![(binaries::ours("vrrpd")?, "vrrpd".to_owned())];
            specs.push(spec);
        }
        let lab = Lab::start(&specs)?;
        let routers = Vec::new();
        Ok(Self { lab, routers })
    }

    /// A host.
    pub fn host(&self, name: &str) -> Result<&Host> {
        self.lab.host(name)
    }

    /// Starts a router with this file.
    pub fn start(&mut self, name: &str, whose: Implementation, text: &str) -> Result<()> {
        self.start_with(name, whose, &[], text)
    }

    /// The same with further arguments.
    pub fn start_with(
        &mut self,
        name: &str,
        whose: Implementation,
        further: &[&str],
        text: &str,
    ) -> Result<()> {
        let host = self.lab.host(name)?;
        host.write(CONF, text)?;
        let mut arguments = vec![whose.router(), "--dont-fork", "-P", "-D", "-f", CONF];
        arguments.extend(further);
        let router = host.spawn(&arguments)?;
        self.routers.push(router);
        Ok(())
    }

    /// Asks the router that was started first to stop and waits until it has.
    pub fn stop(&mut self) -> Result<()> {
        if self.routers.is_empty() {
            bail!("no router runs");
        }
        let router = self.routers.remove(0);
        router.signal(SIGTERM)?;
        router.wait(LIMIT)?;
        Ok(())
    }

    /// Waits until what `ip` shows on a host has each of these texts, or none of them.
    pub fn wait(&self, name: &str, texts: &[&str], there: bool) -> Result<()> {
        let host = self.lab.host(name)?;
        wait::until_ok(&format!("{texts:?} on {name}: {there}"), LIMIT, || {
            let shown = shown(host)?;
            let right = texts.iter().all(|text| shown.contains(text) == there);
            Ok(right.then_some(()))
        })
        .with_context(|| format!("{:?}", host.log().messages()))
        .with_context(|| shown(host).unwrap_or_default())
    }
}

/// Addresses, routes and rules of a host.
pub fn shown(host: &Host) -> Result<String> {
    let mut shown = String::new();
    for what in [
        &["ip", "-o", "address"][..],
        &["ip", "route", "show", "table", "all"],
        &["ip", "rule"],
    ] {
        shown += &host.run(what)?.success()?.stdout;
    }
    Ok(shown)
}

/// A file with one instance; `before` stands at its root, `inside` in the instance.
pub fn conf(priority: u8, before: &str, inside: &str) -> String {
    format!(
        "global_defs {{
    router_id LAB
}}
{before}
vrrp_instance V1 {{
    interface ens160
    virtual_router_id 51
    priority {priority}
    advert_int 1
    virtual_ipaddress {{
        {VIP}/32
    }}
{inside}
}}
"
    )
}

/// What becomes of a connection to a port of an address where nobody listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Its host says that nobody listens.
    Refusal,
    /// Nothing comes back.
    Nothing,
}

/// Connects from a host to an address; a link-local one needs `%interface`.
pub fn answer(host: &Host, address: &str) -> Result<Answer> {
    let connect = format!("</dev/tcp/{address}/9");
    let output = host.run(&["timeout", "1", "bash", "-c", &connect])?;
    match output.ending {
        Ending::Code(124) => Ok(Answer::Nothing),
        Ending::Code(1) => Ok(Answer::Refusal),
        ending => bail!("{ending:?}: {}", output.stderr),
    }
}
