use std::future::poll_fn;
use std::net::{Ipv4Addr, UdpSocket};
use std::time::Duration;

use tokio::task::coop::unconstrained;

use super::*;

const PATIENCE: Duration = Duration::from_secs(10);

impl Packets for UdpSocket {
    fn receive(&self, buffer: &mut [u8]) -> io::Result<Arrival> {
        self.recv(buffer).map(Arrival::Packet)
    }
}

fn sockets() -> (AsyncFd<UdpSocket>, UdpSocket) {
    let receiver = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    receiver.set_nonblocking(true).unwrap();
    let sender = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    sender.connect(receiver.local_addr().unwrap()).unwrap();
    (registered(receiver).unwrap(), sender)
}

fn in_a_runtime(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(test);
}

/// One turn of a loop that has a timer: what the socket gave before the timer was
/// looked at.
fn turn(socket: &AsyncFd<UdpSocket>, budget: usize, cx: &mut Context<'_>) -> Vec<u8> {
    let mut marks = Vec::new();
    drain(socket, &mut [0; 64], budget, cx, |_, bytes| {
        marks.push(bytes[0]);
    });
    marks
}

#[test]
fn what_waits_is_taken_although_the_runtime_has_not_looked_yet() {
    in_a_runtime(async {
        let (socket, sender) = sockets();
        sender.send(&[7]).unwrap();
        // One poll, as after SIGCONT: no turn of the runtime's driver comes first.
        let marks = poll_fn(|cx| Poll::Ready(turn(&socket, 10, cx))).await;
        assert_eq!(marks, [7]);
    });
}

#[test]
fn an_emptied_socket_wakes_for_each_later_packet() {
    in_a_runtime(async {
        let (socket, sender) = sockets();
        for mark in 0..20 {
            let mut polls = 0;
            let next = poll_fn(|cx| {
                let marks = turn(&socket, 10, cx);
                polls += 1;
                if !marks.is_empty() {
                    return Poll::Ready(marks);
                }
                // Sent when the socket is known to be empty: only a wake-up helps.
                if polls == 1 {
                    sender.send(&[mark]).unwrap();
                }
                Poll::Pending
            });
            let marks = tokio::time::timeout(PATIENCE, unconstrained(next))
                .await
                .unwrap();
            assert_eq!(marks, [mark]);
            assert!(polls < 10, "{polls} polls for one packet: a busy loop");
        }
    });
}

#[test]
fn more_packets_than_the_runtimes_own_budget_are_taken_in_one_turn() {
    in_a_runtime(async {
        let (socket, sender) = sockets();
        for _ in 0..200 {
            sender.send(&[1]).unwrap();
        }
        let marks = poll_fn(|cx| Poll::Ready(turn(&socket, 1000, cx))).await;
        assert_eq!(marks.len(), 200);
    });
}

#[test]
fn a_turn_is_bounded_and_the_rest_needs_no_further_packet() {
    in_a_runtime(async {
        let (socket, sender) = sockets();
        for _ in 0..100 {
            sender.send(&[1]).unwrap();
        }
        let mut turns = Vec::new();
        // As packets none of which decodes: every turn but the last is Pending.
        let all = poll_fn(|cx| {
            turns.push(turn(&socket, 30, cx).len());
            if turns.iter().sum::<usize>() == 100 {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        });
        tokio::time::timeout(PATIENCE, unconstrained(all))
            .await
            .unwrap();
        assert_eq!(turns, [30, 30, 30, 10]);
    });
}
