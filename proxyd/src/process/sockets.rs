//! Sockets that listen, and those that an earlier start left behind.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use haproxy_cfg::model::{Bind, BindAddr, StatsSocket, V6Only};

use crate::control::{Bound, BoundListener, BoundStats};

/// What makes two sockets interchangeable: the address and all that is fixed
/// when it is bound.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key(pub(crate) Vec<u8>);

impl Key {
    pub(crate) fn of_bind(bind: &Bind) -> Self {
        let interface = bind.interface.as_ref().map(String::as_bytes);
        Self::of(&bind.addr, bind.transparent, interface)
    }

    pub(crate) fn of_stats(socket: &StatsSocket) -> Self {
        Self::of(&socket.addr, false, None)
    }

    pub(crate) fn of(address: &BindAddr, transparent: bool, interface: Option<&[u8]>) -> Self {
        let mut key = Vec::new();
        match address {
            BindAddr::Inet { addr, v6only } => {
                key.extend_from_slice(format!("inet {addr}").as_bytes());
                if *v6only == V6Only::On {
                    key.extend_from_slice(b" v6only");
                }
            }
            BindAddr::Unix(path) => {
                key.extend_from_slice(b"unix ");
                key.extend_from_slice(path.as_os_str().as_encoded_bytes());
            }
            BindAddr::Abns(name) => {
                key.extend_from_slice(b"abns ");
                key.extend_from_slice(name);
            }
            BindAddr::Fd(number) => key.extend_from_slice(format!("fd {number}").as_bytes()),
        }
        if transparent {
            key.extend_from_slice(b" transparent");
        }
        if let Some(interface) = interface {
            key.extend_from_slice(b" interface ");
            key.extend_from_slice(interface);
        }
        Self(key)
    }
}

/// Listening sockets of an earlier image of this program, or of the process that
/// this one replaces, not yet in use.
#[derive(Debug, Default)]
pub(crate) struct Inherited {
    waiting: BTreeMap<Key, VecDeque<OwnedFd>>,
}

impl Inherited {
    /// Takes over the descriptors of this list that are really open.
    pub(crate) fn adopt(list: &[(RawFd, Key)]) -> Self {
        let mut inherited = Self::default();
        for (number, key) in list {
            if let Ok(fd) = osys::fd::adopt(*number) {
                inherited.add(key.clone(), fd);
            }
        }
        inherited
    }

    pub(crate) fn take(&mut self, key: &Key) -> Option<OwnedFd> {
        self.waiting.get_mut(key)?.pop_front()
    }

    pub(crate) fn add(&mut self, key: Key, fd: OwnedFd) {
        self.waiting.entry(key).or_default().push_back(fd);
    }

    /// What is still waiting, for the next image.
    pub(crate) fn list(&self) -> impl Iterator<Item = (RawFd, &Key)> {
        self.waiting
            .iter()
            .flat_map(|(key, fds)| fds.iter().map(move |fd| (fd.as_raw_fd(), key)))
    }
}

/// Whose clients a socket takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// Indices of a proxy and of its bind line.
    Proxy { proxy: usize, bind: usize },
    /// Index of a `stats socket` line.
    Stats(usize),
}

/// One descriptor and where it comes from.
#[derive(Debug)]
pub(crate) struct Socket {
    pub(crate) fd: OwnedFd,
    pub(crate) inherited: bool,
}

/// All sockets of one listening address.
#[derive(Debug)]
pub(crate) struct Listening {
    pub(crate) owner: Owner,
    pub(crate) key: Key,
    pub(crate) sockets: Vec<Socket>,
    pub(crate) backlog: u32,
}

/// Every listening socket of a start.
#[derive(Debug, Default)]
pub(crate) struct Sockets {
    pub(crate) list: Vec<Listening>,
}

impl Sockets {
    /// What the load balancer gets, with at most one descriptor per worker in
    /// each entry; an address with more has several entries.
    pub(crate) fn into_bound(self, workers: usize) -> Bound {
        let mut bound = Bound::default();
        for listening in self.list {
            let mut fds = listening.sockets.into_iter().map(|socket| socket.fd);
            match listening.owner {
                Owner::Proxy { proxy, bind } => {
                    let mut fds = fds.peekable();
                    let local = fds.peek().and_then(local_address);
                    while fds.peek().is_some() {
                        bound.listeners.push(BoundListener {
                            proxy,
                            bind,
                            local,
                            fds: fds.by_ref().take(workers.max(1)).collect(),
                            backlog: listening.backlog,
                        });
                    }
                }
                Owner::Stats(socket) => {
                    if let Some(fd) = fds.next() {
                        bound.stats.push(BoundStats { socket, fd });
                    }
                }
            }
        }
        // Bound by family; the load balancer counts in the order of the file.
        bound
            .listeners
            .sort_by_key(|listener| (listener.proxy, listener.bind));
        bound.stats.sort_by_key(|stats| stats.socket);
        bound
    }

    /// Descriptors and keys, for the next image of this program.
    pub(crate) fn list(&self) -> impl Iterator<Item = (RawFd, &Key)> {
        self.list.iter().flat_map(|listening| {
            listening
                .sockets
                .iter()
                .map(|socket| (socket.fd.as_raw_fd(), &listening.key))
        })
    }

    /// Undoes a start that failed: what was inherited goes back, what was
    /// bound anew is closed.
    pub(crate) fn return_to(self, inherited: &mut Inherited) {
        for listening in self.list {
            for socket in listening.sockets {
                if socket.inherited {
                    inherited.add(listening.key.clone(), socket.fd);
                }
            }
        }
    }
}

/// The address a TCP socket is bound to.
fn local_address(fd: &OwnedFd) -> Option<SocketAddr> {
    SocketAddr::try_from(rustix::net::getsockname(fd).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn listening(key: &str, inherited: bool) -> Listening {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        Listening {
            owner: Owner::Proxy { proxy: 3, bind: 1 },
            key: Key(key.as_bytes().to_vec()),
            sockets: vec![Socket {
                fd: listener.into(),
                inherited,
            }],
            backlog: 7,
        }
    }

    #[test]
    fn a_failed_start_gives_back_only_what_it_inherited() {
        let sockets = Sockets {
            list: vec![listening("old", true), listening("new", false)],
        };
        assert_eq!(sockets.list().count(), 2);
        let mut inherited = Inherited::default();
        sockets.return_to(&mut inherited);
        let left: Vec<_> = inherited.list().map(|(_, key)| key.0.clone()).collect();
        assert_eq!(left, [b"old".to_vec()]);
        assert!(inherited.take(&Key(b"old".to_vec())).is_some());
        assert!(inherited.take(&Key(b"old".to_vec())).is_none());
    }

    #[test]
    fn the_load_balancer_gets_addresses_in_the_files_order() {
        let mut first = listening("a", false);
        first.owner = Owner::Proxy { proxy: 0, bind: 0 };
        let bound = Sockets {
            list: vec![listening("b", false), first],
        }
        .into_bound(1);
        let order: Vec<_> = bound.listeners.iter().map(|one| one.proxy).collect();
        assert_eq!(order, [0, 3]);
        assert!(bound.listeners[0].local.unwrap().port() > 0);
        assert_eq!(bound.listeners[1].backlog, 7);
    }

    #[test]
    fn no_entry_has_more_descriptors_than_workers() {
        let mut one = listening("a", true);
        one.sockets.extend(listening("a", true).sockets);
        one.sockets.extend(listening("a", true).sockets);
        let bound = Sockets { list: vec![one] }.into_bound(2);
        let counts: Vec<_> = bound.listeners.iter().map(|one| one.fds.len()).collect();
        assert_eq!(counts, [2, 1]);
    }

    #[test]
    fn descriptors_that_are_not_open_are_passed_over() {
        osys::fd::remember_inherited();
        let inherited = Inherited::adopt(&[(999_999, Key(b"x".to_vec()))]);
        assert_eq!(inherited.list().count(), 0);
    }
}
