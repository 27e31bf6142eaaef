use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use socket2::{Domain, Socket, Type};

use super::*;

/// `None` where the kernel or a sandbox grants no ring: there is nothing to test then.
fn ring(buffers: u16, buffer_size: u32) -> Option<Ring> {
    let sizes = Sizes {
        submissions: 8,
        completions: 64,
        buffers,
        buffer_size,
    };
    Some(Seed::new(sizes).ok()?.enable().expect("enabled"))
}

fn next(ring: &mut Ring) -> Completion {
    loop {
        if let Some(completion) = ring.take() {
            return completion;
        }
        ring.submit(1).expect("submitted");
    }
}

fn received(ring: &mut Ring) -> Buffer {
    match next(ring).outcome {
        Outcome::Received(Ok(Some(buffer))) => buffer,
        other => panic!("{other:?}"),
    }
}

fn pair() -> (UnixStream, OwnedFd) {
    let (far, near) = UnixStream::pair().expect("a pair");
    (far, near.into())
}

#[test]
fn connects_and_relays() {
    let Some(mut ring) = ring(4, 64) else { return };
    let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
    let address = listener.local_addr().expect("an address");
    let client = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    ring.connect(&client, address, 2).expect("connecting");
    let completion = next(&mut ring);
    assert_eq!(completion.tag, 2);
    assert!(matches!(completion.outcome, Outcome::Connected(Ok(()))));
    let (mut guest, _) = listener.accept().expect("a guest");
    guest.write_all(b"hello").expect("written");
    ring.receive(&client, 3).expect("receiving");
    let buffer = received(&mut ring);
    assert_eq!(ring.bytes(&buffer).expect("ours"), b"hello");
    ring.send(&client, buffer, 4).expect("sending back");
    let completion = next(&mut ring);
    assert_eq!(completion.tag, 4);
    let Outcome::Sent(buffer, Ok(5)) = completion.outcome else {
        panic!("{completion:?}");
    };
    ring.give_back(buffer);
    let mut echo = [0; 5];
    guest.read_exact(&mut echo).expect("an echo");
    assert_eq!(&echo, b"hello");
    assert_eq!(ring.under_way(), 0);
}

#[test]
fn a_refused_connection_says_so() {
    let Some(mut ring) = ring(1, 64) else { return };
    let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let client = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    ring.connect(&client, address, 1).expect("connecting");
    let Outcome::Connected(Err(error)) = next(&mut ring).outcome else {
        panic!("nobody listens");
    };
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
}

#[test]
fn the_end_of_a_stream_takes_no_buffer() {
    let Some(mut ring) = ring(1, 64) else { return };
    for _ in 0..4 {
        let (far, near) = pair();
        drop(far);
        ring.receive(&near, 1).expect("receiving");
        let outcome = next(&mut ring).outcome;
        assert!(
            matches!(outcome, Outcome::Received(Ok(None))),
            "{outcome:?}"
        );
    }
    let (mut far, near) = pair();
    far.write_all(b"x").expect("written");
    ring.receive(&near, 2).expect("receiving");
    assert_eq!(received(&mut ring).len(), 1);
}

#[test]
fn without_buffers_nothing_is_received_until_one_comes_back() {
    let Some(mut ring) = ring(1, 4) else { return };
    let (mut far, near) = pair();
    far.write_all(b"abcdefgh").expect("written");
    ring.receive(&near, 1).expect("receiving");
    let first = received(&mut ring);
    assert_eq!(ring.bytes(&first).expect("ours"), b"abcd");
    ring.receive(&near, 2).expect("receiving");
    let Outcome::Received(Err(error)) = next(&mut ring).outcome else {
        panic!("no buffer is left");
    };
    assert_eq!(error.raw_os_error(), Some(libc::ENOBUFS));
    ring.give_back(first);
    ring.receive(&near, 3).expect("receiving");
    let second = received(&mut ring);
    assert_eq!(ring.bytes(&second).expect("ours"), b"efgh");
}

#[test]
fn a_buffer_of_another_ring_is_refused() {
    let (Some(mut one), Some(mut other)) = (ring(1, 4), ring(1, 4)) else {
        return;
    };
    let (mut far, near) = pair();
    far.write_all(b"abcd").expect("written");
    one.receive(&near, 1).expect("receiving");
    let buffer = received(&mut one);
    assert!(other.bytes(&buffer).is_err());
    assert!(other.send(&near, buffer, 2).is_err());
    assert_eq!(other.under_way(), 0);
}

#[test]
fn a_cancelled_operation_completes_once() {
    let Some(mut ring) = ring(1, 64) else { return };
    let (_far, near) = pair();
    let flight = ring.receive(&near, 7).expect("receiving");
    ring.submit(0).expect("submitted");
    assert_eq!(ring.under_way(), 1);
    ring.cancel(flight).expect("cancelling");
    let completion = next(&mut ring);
    assert_eq!(completion.tag, 7);
    let Outcome::Received(Err(error)) = completion.outcome else {
        panic!("it was cancelled");
    };
    assert_eq!(error.raw_os_error(), Some(libc::ECANCELED));
    assert_eq!(ring.under_way(), 0);
    ring.cancel(flight).expect("nothing to do");
    ring.submit(0).expect("submitted");
    assert!(ring.take().is_none());
}

#[test]
fn what_was_sent_before_cancelling_is_told() {
    let Some(mut ring) = ring(1, 4 << 20) else {
        return;
    };
    let (mut far, near) = pair();
    let (mut source, sink) = pair();
    source.set_nonblocking(true).expect("non-blocking");
    let written = source.write(&vec![1; 1 << 20]).expect("written");
    assert!(written > 64 * 1024);
    ring.receive(&sink, 1).expect("receiving");
    let buffer = received(&mut ring);
    let length = buffer.len();
    let small = socket2::SockRef::from(&near);
    small.set_send_buffer_size(4096).expect("a small buffer");
    let flight = ring.send(&near, buffer, 2).expect("sending");
    ring.submit(0).expect("submitted");
    ring.cancel(flight).expect("cancelling");
    let Outcome::Sent(buffer, Ok(sent)) = next(&mut ring).outcome else {
        panic!("a part was sent");
    };
    assert!(sent > 0 && sent < length, "{sent} of {length}");
    ring.give_back(buffer);
    ring.close(near);
    ring.submit(0).expect("submitted");
    let mut all = Vec::new();
    far.read_to_end(&mut all).expect("its end");
    assert_eq!(all.len(), sent);
}

#[test]
fn more_operations_than_the_queue_holds_are_handed_over_in_between() {
    let Some(mut ring) = ring(64, 16) else { return };
    let pairs: Vec<_> = (0..40).map(|_| pair()).collect();
    for (tag, (far, near)) in (0..).zip(&pairs) {
        (&mut &*far).write_all(b"x").expect("written");
        ring.receive(near, tag).expect("receiving");
    }
    let mut tags: Vec<u64> = (0..pairs.len()).map(|_| next(&mut ring).tag).collect();
    tags.sort_unstable();
    assert_eq!(tags, (0..40).collect::<Vec<u64>>());
}

#[test]
fn a_ring_ends_with_operations_under_way() {
    let Some(mut ring) = ring(4, 64) else { return };
    let (mut far, near) = pair();
    ring.receive(&near, 1).expect("receiving");
    ring.submit(0).expect("submitted");
    drop(ring);
    // Nothing is received any more: the bytes stay for others.
    far.write_all(b"x").expect("written");
    let mut byte = [0];
    UnixStream::from(near)
        .read_exact(&mut byte)
        .expect("a byte");
    assert_eq!(&byte, b"x");
}

#[test]
fn a_watched_descriptor_tells_each_time() {
    let Some(mut ring) = ring(1, 64) else { return };
    let (mut far, near) = pair();
    ring.watch(&near, 9).expect("watching");
    for _ in 0..2 {
        far.write_all(b"x").expect("written");
        assert!(matches!(next(&mut ring).outcome, Outcome::Ready(true)));
    }
}

#[test]
fn sizes_that_no_kernel_takes_are_refused() {
    assert!(Buffers::new(3, 64).is_err());
    assert!(Buffers::new(4, 0).is_err());
    assert!(Buffers::new(0, 64).is_err());
}

/// A caller that has other work never waits, and hears of everything all the same.
#[test]
fn completions_come_without_waiting_for_them() {
    let Some(mut ring) = ring(4, 64) else { return };
    let (mut far, near) = pair();
    ring.receive(&near, 7).expect("receiving");
    ring.submit(0).expect("submitted");
    assert!(ring.take().is_none());
    far.write_all(b"hello").expect("written");
    let start = std::time::Instant::now();
    let completion = loop {
        ring.submit(0).expect("submitted");
        if let Some(completion) = ring.take() {
            break completion;
        }
        assert!(start.elapsed().as_secs() < 20, "nothing is told");
    };
    assert_eq!(completion.tag, 7);
}

#[test]
fn memory_of_many_operations_is_given_back() {
    let Some(mut ring) = ring(4, 64) else { return };
    let (far, near) = pair();
    let many: Vec<Flight> = (0..4000)
        .map(|tag| ring.receive(&near, tag).expect("receiving"))
        .collect();
    ring.shrink();
    assert!(ring.flights.capacity() >= 4000, "they are under way");
    drop(many);
    // All of them end with the peer.
    drop(far);
    while ring.under_way() > 0 {
        let _ended = next(&mut ring);
    }
    ring.shrink();
    assert!(ring.flights.capacity() < 1024);
}

/// A peer that has ended counts as ready to the kernel, though there is no room: a send that waited
/// there would end up on a thread of the kernel's, which cancelling does not reach.
#[test]
fn a_send_never_waits_for_room() {
    let Some(mut ring) = ring(1, 1 << 20) else {
        return;
    };
    let (mut far, near) = pair();
    far.write_all(&[1; 100]).expect("written");
    ring.receive(&near, 1).expect("receiving");
    let buffer = received(&mut ring);
    let socket = socket2::SockRef::from(&near);
    socket.set_nonblocking(true).expect("non-blocking");
    while socket.send(&[2; 100]).is_ok() {}
    socket.set_nonblocking(false).expect("blocking");
    far.shutdown(Shutdown::Write).expect("its end");
    ring.send(&near, buffer, 2).expect("sending");
    ring.submit(0).expect("submitted");
    let Some(Outcome::Sent(buffer, Err(error))) = ring.take().map(|done| done.outcome) else {
        panic!("there is no room, and nothing to wait for");
    };
    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    ring.give_back(buffer);
}

/// Nothing but an urgent byte, which is not among what is received.
#[test]
fn a_receive_that_urgent_bytes_have_woken_can_be_cancelled() {
    let Some(mut ring) = ring(1, 64) else { return };
    let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
    let far = TcpStream::connect(listener.local_addr().expect("bound")).expect("connected");
    let (near, _) = listener.accept().expect("a guest");
    let flight = ring.receive(&near, 1).expect("receiving");
    ring.submit(0).expect("submitted");
    for _ in 0..3 {
        socket2::SockRef::from(&far)
            .send_out_of_band(b"!")
            .expect("sent");
        ring.submit(0).expect("submitted");
    }
    ring.cancel(flight).expect("cancelling");
    match next(&mut ring).outcome {
        // All but the last of them are ordinary bytes by now.
        Outcome::Received(Ok(Some(buffer))) => ring.give_back(buffer),
        Outcome::Received(Err(error)) => assert_eq!(error.raw_os_error(), Some(libc::ECANCELED)),
        other => panic!("{other:?}"),
    }
}
