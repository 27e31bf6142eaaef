use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::rc::Rc;

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

fn pair() -> (UnixStream, Rc<OwnedFd>) {
    let (far, near) = UnixStream::pair().expect("a pair");
    (far, Rc::new(near.into()))
}

#[test]
fn accepts_connects_and_relays() {
    let Some(mut ring) = ring(4, 64) else { return };
    let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
    let address = listener.local_addr().expect("an address");
    let door = Rc::new(OwnedFd::from(listener));
    ring.accept(&door, 1).expect("accepting");
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let client = Rc::new(OwnedFd::from(socket));
    ring.connect(&client, address, 2).expect("connecting");
    let (mut guest, mut connected) = (None, false);
    while guest.is_none() || !connected {
        let completion = next(&mut ring);
        match (completion.tag, completion.outcome.expect("no error")) {
            (1, Outcome::Accepted(fd)) => {
                assert!(completion.more, "it goes on accepting");
                guest = Some(Rc::new(fd));
            }
            (2, Outcome::Connected) => connected = true,
            other => panic!("{other:?}"),
        }
    }
    let guest = guest.expect("a guest");
    ring.receive(&guest, 3).expect("receiving");
    ring.send_bytes(&client, b"hello".to_vec(), 4)
        .expect("sending");
    let mut received = None;
    for _ in 0..2 {
        let completion = next(&mut ring);
        match (completion.tag, completion.outcome.expect("no error")) {
            (3, Outcome::Received(buffer)) => received = Some(buffer),
            (4, Outcome::Sent(5)) => {}
            other => panic!("{other:?}"),
        }
    }
    let received = received.expect("bytes");
    assert_eq!(ring.bytes(&received).expect("ours"), b"hello");
    ring.send(&guest, received, 5).expect("sending back");
    assert!(matches!(next(&mut ring).outcome, Ok(Outcome::Sent(5))));
    let mut far = TcpStream::from(Rc::try_unwrap(client).expect("the only one"));
    let mut echo = [0; 5];
    far.read_exact(&mut echo).expect("an echo");
    assert_eq!(&echo, b"hello");
}

#[test]
fn the_end_of_a_stream_takes_no_buffer() {
    let Some(mut ring) = ring(1, 64) else { return };
    for _ in 0..4 {
        let (far, near) = pair();
        drop(far);
        ring.receive(&near, 1).expect("receiving");
        assert!(matches!(next(&mut ring).outcome, Ok(Outcome::Ended)));
    }
    let (mut far, near) = pair();
    far.write_all(b"x").expect("written");
    ring.receive(&near, 2).expect("receiving");
    assert!(matches!(next(&mut ring).outcome, Ok(Outcome::Received(_))));
}

#[test]
fn without_buffers_nothing_is_received_until_one_comes_back() {
    let Some(mut ring) = ring(1, 4) else { return };
    let (mut far, near) = pair();
    far.write_all(b"abcdefgh").expect("written");
    ring.receive(&near, 1).expect("receiving");
    let Ok(Outcome::Received(first)) = next(&mut ring).outcome else {
        panic!("bytes are there");
    };
    assert_eq!(ring.bytes(&first).expect("ours"), b"abcd");
    ring.receive(&near, 2).expect("receiving");
    let error = next(&mut ring).outcome.expect_err("no buffer is left");
    assert_eq!(error.raw_os_error(), Some(libc::ENOBUFS));
    ring.give_back(first);
    ring.receive(&near, 3).expect("receiving");
    let Ok(Outcome::Received(second)) = next(&mut ring).outcome else {
        panic!("the buffer is there again");
    };
    assert_eq!(ring.bytes(&second).expect("ours"), b"efgh");
    assert_eq!(second.len(), 4);
}

#[test]
fn a_buffer_of_another_ring_is_refused() {
    let (Some(mut one), Some(mut other)) = (ring(1, 4), ring(1, 4)) else {
        return;
    };
    let (mut far, near) = pair();
    far.write_all(b"abcd").expect("written");
    one.receive(&near, 1).expect("receiving");
    let Ok(Outcome::Received(buffer)) = next(&mut one).outcome else {
        panic!("bytes are there");
    };
    assert!(other.bytes(&buffer).is_err());
    assert!(other.send(&near, buffer, 2).is_err());
    assert_eq!(other.under_way(), 0);
}

#[test]
fn a_cancelled_operation_ends_once() {
    let Some(mut ring) = ring(1, 64) else { return };
    let (_far, near) = pair();
    let ticket = ring.receive(&near, 7).expect("receiving");
    ring.submit(0).expect("submitted");
    assert_eq!(ring.under_way(), 1);
    ring.cancel(ticket).expect("cancelling");
    let completion = next(&mut ring);
    assert_eq!(completion.tag, 7);
    let error = completion.outcome.expect_err("cancelled");
    assert_eq!(error.raw_os_error(), Some(libc::ECANCELED));
    assert_eq!(ring.under_way(), 0);
    // The ticket means nothing any more, even when its place is taken again.
    ring.receive(&near, 8).expect("receiving");
    ring.submit(0).expect("submitted");
    ring.cancel(ticket).expect("nothing to do");
    ring.submit(0).expect("submitted");
    assert!(ring.take().is_none());
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
fn closing_goes_through_the_ring() {
    let Some(mut ring) = ring(1, 64) else { return };
    let (mut far, near) = pair();
    ring.send_bytes(&near, b"last".to_vec(), 1)
        .expect("sending");
    assert!(matches!(next(&mut ring).outcome, Ok(Outcome::Sent(4))));
    ring.close(Rc::try_unwrap(near).expect("the only one"));
    ring.submit(0).expect("submitted");
    let mut all = Vec::new();
    far.read_to_end(&mut all).expect("its end");
    assert_eq!(all, b"last");
}

#[test]
fn a_ring_ends_with_operations_under_way() {
    let Some(mut ring) = ring(4, 64) else { return };
    let (mut far, near) = pair();
    ring.receive(&near, 1).expect("receiving");
    // More than the peer's buffers take: it stays under way.
    ring.send_bytes(&near, vec![0; 4 << 20], 2)
        .expect("sending");
    ring.submit(0).expect("submitted");
    drop(ring);
    assert_eq!(Rc::strong_count(&near), 1);
    drop(near);
    let mut all = Vec::new();
    far.read_to_end(&mut all).expect("its end");
    assert!(all.len() < 4 << 20);
}

#[test]
fn a_watched_descriptor_tells_each_time() {
    let Some(mut ring) = ring(1, 64) else { return };
    let (mut far, near) = pair();
    ring.watch(&near, 9).expect("watching");
    for _ in 0..2 {
        far.write_all(b"x").expect("written");
        let completion = next(&mut ring);
        assert!(matches!(completion.outcome, Ok(Outcome::Ready)));
        assert!(completion.more);
    }
}

#[test]
fn sizes_that_no_kernel_takes_are_refused() {
    assert!(Buffers::new(3, 64).is_err());
    assert!(Buffers::new(4, 0).is_err());
    assert!(Buffers::new(0, 64).is_err());
}
