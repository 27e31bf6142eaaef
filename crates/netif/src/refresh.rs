//! Prolonging lifetimes. With hundreds of addresses it is by far the most frequent request, so it
//! has a socket of its own, whose requests the watch does not hear of again.

use std::io;

use netlink_packet_core::{NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::{Socket, SocketAddr, protocols};
use socket2::{SockFilter, SockRef};

use crate::kernel::Error;
use crate::model::AddressSpec;
use crate::wording;

/// Bytes of an answer: an error with the head of the request.
const ANSWER: usize = 1024;
/// `RTM_NEWADDR`
const NEW_ADDRESS: u16 = 20;

/// A socket for requests that the kernel has carried out when they are sent.
pub(crate) struct Refresher {
    socket: Socket,
    port: u32,
    answer: Vec<u8>,
}

impl Refresher {
    pub(crate) fn open() -> io::Result<Self> {
        let mut socket = Socket::new(protocols::NETLINK_ROUTE)?;
        let mut address = SocketAddr::new(0, 0);
        socket.bind_auto()?;
        socket.get_address(&mut address)?;
        socket.connect(&SocketAddr::new(0, 0))?;
        socket.set_non_blocking(true)?;
        Ok(Self {
            socket,
            port: address.port_number(),
            answer: Vec::with_capacity(ANSWER),
        })
    }

    /// As the kernel names it in what it reports.
    pub(crate) const fn port(&self) -> u32 {
        self.port
    }

    /// Begins the lifetime of an address anew.
    pub(crate) fn refresh(&mut self, spec: &AddressSpec) -> Result<(), Error> {
        self.ask(&wording::lifetime(spec)).map_err(|error| {
            error
                .raw_os_error()
                .map_or_else(|| Error::Connection(error.to_string()), Error::Kernel)
        })?;
        let answer = NetlinkMessage::<RouteNetlinkMessage>::deserialize(&self.answer);
        match answer.map(|message| message.payload) {
            Ok(NetlinkPayload::Error(error)) => error
                .code
                .map_or(Ok(()), |code| Err(Error::Kernel(-code.get()))),
            Ok(_) => Ok(()),
            Err(error) => Err(Error::Connection(error.to_string())),
        }
    }

    fn ask(&mut self, request: &[u8]) -> io::Result<()> {
        // What was not read of an earlier answer is no answer to this.
        loop {
            self.answer.clear();
            if self.socket.recv(&mut self.answer, 0).is_err() {
                break;
            }
        }
        self.socket.send(request, 0)?;
        self.answer.clear();
        self.socket.recv(&mut self.answer, 0).map(drop)
    }

    /// Has `watch` hear nothing of what is asked for here. What others do is heard as ever, and
    /// so is all that is about IPv6, where the kernel does not say who asked.
    pub(crate) fn silence(&self, watch: &Socket) -> io::Result<()> {
        SockRef::from(watch).attach_filter(&silence(self.port))
    }
}

/// A classic BPF program (linux/filter.h) over a netlink message: `nlmsg_type` and `nlmsg_pid`
/// are in this host's order, what BPF loads is taken as big-endian.
fn silence(port: u32) -> [SockFilter; 6] {
    // BPF_LD | BPF_H | BPF_ABS, BPF_LD | BPF_W | BPF_ABS, BPF_JMP | BPF_JEQ, BPF_RET.
    const HALF: u16 = 0x28;
    const WORD: u16 = 0x20;
    const EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    let kind = u16::from_be_bytes(NEW_ADDRESS.to_ne_bytes());
    let port = u32::from_be_bytes(port.to_ne_bytes());
    [
        SockFilter::new(HALF, 0, 0, 4),
        SockFilter::new(EQUAL, 0, 2, u32::from(kind)),
        SockFilter::new(WORD, 0, 0, 12),
        SockFilter::new(EQUAL, 1, 0, port),
        SockFilter::new(RETURN, 0, 0, u32::MAX),
        SockFilter::new(RETURN, 0, 0, 0),
    ]
}
