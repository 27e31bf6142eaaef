//! The messages of nf_tables that are needed here (`linux/netfilter/nf_tables.h`): tables,
//! chains, sets and rules of a few expressions, in one transaction.

use std::net::IpAddr;

use crate::guard::{Guarded, Side};

/// `NFNL_SUBSYS_NFTABLES`
const SUBSYSTEM: u16 = 10;
/// `NFNL_MSG_BATCH_BEGIN`, `NFNL_MSG_BATCH_END`
const BEGIN: u16 = 16;
const END: u16 = 17;
/// `NFT_MSG_*`
const NEW_TABLE: u16 = 0;
const DELETE_TABLE: u16 = 2;
const NEW_CHAIN: u16 = 3;
const NEW_RULE: u16 = 6;
const NEW_SET: u16 = 9;
const NEW_ELEMENTS: u16 = 12;
/// `NLM_F_REQUEST`, `NLM_F_ACK`, `NLM_F_APPEND` and `NLM_F_CREATE` of linux/netlink.h
const REQUEST: u16 = 1;
const ACK: u16 = 4;
const CREATE: u16 = 0x400;
const APPEND: u16 = 0x800;
/// `NLA_F_NESTED`
const NESTED: u16 = 0x8000;
/// `NLMSG_ERROR`
const ERROR: u16 = 2;
/// `NFT_TABLE_F_OWNER`
const OWNED: u32 = 2;
/// `NFT_SET_MAP`
const MAP: u32 = 8;
/// Elements in one message: a netlink attribute has at most 65,535 bytes.
const ELEMENTS: usize = 500;
/// `NFT_REG_1` and `NFT_REG_2`, which follow one another, 16 bytes each.
const FIRST: u32 = 1;
const SECOND: u32 = 2;
/// Types of set keys, as nft(8) numbers them; the kernel only keeps them for it.
const IPV4_ADDRESS: u32 = 7;
const IPV6_ADDRESS: u32 = 8;
const LINK_INDEX: u32 = 20;
const LINK_NAME: u32 = 41;
/// Bits of one type in the type of a concatenation.
const TYPE_BITS: u32 = 6;
/// `IFNAMSIZ`
const NAME_SIZE: usize = 16;
/// `IPPROTO_IGMP`, `IPPROTO_ICMPV6`
const IGMP: u8 = 2;
const ICMPV6: u8 = 58;
/// ICMPv6 types: RFC 4861 sections 4.1, 4.3 and 4.4, RFC 3810 section 5.2.
const ROUTER_SOLICITATION: u8 = 133;
const NEIGHBOUR_SOLICITATION: u8 = 135;
const NEIGHBOUR_ADVERTISEMENT: u8 = 136;
const LISTENER_REPORT: u8 = 143;

/// What a table is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    V4,
    V6,
}

impl Family {
    /// `NFPROTO_*`
    const fn number(self) -> u8 {
        match self {
            Self::V4 => 2,
            Self::V6 => 10,
        }
    }

    const fn address_length(self) -> u32 {
        match self {
            Self::V4 => 4,
            Self::V6 => 16,
        }
    }

    /// Where a header has its source and its destination.
    const fn offset(self, destination: bool) -> u32 {
        match (self, destination) {
            (Self::V4, false) => 12,
            (Self::V4, true) => 16,
            (Self::V6, false) => 8,
            (Self::V6, true) => 24,
        }
    }
}

/// Where a chain hangs: `NF_INET_LOCAL_IN`, `NF_INET_LOCAL_OUT`.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Hook {
    In = 1,
    Out = 3,
}

/// A set of constants, or a map.
#[derive(Debug)]
pub(crate) struct Set {
    name: &'static str,
    key_type: u32,
    key_length: u32,
    /// Keys, and values for a map.
    elements: Vec<(Vec<u8>, Option<[u8; 4]>)>,
}

impl Set {
    pub(crate) fn addresses(name: &'static str, family: Family, addresses: &[IpAddr]) -> Self {
        let elements = addresses.iter().map(|address| (octets(*address), None));
        Self {
            name,
            key_type: match family {
                Family::V4 => IPV4_ADDRESS,
                Family::V6 => IPV6_ADDRESS,
            },
            key_length: family.address_length(),
            elements: elements.collect(),
        }
    }

    /// IPv6 addresses, each with its link: by name or by index.
    pub(crate) fn addresses_on_links(
        name: &'static str,
        by_name: bool,
        guarded: &[&Guarded],
    ) -> Self {
        let key = |one: &&Guarded| {
            let mut key = octets(one.address);
            match &one.link {
                Some(Side::Name(name)) => {
                    let mut padded = name.clone().into_bytes();
                    padded.resize(NAME_SIZE, 0);
                    key.extend(padded);
                }
                Some(Side::Index(index)) => key.extend(index.to_ne_bytes()),
                None => {}
            }
            (key, None)
        };
        let (link, length) = match by_name {
            true => (LINK_NAME, 16),
            false => (LINK_INDEX, 4),
        };
        Self {
            name,
            key_type: IPV6_ADDRESS << TYPE_BITS | link,
            key_length: 16 + length,
            elements: guarded.iter().map(key).collect(),
        }
    }

    pub(crate) fn links(name: &'static str, indexes: Vec<Vec<u8>>) -> Self {
        Self {
            name,
            key_type: LINK_INDEX,
            key_length: 4,
            elements: indexes.into_iter().map(|index| (index, None)).collect(),
        }
    }

    pub(crate) fn link_map(name: &'static str, pairs: Vec<([u8; 4], [u8; 4])>) -> Self {
        let elements = pairs.into_iter();
        Self {
            name,
            key_type: LINK_INDEX,
            key_length: 4,
            elements: elements
                .map(|(key, value)| (key.to_vec(), Some(value)))
                .collect(),
        }
    }

    /// For nft(8), which would show indexes turned round: keys and values are in this host's
    /// order (`NFTNL_UDATA_SET_KEYBYTEORDER`, `..._DATABYTEORDER`).
    fn byte_orders(&self) -> Vec<u8> {
        let host = 1_u32.to_ne_bytes();
        let of_keys = [[0, 4].as_slice(), &host].concat();
        let of_values = [[1, 4].as_slice(), &host].concat();
        if self.is_map() {
            [of_keys, of_values].concat()
        } else {
            of_keys
        }
    }

    fn is_map(&self) -> bool {
        self.elements.iter().any(|(_, value)| value.is_some())
    }
}

/// One expression of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Expression {
    /// Puts bytes of the packet into a register: from the network header or the one after.
    Load {
        register: u32,
        transport: bool,
        offset: u32,
        length: u32,
    },
    /// Puts a fact about the packet into a register (`NFT_META_*`).
    Meta { register: u32, key: u32 },
    /// Goes on if the register compares so (`NFT_CMP_*`) with a value.
    Compare {
        register: u32,
        how: u32,
        value: Vec<u8>,
    },
    /// Goes on if a set has the key in the register; of a map the value goes to `into`.
    Lookup {
        register: u32,
        set: &'static str,
        into: Option<u32>,
    },
    /// Sends a copy to the address in a register over the link in another.
    Copy { address: u32, link: u32 },
    /// Counts packets and bytes.
    Counter,
    /// Ends with that verdict.
    Accept,
    /// Likewise.
    Drop,
}

/// `NFT_META_*`
mod meta {
    pub(super) const IIF: u32 = 4;
    pub(super) const OIF: u32 = 5;
    pub(super) const IIF_NAME: u32 = 6;
    pub(super) const OIF_NAME: u32 = 7;
    pub(super) const PROTOCOL: u32 = 16;
    pub(super) const OIF_KIND: u32 = 27;
}

/// `NFT_CMP_EQ`, `NFT_CMP_LTE`, `NFT_CMP_GTE`
const EQUAL: u32 = 0;
const AT_MOST: u32 = 3;
const AT_LEAST: u32 = 5;

impl Expression {
    fn protocol_is(protocol: u8) -> Vec<Self> {
        vec![
            Self::Meta {
                register: FIRST,
                key: meta::PROTOCOL,
            },
            Self::Compare {
                register: FIRST,
                how: EQUAL,
                value: vec![protocol],
            },
        ]
    }

    fn icmpv6_is(first: u8, last: u8) -> Vec<Self> {
        let mut tests = Self::protocol_is(ICMPV6);
        tests.push(Self::Load {
            register: FIRST,
            transport: true,
            offset: 0,
            length: 1,
        });
        let compare = |how, value| Self::Compare {
            register: FIRST,
            how,
            value: vec![value],
        };
        if first == last {
            tests.push(compare(EQUAL, first));
        } else {
            tests.extend([compare(AT_LEAST, first), compare(AT_MOST, last)]);
        }
        tests
    }

    pub(crate) fn is_neighbour_discovery() -> Vec<Self> {
        Self::icmpv6_is(NEIGHBOUR_SOLICITATION, NEIGHBOUR_ADVERTISEMENT)
    }

    pub(crate) fn is_router_solicitation() -> Vec<Self> {
        Self::icmpv6_is(ROUTER_SOLICITATION, ROUTER_SOLICITATION)
    }

    /// A report of group membership: IGMP, MLDv2.
    pub(crate) fn is_report(family: Family) -> Vec<Self> {
        match family {
            Family::V4 => Self::protocol_is(IGMP),
            Family::V6 => Self::icmpv6_is(LISTENER_REPORT, LISTENER_REPORT),
        }
    }

    pub(crate) fn goes_out_over_macvlan() -> Vec<Self> {
        let mut kind = b"macvlan".to_vec();
        kind.resize(NAME_SIZE, 0);
        vec![
            Self::Meta {
                register: FIRST,
                key: meta::OIF_KIND,
            },
            Self::Compare {
                register: FIRST,
                how: EQUAL,
                value: kind,
            },
        ]
    }

    pub(crate) fn goes_out_over(set: &Set) -> Vec<Self> {
        vec![
            Self::Meta {
                register: FIRST,
                key: meta::OIF,
            },
            Self::Lookup {
                register: FIRST,
                set: set.name,
                into: None,
            },
        ]
    }

    /// Sends it again over the link that `map` has for its own.
    pub(crate) fn again_over_base(family: Family, map: &Set) -> Vec<Self> {
        vec![
            Self::Load {
                register: FIRST,
                transport: false,
                offset: family.offset(true),
                length: family.address_length(),
            },
            Self::Meta {
                register: SECOND,
                key: meta::OIF,
            },
            Self::Lookup {
                register: SECOND,
                set: map.name,
                into: Some(SECOND),
            },
            Self::Copy {
                address: FIRST,
                link: SECOND,
            },
        ]
    }

    /// The packet's destination (its source on the way out) is in `set`, alone or with its
    /// link: by name or by index.
    pub(crate) fn address_is_in(
        family: Family,
        inwards: bool,
        with_link: Option<bool>,
        set: &Set,
    ) -> Vec<Self> {
        let mut tests = vec![Self::Load {
            register: FIRST,
            transport: false,
            offset: family.offset(inwards),
            length: family.address_length(),
        }];
        if let Some(by_name) = with_link {
            tests.push(Self::Meta {
                register: SECOND,
                key: match (by_name, inwards) {
                    (true, true) => meta::IIF_NAME,
                    (true, false) => meta::OIF_NAME,
                    (false, true) => meta::IIF,
                    (false, false) => meta::OIF,
                },
            });
        }
        tests.push(Self::Lookup {
            register: FIRST,
            set: set.name,
            into: None,
        });
        tests
    }

    fn write(&self, out: &mut Attributes) {
        let name = match self {
            Self::Load { .. } => "payload",
            Self::Meta { .. } => "meta",
            Self::Compare { .. } => "cmp",
            Self::Lookup { .. } => "lookup",
            Self::Copy { .. } => "dup",
            Self::Counter => "counter",
            Self::Accept | Self::Drop => "immediate",
        };
        out.text(1, name);
        out.nest(2, |out| match self {
            Self::Load {
                register,
                transport,
                offset,
                length,
            } => {
                // `NFT_PAYLOAD_NETWORK_HEADER`, `NFT_PAYLOAD_TRANSPORT_HEADER`
                let base = if *transport { 2 } else { 1 };
                for (kind, value) in (1..).zip([*register, base, *offset, *length]) {
                    out.number(kind, value);
                }
            }
            Self::Meta { register, key } => {
                out.number(1, *register);
                out.number(2, *key);
            }
            Self::Compare {
                register,
                how,
                value,
            } => {
                out.number(1, *register);
                out.number(2, *how);
                out.nest(3, |out| out.bytes(1, value));
            }
            Self::Lookup {
                register,
                set,
                into,
            } => {
                out.text(1, set);
                out.number(2, *register);
                if let Some(into) = into {
                    out.number(3, *into);
                }
            }
            Self::Copy { address, link } => {
                out.number(1, *address);
                out.number(2, *link);
            }
            Self::Counter => {}
            Self::Accept | Self::Drop => {
                // The register of verdicts, `NF_ACCEPT` and `NF_DROP`.
                out.number(1, 0);
                let verdict = u32::from(*self == Self::Accept);
                out.nest(2, |out| out.nest(2, |out| out.number(1, verdict)));
            }
        });
    }
}

/// Messages that are carried out all together or not at all.
#[derive(Debug)]
pub(crate) struct Batch {
    bytes: Vec<u8>,
    /// Where the last message begins.
    last: Option<usize>,
}

impl Batch {
    pub(crate) fn new() -> Self {
        let mut batch = Self {
            bytes: Vec::new(),
            last: None,
        };
        batch.edge(BEGIN);
        batch
    }

    /// Whether it changes nothing.
    pub(crate) const fn is_empty(&self) -> bool {
        self.last.is_none()
    }

    /// The bytes to send. The last message of the transaction is answered in any case.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        let flags = self.last.map(|start| start + 6..start + 8);
        if let Some(flags) = flags.and_then(|range| self.bytes.get_mut(range))
            && let Ok(old) = <[u8; 2]>::try_from(&*flags)
        {
            flags.copy_from_slice(&(u16::from_ne_bytes(old) | ACK).to_ne_bytes());
        }
        self.edge(END);
        self.bytes
    }

    pub(crate) fn add_table(&mut self, family: Family, name: &str, owned: bool) {
        self.message(NEW_TABLE, CREATE, family, |out| {
            out.text(1, name);
            if owned {
                out.number(2, OWNED);
            }
        });
    }

    pub(crate) fn remove_table(&mut self, family: Family, name: &str) {
        self.message(DELETE_TABLE, 0, family, |out| out.text(1, name));
    }

    /// A chain of filters that accepts what none of them dropped.
    pub(crate) fn add_chain(
        &mut self,
        family: Family,
        table: &str,
        name: &str,
        hook: Hook,
        priority: i32,
    ) {
        self.message(NEW_CHAIN, CREATE, family, |out| {
            out.text(1, table);
            out.text(3, name);
            out.nest(4, |out| {
                out.number(1, hook as u32);
                out.number(2, priority.cast_unsigned());
            });
            out.text(7, "filter");
        });
    }

    pub(crate) fn add_set(&mut self, family: Family, table: &str, set: &Set) {
        self.message(NEW_SET, CREATE, family, |out| {
            out.text(1, table);
            out.text(2, set.name);
            if set.is_map() {
                out.number(3, MAP);
            }
            out.number(4, set.key_type);
            out.number(5, set.key_length);
            if set.is_map() {
                out.number(6, LINK_INDEX);
                out.number(7, 4);
            }
            // Only sets without a name are told apart by their number.
            out.number(10, 1);
            if set.key_type == LINK_INDEX {
                out.bytes(13, &set.byte_orders());
            }
        });
        for some in set.elements.chunks(ELEMENTS) {
            self.message(NEW_ELEMENTS, CREATE, family, |out| {
                out.text(1, table);
                out.text(2, set.name);
                out.nest(3, |out| {
                    for (key, value) in some {
                        out.nest(1, |out| {
                            out.nest(1, |out| out.bytes(1, key));
                            if let Some(value) = value {
                                out.nest(2, |out| out.bytes(1, value));
                            }
                        });
                    }
                });
            });
        }
    }

    pub(crate) fn add_rule(
        &mut self,
        family: Family,
        table: &str,
        chain: &str,
        expressions: &[Expression],
    ) {
        self.message(NEW_RULE, CREATE | APPEND, family, |out| {
            out.text(1, table);
            out.text(2, chain);
            out.nest(4, |out| {
                for expression in expressions {
                    out.nest(1, |out| expression.write(out));
                }
            });
        });
    }

    /// The first or the last message.
    fn edge(&mut self, kind: u16) {
        self.header(kind, 0, 0, SUBSYSTEM, |_| {});
    }

    fn message(
        &mut self,
        kind: u16,
        flags: u16,
        family: Family,
        content: impl FnOnce(&mut Attributes),
    ) {
        self.last = Some(self.bytes.len());
        let kind = SUBSYSTEM << 8 | kind;
        self.header(kind, flags, family.number(), 0, content);
    }

    fn header(
        &mut self,
        kind: u16,
        flags: u16,
        family: u8,
        resource: u16,
        content: impl FnOnce(&mut Attributes),
    ) {
        let mut attributes = Attributes(Vec::new());
        content(&mut attributes);
        let length = u32::try_from(20 + attributes.0.len()).unwrap_or(u32::MAX);
        self.bytes.extend(length.to_ne_bytes());
        self.bytes.extend(kind.to_ne_bytes());
        self.bytes.extend((flags | REQUEST).to_ne_bytes());
        // Sequence number and port: answers are not told apart.
        self.bytes.extend([0; 8]);
        self.bytes.extend([family, 0]);
        self.bytes.extend(resource.to_be_bytes());
        self.bytes.extend(attributes.0);
    }
}

/// Attributes of netlink, each padded to four bytes. Numbers of nf_tables are big-endian.
struct Attributes(Vec<u8>);

impl Attributes {
    fn bytes(&mut self, kind: u16, value: &[u8]) {
        // Nothing that is written here is anywhere near that long.
        let length = u16::try_from(4 + value.len()).unwrap_or(u16::MAX);
        self.0.extend(length.to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }

    fn number(&mut self, kind: u16, value: u32) {
        self.bytes(kind, &value.to_be_bytes());
    }

    fn text(&mut self, kind: u16, value: &str) {
        self.bytes(kind, &[value.as_bytes(), &[0]].concat());
    }

    fn nest(&mut self, kind: u16, content: impl FnOnce(&mut Self)) {
        let mut inner = Self(Vec::new());
        content(&mut inner);
        self.bytes(NESTED | kind, &inner.0);
    }
}

/// Why the kernel refused, if these answers of its say so: an `errno`.
pub(crate) fn refusal(answers: &[u8]) -> Option<i32> {
    let mut rest = answers;
    loop {
        let length = u32::from_ne_bytes(rest.get(..4)?.try_into().ok()?);
        let kind = u16::from_ne_bytes(rest.get(4..6)?.try_into().ok()?);
        let code = rest
            .get(16..20)
            .and_then(|bytes| bytes.try_into().ok())
            .map(i32::from_ne_bytes);
        if let (ERROR, Some(code)) = (kind, code)
            && code != 0
        {
            return Some(code.saturating_neg());
        }
        let length = usize::try_from(length).ok()?.max(16).next_multiple_of(4);
        rest = rest.get(length..)?;
    }
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}
