//! Making and removing virtual interfaces, and the settings of the host they need.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use futures_util::TryStreamExt as _;
use netlink_packet_route::link::{
    InfoData, InfoMacVlan, LinkAttribute, LinkInfo, LinkMessage, MacVlanMode,
};
use rtnetlink::{LinkHandle, LinkMacVlan, LinkUnspec};

use crate::kernel::Error;
use crate::model::Macvlan;

/// `ENODEV`: there is no such link.
const GONE: i32 = 19;
/// `EEXIST`: another link has the name.
const EXISTS: i32 = 17;

/// What was made, and what the host's settings were before.
#[derive(Debug, Default)]
pub(crate) struct Workshop {
    /// The bases of all links made, with the name of each link.
    users: BTreeSet<(String, String)>,
    /// Settings changed beside the links themselves, as they were.
    before: BTreeMap<PathBuf, String>,
}

impl Workshop {
    pub(crate) async fn make(&mut self, handle: LinkHandle, link: &Macvlan) -> Result<(), Error> {
        let Some(base) = index_of(&handle, &link.base).await? else {
            return Err(Error::NoLink(link.base.clone()));
        };
        // One that a killed daemon left behind may be on another base or have another
        // hardware address. Any other link is somebody's own.
        if let Some(found) = named(&handle, &link.name).await? {
            if !is_private_macvlan(&found) {
                return Err(Error::Kernel(EXISTS));
            }
            let index = found.header.index;
            handle.del(index).execute().await.map_err(error)?;
        }
        let message = LinkMacVlan::new(&link.name, base, MacVlanMode::Private)
            .address(link.mac.to_vec())
            .build();
        handle.add(message).execute().await.map_err(error)?;
        self.configure(link)?;
        let up = LinkUnspec::new_with_name(&link.name).up().build();
        handle.set(up).execute().await.map_err(error)
    }

    pub(crate) async fn remove(&mut self, handle: LinkHandle, link: &Macvlan) -> Result<(), Error> {
        self.users.remove(&(link.base.clone(), link.name.clone()));
        self.restore(link);
        let Some(index) = index_of(&handle, &link.name).await? else {
            return Ok(());
        };
        match handle.del(index).execute().await.map_err(error) {
            Err(Error::Kernel(GONE)) => Ok(()),
            result => result,
        }
    }

    /// As keepalived sets them (measured with 2.2.7): the link answers for its own
    /// addresses alone, hears packets that come from addresses of this host, and makes
    /// itself no address.
    fn configure(&mut self, link: &Macvlan) -> Result<(), Error> {
        let own =
            |family: &str, key: &str, value: &str| write(&setting(family, &link.name, key), value);
        own("ipv4", "arp_ignore", "1")?;
        own("ipv4", "accept_local", "1")?;
        own("ipv4", "rp_filter", "0")?;
        own("ipv4", "promote_secondaries", "1")?;
        // A kernel without IPv6 has none of these.
        let v6 = if link.v6 { "0" } else { "1" };
        let _ = own("ipv6", "addr_gen_mode", "1");
        let _ = own("ipv6", "accept_ra", "0");
        let _ = own("ipv6", "disable_ipv6", v6);
        // The base must not answer for the addresses of the link.
        self.change(setting("ipv4", &link.base, "arp_ignore"), "1");
        self.change(setting("ipv4", &link.base, "arp_filter"), "1");
        self.users.insert((link.base.clone(), link.name.clone()));
        Ok(())
    }

    fn change(&mut self, path: PathBuf, value: &str) {
        let Ok(old) = fs::read_to_string(&path) else {
            return;
        };
        if old.trim() != value && write(&path, value).is_ok() {
            self.before.entry(path).or_insert(old);
        }
    }

    /// What no other link needs any more is as it was.
    fn restore(&mut self, link: &Macvlan) {
        let base_is_free = !self.users.iter().any(|(base, _)| *base == link.base);
        let none = self.users.is_empty();
        let of_base = PathBuf::from("/proc/sys/net/ipv4/conf").join(&link.base);
        self.before.retain(|path, old| {
            let done = none || (base_is_free && path.starts_with(&of_base));
            if done {
                // The base may be gone, and its settings with it.
                let _ = write(path, old.trim());
            }
            !done
        });
    }
}

fn setting(family: &str, interface: &str, key: &str) -> PathBuf {
    PathBuf::from("/proc/sys/net")
        .join(family)
        .join("conf")
        .join(interface)
        .join(key)
}

fn write(path: &PathBuf, value: &str) -> Result<(), Error> {
    fs::write(path, value).map_err(|error| Error::Setting(format!("{}: {error}", path.display())))
}

/// The index of the link of that name; `None` if there is none.
async fn index_of(handle: &LinkHandle, name: &str) -> Result<Option<u32>, Error> {
    let found = named(handle, name).await?;
    Ok(found.map(|message| message.header.index))
}

/// The link of that name; `None` if there is none.
async fn named(handle: &LinkHandle, name: &str) -> Result<Option<LinkMessage>, Error> {
    let mut links = handle.get().match_name(name.to_owned()).execute();
    match links.try_next().await.map_err(error) {
        Ok(found) => Ok(found.filter(|message| {
            let mut attributes = message.attributes.iter();
            attributes
                .any(|attribute| matches!(attribute, LinkAttribute::IfName(found) if found == name))
        })),
        Err(Error::Kernel(GONE)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether it is a link as [`Workshop::make`] makes them.
fn is_private_macvlan(message: &LinkMessage) -> bool {
    let infos = message
        .attributes
        .iter()
        .filter_map(|attribute| match attribute {
            LinkAttribute::LinkInfo(infos) => Some(infos),
            _ => None,
        });
    let private = InfoMacVlan::Mode(MacVlanMode::Private);
    infos.flatten().any(
        |info| matches!(info, LinkInfo::Data(InfoData::MacVlan(data)) if data.contains(&private)),
    )
}

fn error(error: rtnetlink::Error) -> Error {
    match error {
        rtnetlink::Error::NetlinkError(message) => Error::Kernel(-message.raw_code()),
        error => Error::Connection(error.to_string()),
    }
}
