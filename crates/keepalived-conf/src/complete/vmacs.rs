//! The virtual interfaces of an instance, and their names.

use vrrp_core::settings::{Address, Instance};

use crate::draft::{AddressDraft, Family, GlobalVrrp, InstanceDraft};
use crate::model::{AddressVmacDef, VmacDef};
use crate::pass::Pass;

/// A name that nobody has: `vrrp.51`, for IPv6 then `vrrp6.51`, then `vrrp1.51` and so on.
fn name(prefix: Option<&str>, v6: bool, vrid: u8, taken: &[String]) -> Option<String> {
    let prefix = prefix.unwrap_or("vrrp");
    ["", if v6 { "6" } else { "" }]
        .into_iter()
        .map(str::to_owned)
        .chain((1_u32..).map(|number| number.to_string()))
        .map(|middle| format!("{prefix}{middle}.{vrid}"))
        .find(|name| !taken.contains(name))
}

/// RFC 9568, section 7.3.
const fn mac(v6: bool, vrid: u8) -> [u8; 6] {
    [0, 0, 0x5e, 0, if v6 { 2 } else { 1 }, vrid]
}

/// The interface that `use_vmac` asks for. `taken` are the names of others.
pub(super) fn own(
    draft: &InstanceDraft,
    global: &GlobalVrrp,
    taken: &mut Vec<String>,
) -> Option<VmacDef> {
    let vrid = draft.vrid.filter(|_| draft.use_vmac)?;
    let v6 = draft.family() == Family::V6;
    let prefix = global.vmac_prefix.as_deref();
    let name = match &draft.vmac_name {
        Some(name) => name.clone(),
        None => name(prefix, v6, vrid, taken)?,
    };
    taken.push(name.clone());
    Some(VmacDef {
        name,
        mac: draft.vmac_mac.unwrap_or(mac(v6, vrid)),
        // Unicast peers know the address of the interface below.
        xmit_base: draft.xmit_base || !draft.peers.is_empty(),
    })
}

/// The interfaces that addresses ask for, or `use_vmac_addr` for those which the instance's own
/// interface is not for. The addresses are moved there.
pub(super) fn of_addresses(
    pass: &mut Pass<'_>,
    draft: &InstanceDraft,
    settings: &mut Instance,
    taken: &mut Vec<String>,
) -> Vec<AddressVmacDef> {
    let mut made: Vec<AddressVmacDef> = Vec::new();
    let Some(vrid) = draft.vrid else {
        return made;
    };
    let global = &pass.draft.vrrp;
    let prefix = global.vmac_addr_prefix.as_deref();
    let prefix = prefix.or(global.vmac_prefix.as_deref()).map(str::to_owned);
    let mut place = |address: &mut Address, wish: &AddressDraft| {
        let v6 = address.address.is_ipv6();
        let at_home =
            address.interface == settings.interface && v6 == (draft.family() == Family::V6);
        if at_home && draft.use_vmac {
            if wish.use_vmac {
                let (name, ip, prefix) = (&draft.name, address.address, address.prefix);
                pass.complain(format!(
                    "({name}) use_vmac specified for VIP/eVIP {ip}/{prefix} and vrrp instance"
                ));
            }
            return;
        }
        if !wish.use_vmac && (at_home || !draft.vmac_addresses) {
            return;
        }
        let known = made
            .iter()
            .find(|vmac| vmac.base == address.interface && vmac.v6 == v6);
        if let Some(known) = known {
            address.interface.clone_from(&known.name);
        } else if let Some(name) = name(prefix.as_deref(), v6, vrid, taken) {
            taken.push(name.clone());
            let base = std::mem::replace(&mut address.interface, name.clone());
            made.push(AddressVmacDef {
                name,
                base,
                mac: mac(v6, vrid),
                v6,
            });
        }
    };
    let own = settings.addresses.iter_mut().zip(&draft.addresses);
    let excluded = settings.excluded.iter_mut().zip(&draft.excluded);
    for (address, wish) in own.chain(excluded) {
        place(address, wish);
    }
    made
}
