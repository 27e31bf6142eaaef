//! Log lines in keepalived's own words: scripts and people grep for them.
//! Taken down from keepalived 2.2.7, with and without `-D`.

use std::fmt;
use std::net::IpAddr;

use vrrp_proto::vrrp::DecodeError;

use crate::event::Standing;
use crate::settings::{Family, OnAdvert};
use crate::state::State;
use crate::time::Duration;

/// Whether keepalived shows a line always or only with `-D`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Detail {
    /// Always.
    Always,
    /// With `-D` (`--log-detail`) only.
    Detailed,
}

/// Syslog severity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// LOG_ERR
    Error,
    /// LOG_WARNING
    Warning,
    /// LOG_NOTICE
    Notice,
    /// LOG_INFO
    Info,
}

/// Why a router cannot take part when it starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StartFault {
    /// The interface is down.
    LinkDown {
        /// Its name.
        interface: String,
    },
    /// The interface has no address to send from.
    NoAddress(Family),
    /// The configured source address is on no interface.
    NoSource,
    /// The number in a tracked file is a fault.
    File {
        /// Name of the `track_file`.
        file: String,
        /// Number times weight; -254 without weight.
        status: i64,
    },
    /// Too few processes run, or enough where none should.
    Process {
        /// Name of the `track_process`.
        process: String,
        /// Whether the quorum is reached.
        quorum: Standing,
    },
}

/// One line of the log. Its display form is the whole text behind the ident.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogLine {
    /// What one instance has to say; its name comes first.
    Instance {
        /// Name of the instance.
        name: String,
        /// What it says.
        what: InstanceLine,
    },
    /// `Sending gratuitous ARP on eth0 for 10.0.254.253`
    GarpSent {
        /// The interface.
        interface: String,
        /// The address announced.
        address: IpAddr,
    },
    /// `Netlink reflector reports IP 10.0.254.253 removed from eth0`
    AddressRemoved {
        /// The interface.
        interface: String,
        /// The address.
        address: IpAddr,
    },
    /// `A thread timer expired 7.172512 seconds ago`
    TimerLate {
        /// How late it was.
        late: Duration,
    },
    /// `Netlink reports eth0 up`, for the driver.
    LinkUp {
        /// The interface.
        interface: String,
    },
    /// `Netlink reports eth0 down`, for the driver.
    LinkDown {
        /// The interface.
        interface: String,
    },
    /// ``Script `chk` now returning 1``, for the driver: the exit status
    /// differs from the last one.
    ScriptReturning {
        /// Name of the script.
        script: String,
        /// Its exit status.
        status: i32,
    },
    /// `VRRP_Script(chk) succeeded`, for the driver.
    ScriptSucceeded {
        /// Name of the script.
        script: String,
    },
    /// `VRRP_Script(chk) failed (exited with status 1)`, for the driver.
    ScriptFailed {
        /// Name of the script.
        script: String,
        /// What stands in the brackets.
        reason: String,
    },
    /// `VRRP_Script(chk) considered successful on reload`, for the driver.
    ScriptConsideredSuccessful {
        /// Name of the script.
        script: String,
    },
}

/// What one instance has to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InstanceLine {
    /// `Entering BACKUP STATE (init)`
    EnteringBackupInit,
    /// `Entering MASTER STATE` and the like
    Entering(State),
    /// `entering FAULT state (interface eth0 down)` and the like
    StartFault(StartFault),
    /// `entering FAULT state`
    EnteringFaultAtStart,
    /// `Changing effective priority from 103 to 101`
    Priority {
        /// Until now.
        from: u8,
        /// From now on.
        to: u8,
    },
    /// A packet was dropped.
    Dropped(DecodeError),
    /// `received lower priority (101) advert from 10.0.254.252 - discarding`
    LowerDiscarded {
        /// The sender.
        source: IpAddr,
        /// Its priority.
        priority: u8,
    },
    /// `Received advert from 10.0.254.251 with lower priority 50, ours 100,
    /// forcing new election`
    LowerReceived {
        /// The sender.
        source: IpAddr,
        /// Its priority.
        priority: u8,
        /// Ours.
        ours: u8,
        /// Whether it was answered.
        answer: OnAdvert,
    },
    /// `Master received advert from 10.0.254.252 with higher priority 103,
    /// ours 102`
    HigherReceived {
        /// The sender.
        source: IpAddr,
        /// Its priority.
        priority: u8,
        /// Ours.
        ours: u8,
    },
    /// `Master received advert from 10.0.255.1 with same priority 100 but
    /// higher IP address than ours`
    HigherAddressReceived {
        /// The sender.
        source: IpAddr,
        /// Its priority and ours.
        priority: u8,
    },
    /// `CONFIGURATION ERROR: local instance and a remote instance are both
    /// configured as address owner, please fix - reducing local priority`
    TwoOwners,
    /// `start preempt delay (2.000000)`
    PreemptDelayStarted(Duration),
    /// `stop preempt delay`
    PreemptDelayStopped,
    /// Ours: the master's priority fell below ours, which moves the address
    /// without waiting for the master to fall silent.
    MasterFell {
        /// The master.
        source: IpAddr,
        /// Its priority until now.
        from: u8,
        /// Its priority from now on.
        to: u8,
        /// Ours.
        ours: u8,
    },
    /// Ours: an advert counts although its address list is not ours.
    ListTolerated {
        /// The sender.
        source: IpAddr,
    },
    /// `advertisement interval updated from 1000ms to 2500ms by master`
    /// (version 3).
    IntervalAdopted {
        /// Until now.
        from: Duration,
        /// From now on.
        to: Duration,
    },
    /// `Setting unicast VRRPv3 checksum to old version`
    OldChecksum,
    /// `Receive advertisement timeout`
    AdvertTimeout,
    /// `setting VIPs.`
    SettingAddresses,
    /// `removing VIPs.`
    RemovingAddresses,
    /// `setting E-VIPs.`
    SettingExcluded,
    /// `removing E-VIPs.`
    RemovingExcluded,
    /// `setting Virtual Routes`
    SettingRoutes,
    /// `setting Virtual Rules`
    SettingRules,
    /// `removing Virtual Routes`
    RemovingRoutes,
    /// `removing Virtual Rules`
    RemovingRules,
    /// `tracked file tf now FAULT state`
    FileFault {
        /// Name of the `track_file`.
        file: String,
    },
    /// `tracked file tf leaving FAULT state`
    FileFaultOver {
        /// Name of the `track_file`.
        file: String,
    },
    /// `sent 0 priority`
    SentPriorityZero,
    /// `Backup received priority 0 advertisement`
    BackupReceivedPriorityZero,
    /// `Master received priority 0 message`
    MasterReceivedPriorityZero,
    /// `Sending/queueing gratuitous ARPs on eth0 for 10.0.254.253`
    GarpQueued {
        /// The interface.
        interface: String,
        /// The address announced.
        address: IpAddr,
    },
    /// `V: sending gratuitous ARP for 10.0.254.252`: our own address after the
    /// link came back.
    SourceGarp(IpAddr),
    /// `ip address 10.0.254.1/16 dev eth0, no longer exist`
    AddressNoLongerConfigured {
        /// The address.
        address: IpAddr,
        /// Its prefix length.
        prefix: u8,
        /// Its interface.
        interface: String,
    },
    /// Ours: the router did not run while its addresses expired.
    LeaseExpired {
        /// How long it was not run.
        late: Duration,
    },
    /// Ours: the router did not run, so it listens once more before it
    /// believes that the master is gone.
    ListeningAgain {
        /// How long it was not run.
        late: Duration,
    },
}

impl LogLine {
    /// Whether it needs `-D`.
    #[must_use]
    pub const fn detail(&self) -> Detail {
        match self {
            Self::Instance { what, .. } => what.detail(),
            Self::GarpSent { .. } | Self::AddressRemoved { .. } => Detail::Detailed,
            Self::TimerLate { .. }
            | Self::LinkUp { .. }
            | Self::LinkDown { .. }
            | Self::ScriptReturning { .. }
            | Self::ScriptSucceeded { .. }
            | Self::ScriptFailed { .. }
            | Self::ScriptConsideredSuccessful { .. } => Detail::Always,
        }
    }

    /// Its syslog severity. keepalived logs all of these at LOG_INFO; only
    /// what is ours stands out.
    #[must_use]
    pub const fn level(&self) -> Level {
        match self {
            Self::Instance {
                what: InstanceLine::LeaseExpired { .. } | InstanceLine::ListeningAgain { .. },
                ..
            } => Level::Warning,
            Self::Instance { .. }
            | Self::GarpSent { .. }
            | Self::AddressRemoved { .. }
            | Self::TimerLate { .. }
            | Self::LinkUp { .. }
            | Self::LinkDown { .. }
            | Self::ScriptReturning { .. }
            | Self::ScriptSucceeded { .. }
            | Self::ScriptFailed { .. }
            | Self::ScriptConsideredSuccessful { .. } => Level::Info,
        }
    }
}

impl InstanceLine {
    const fn detail(&self) -> Detail {
        match self {
            Self::EnteringBackupInit
            | Self::Entering(_)
            | Self::StartFault(_)
            | Self::EnteringFaultAtStart
            | Self::Priority { .. }
            | Self::Dropped(_)
            | Self::LowerDiscarded { .. }
            | Self::LowerReceived { .. }
            | Self::HigherReceived { .. }
            | Self::HigherAddressReceived { .. }
            | Self::TwoOwners
            | Self::OldChecksum
            | Self::MasterFell { .. }
            | Self::ListTolerated { .. }
            | Self::LeaseExpired { .. }
            | Self::ListeningAgain { .. } => Detail::Always,
            Self::PreemptDelayStarted(_)
            | Self::IntervalAdopted { .. }
            | Self::PreemptDelayStopped
            | Self::AdvertTimeout
            | Self::SettingAddresses
            | Self::RemovingAddresses
            | Self::SettingExcluded
            | Self::RemovingExcluded
            | Self::FileFault { .. }
            | Self::FileFaultOver { .. }
            | Self::SettingRoutes
            | Self::SettingRules
            | Self::RemovingRoutes
            | Self::RemovingRules
            | Self::SentPriorityZero
            | Self::BackupReceivedPriorityZero
            | Self::MasterReceivedPriorityZero
            | Self::GarpQueued { .. }
            | Self::SourceGarp(_)
            | Self::AddressNoLongerConfigured { .. } => Detail::Detailed,
        }
    }
}

impl fmt::Display for LogLine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // These do not follow the form `(name) text`.
            Self::Instance {
                what: InstanceLine::Dropped(error @ DecodeError::Truncated { .. }),
                ..
            } => {
                write!(formatter, "{error}")
            }
            Self::Instance {
                name,
                what: InstanceLine::SourceGarp(address),
            } => {
                write!(formatter, "{name}: sending gratuitous ARP for {address}")
            }
            Self::Instance {
                name,
                what:
                    what @ (InstanceLine::StartFault(
                        StartFault::LinkDown { .. }
                        | StartFault::NoSource
                        | StartFault::File { .. },
                    )
                    | InstanceLine::FileFault { .. }
                    | InstanceLine::FileFaultOver { .. }),
            } => write!(formatter, "({name}): {what}"),
            Self::Instance { name, what } => write!(formatter, "({name}) {what}"),
            Self::GarpSent { interface, address } => match address {
                IpAddr::V4(_) => write!(
                    formatter,
                    "Sending gratuitous ARP on {interface} for {address}"
                ),
                IpAddr::V6(_) => {
                    write!(
                        formatter,
                        "Sending unsolicited Neighbour Advert on {interface} for {address}"
                    )
                }
            },
            Self::AddressRemoved { interface, address } => {
                write!(
                    formatter,
                    "Netlink reflector reports IP {address} removed from {interface}"
                )
            }
            Self::TimerLate { late } => {
                write!(formatter, "A thread timer expired {late} seconds ago")
            }
            Self::LinkUp { interface } => write!(formatter, "Netlink reports {interface} up"),
            Self::LinkDown { interface } => write!(formatter, "Netlink reports {interface} down"),
            Self::ScriptReturning { script, status } => {
                write!(formatter, "Script `{script}` now returning {status}")
            }
            Self::ScriptSucceeded { script } => {
                write!(formatter, "VRRP_Script({script}) succeeded")
            }
            Self::ScriptFailed { script, reason } => {
                write!(formatter, "VRRP_Script({script}) failed ({reason})")
            }
            Self::ScriptConsideredSuccessful { script } => {
                write!(
                    formatter,
                    "VRRP_Script({script}) considered successful on reload"
                )
            }
        }
    }
}

impl fmt::Display for InstanceLine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EnteringBackupInit => write!(formatter, "Entering BACKUP STATE (init)"),
            Self::Entering(state) => write!(formatter, "Entering {state} STATE"),
            Self::StartFault(fault) => write!(formatter, "entering FAULT state ({fault})"),
            Self::EnteringFaultAtStart => write!(formatter, "entering FAULT state"),
            Self::Priority { from, to } => {
                write!(formatter, "Changing effective priority from {from} to {to}")
            }
            Self::Dropped(error) => write!(formatter, "{error}"),
            Self::LowerDiscarded { source, priority } => {
                write!(
                    formatter,
                    "received lower priority ({priority}) advert from {source} - discarding"
                )
            }
            Self::LowerReceived {
                source,
                priority,
                ours,
                answer,
            } => {
                write!(
                    formatter,
                    "Received advert from {source} with lower priority {priority}, ours {ours}"
                )?;
                match answer {
                    OnAdvert::Advertise => formatter.write_str(", forcing new election"),
                    OnAdvert::Silent => Ok(()),
                }
            }
            Self::HigherReceived {
                source,
                priority,
                ours,
            } => write!(
                formatter,
                "Master received advert from {source} with higher priority {priority}, ours {ours}"
            ),
            Self::HigherAddressReceived { source, priority } => write!(
                formatter,
                "Master received advert from {source} with same priority {priority} but higher IP \
                 address than ours"
            ),
            Self::TwoOwners => formatter.write_str(
                "CONFIGURATION ERROR: local instance and a remote instance are both configured as \
                 address owner, please fix - reducing local priority",
            ),
            Self::PreemptDelayStarted(delay) => write!(formatter, "start preempt delay ({delay})"),
            Self::PreemptDelayStopped => formatter.write_str("stop preempt delay"),
            Self::IntervalAdopted { from, to } => write!(
                formatter,
                "advertisement interval updated from {}ms to {}ms by master",
                from.as_millis(),
                to.as_millis()
            ),
            Self::MasterFell {
                source,
                from,
                to,
                ours,
            } => write!(
                formatter,
                "master {source} fell from priority {from} to {to}, ours {ours}, taking over"
            ),
            Self::ListTolerated { source } => write!(
                formatter,
                "following adverts of {source} all the same, its addresses were ours before"
            ),
            Self::OldChecksum => {
                formatter.write_str("Setting unicast VRRPv3 checksum to old version")
            }
            Self::AdvertTimeout => formatter.write_str("Receive advertisement timeout"),
            Self::SettingAddresses => formatter.write_str("setting VIPs."),
            Self::RemovingAddresses => formatter.write_str("removing VIPs."),
            Self::SettingExcluded => formatter.write_str("setting E-VIPs."),
            Self::RemovingExcluded => formatter.write_str("removing E-VIPs."),
            Self::FileFault { file } => write!(formatter, "tracked file {file} now FAULT state"),
            Self::FileFaultOver { file } => {
                write!(formatter, "tracked file {file} leaving FAULT state")
            }
            Self::SettingRoutes => formatter.write_str("setting Virtual Routes"),
            Self::SettingRules => formatter.write_str("setting Virtual Rules"),
            Self::RemovingRoutes => formatter.write_str("removing Virtual Routes"),
            Self::RemovingRules => formatter.write_str("removing Virtual Rules"),
            Self::SentPriorityZero => formatter.write_str("sent 0 priority"),
            Self::BackupReceivedPriorityZero => {
                formatter.write_str("Backup received priority 0 advertisement")
            }
            Self::MasterReceivedPriorityZero => {
                formatter.write_str("Master received priority 0 message")
            }
            Self::GarpQueued { interface, address } => match address {
                IpAddr::V4(_) => {
                    write!(
                        formatter,
                        "Sending/queueing gratuitous ARPs on {interface} for {address}"
                    )
                }
                IpAddr::V6(_) => write!(
                    formatter,
                    "Sending/queueing Unsolicited Neighbour Adverts on {interface} for {address}"
                ),
            },
            Self::SourceGarp(address) => write!(formatter, "sending gratuitous ARP for {address}"),
            Self::AddressNoLongerConfigured {
                address,
                prefix,
                interface,
            } => {
                write!(
                    formatter,
                    "ip address {address}/{prefix} dev {interface}, no longer exist"
                )
            }
            Self::LeaseExpired { late } => write!(
                formatter,
                "was not run for {late} seconds and lost its VIPs meanwhile, looking for another master"
            ),
            Self::ListeningAgain { late } => {
                write!(
                    formatter,
                    "was not run for {late} seconds, listening for a master again"
                )
            }
        }
    }
}

impl fmt::Display for StartFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LinkDown { interface } => write!(formatter, "interface {interface} down"),
            Self::NoAddress(Family::V4) => formatter.write_str("no IPv4 address for interface"),
            Self::NoAddress(Family::V6) => formatter.write_str("no IPv6 address for interface"),
            Self::NoSource => formatter.write_str("src address not configured"),
            Self::File { file, status } => {
                write!(formatter, "tracked file {file} has status {status}")
            }
            Self::Process { process, quorum } => {
                let not = match quorum {
                    Standing::Down => "not ",
                    Standing::Up | Standing::Number(_) => "",
                };
                write!(formatter, "tracked process {process} quorum {not}achieved")
            }
        }
    }
}
