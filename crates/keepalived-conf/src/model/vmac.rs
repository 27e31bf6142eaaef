//! Interfaces with a MAC address of their own.

/// `use_vmac`: a macvlan interface in private mode on top of the instance's interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VmacDef {
    /// Its name: that of `use_vmac NAME`, or made of `vmac_prefix` and the virtual router id
    /// (`vrrp.51`, `vrrp6.51`); no two instances have the same.
    pub name: String,
    /// Its MAC address: that of RFC 9568, section 7.3, unless `use_vmac` gives one.
    pub mac: [u8; 6],
    /// `vmac_xmit_base`, or unicast: adverts go out of the interface below.
    pub xmit_base: bool,
}

/// `use_vmac_addr`, or `use_vmac` of an address: one that carries addresses and no adverts, of all
/// those on one interface and of one family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressVmacDef {
    /// Its name, made of `vmac_addr_prefix` (or `vmac_prefix`) and the virtual router id.
    pub name: String,
    /// The interface it is made on.
    pub base: String,
    /// Its MAC address: that of RFC 9568, section 7.3.
    pub mac: [u8; 6],
    /// Whether it carries IPv6; IPv4 alone if not.
    pub v6: bool,
}
