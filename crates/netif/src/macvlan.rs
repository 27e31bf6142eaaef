//! Making and removing virtual interfaces, and the settings of the host they need.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use futures_util::TryStreamExt as _;
use netlink_packet_route::link::{
    InfoData, InfoMacVlan, LinkAttribute, LinkInfo, LinkMessage, MacVlanMode,
};
use rtnetlink::{LinkHandle, LinkMacVlan, LinkUnspec};

use crate::kernel::Error;
use crate::model::Macvlan;
use crate::warden::{Ward, Warden};

/// `ENODEV`: there is no such link.
const GONE: i32 = 19;
/// `EEXIST`: another link has the name.
const EXISTS: i32 = 17;

/// What was made, and what the host's settings were before.
#[derive(Debug, Default)]
pub(crate) struct Workshop {
    /// The base of each link made, by the link's name, and what the warden knows it by.
    links: BTreeMap<String, (String, Option<Ward>)>,
    /// Settings changed beside the links themselves, as they were.
    before: BTreeMap<PathBuf, String>,
    /// `promote_secondaries` of the interfaces that have it for now, as it was.
    promoted: BTreeMap<PathBuf, String>,
}

impl Workshop {
    /// A link given to `warden` goes with the daemon.
    pub(crate) async fn make(
        &mut self,
        handle: LinkHandle,
        link: &Macvlan,
        mut warden: Option<&mut Warden>,
    ) -> Result<(), Error> {
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
        let index = index_of(&handle, &link.name).await?;
        let ward = index.map(Ward::Link);
        let old = self.links.get_mut(&link.name);
        if let Some(warden) = &mut warden {
            if let Some(gone) = old.and_then(|(_, ward)| ward.take()) {
                warden.release(&gone);
            }
            if let Some(ward) = &ward {
                warden.entrust(ward.clone());
            }
        }
        let ward = ward.filter(|_| warden.is_some());
        self.links
            .insert(link.name.clone(), (link.base.clone(), ward));
        self.configure(link, warden)?;
        let up = LinkUnspec::new_with_name(&link.name).up().build();
        handle.set(up).execute().await.map_err(error)
    }

    pub(crate) async fn remove(
        &mut self,
        handle: LinkHandle,
        link: &Macvlan,
        warden: &mut Warden,
    ) -> Result<(), Error> {
        let known = self.links.remove(&link.name);
        self.restore(link, warden);
        let removed = match index_of(&handle, &link.name).await? {
            Some(index) => handle.del(index).execute().await.map_err(error),
            None => Ok(()),
        };
        if let Some(ward) = known.and_then(|(_, ward)| ward) {
            warden.release(&ward);
        }
        match removed {
            Err(Error::Kernel(GONE)) => Ok(()),
            result => result,
        }
    }

    /// As keepalived sets them (measured with 2.2.7): the link answers for its own
    /// addresses alone, hears packets that come from addresses of this host, and makes
    /// itself no address.
    fn configure(&mut self, link: &Macvlan, mut warden: Option<&mut Warden>) -> Result<(), Error> {
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
        for key in ["arp_ignore", "arp_filter"] {
            let path = setting("ipv4", &link.base, key);
            self.change(path, "1", warden.as_deref_mut());
        }
        Ok(())
    }

    /// Sets `promote_secondaries` on these interfaces alone; a link that was made anew has
    /// lost it.
    pub(crate) fn promote(&mut self, interfaces: &BTreeSet<String>) {
        let path = |interface: &String| setting("ipv4", interface, "promote_secondaries");
        let wanted: BTreeSet<PathBuf> = interfaces.iter().map(path).collect();
        self.promoted.retain(|path, old| {
            let stays = wanted.contains(path);
            if !stays {
                // The interface may be gone, and its settings with it.
                let _ = write(path, old);
            }
            stays
        });
        for path in wanted {
            let Ok(old) = fs::read_to_string(&path) else {
                continue;
            };
            let old = old.trim().to_owned();
            if old != "1" && write(&path, "1").is_ok() {
                self.promoted.entry(path).or_insert(old);
            }
        }
    }

    fn change(&mut self, path: PathBuf, value: &str, warden: Option<&mut Warden>) {
        let Ok(old) = fs::read_to_string(&path) else {
            return;
        };
        let old = old.trim().to_owned();
        if old != value && write(&path, value).is_ok() {
            if let Some(warden) = warden {
                warden.entrust(as_before(&path, &old));
            }
            self.before.entry(path).or_insert(old);
        }
    }

    /// What no other link needs any more is as it was.
    fn restore(&mut self, link: &Macvlan, warden: &mut Warden) {
        let base_is_free = !self.links.values().any(|(base, _)| *base == link.base);
        let none = self.links.is_empty();
        let of_base = PathBuf::from("/proc/sys/net/ipv4/conf").join(&link.base);
        self.before.retain(|path, old| {
            let done = none || (base_is_free && path.starts_with(&of_base));
            if done {
                // The base may be gone, and its settings with it.
                let _ = write(path, old);
                warden.release(&as_before(path, old));
            }
            !done
        });
    }
}

fn as_before(path: &Path, value: &str) -> Ward {
    Ward::Setting {
        path: path.to_owned(),
        value: value.to_owned(),
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
