use super::*;
use crate::config::DriverConfig;
use crate::sockets::limits::{Limits, Resource};
use core::task::Waker;
use tokio::io::{AsyncReadExt as _, duplex};

const KIB: usize = 1_024;

/// A stream over a transport that buffers at most `accepts` bytes.
fn stream_over(accepts: usize) -> (Stream, tokio::io::DuplexStream) {
    let (own, peer) = duplex(accepts);
    (Stream::new(Box::new(own), ([127, 0, 0, 1], 1).into(), ([127, 0, 0, 1], 2).into()), peer)
}

/// The same as [`stream_over`], for a stream that a listener accepted.
fn accepted_over(accepts: usize) -> (Stream, tokio::io::DuplexStream) {
    let (stream, peer) = stream_over(accepts);
    let permit = Limits::new(&DriverConfig::default()).admit(Resource::Stream, stream.remote()).unwrap();
    (stream.with_permit(permit), peer)
}

fn send(stream: &mut Stream, length: usize, when_full: WhenFull) -> Sent {
    stream.send(&mut Context::from_waker(Waker::noop()), &vec![7; length], when_full)
}

fn read(stream: &mut Stream) -> Poll<Read> {
    stream.poll_read(&mut Context::from_waker(Waker::noop()), &mut [0; 100])
}

#[test]
fn at_most_256_kib_are_held() {
    let (mut stream, _peer) = stream_over(1_000);
    assert_eq!(send(&mut stream, 1_000 + Stream::UNSENT, WhenFull::Close), Sent::Accepted);
    assert_eq!(stream.unsent(), Stream::UNSENT);
    assert_eq!(send(&mut stream, 0, WhenFull::Close), Sent::Accepted);
    assert_eq!(send(&mut stream, 1, WhenFull::Close), Sent::Overflow);
}

#[test]
fn above_64_kib_a_droppable_payload_is_dropped_whole() {
    let (mut stream, _peer) = stream_over(1_000);
    assert_eq!(send(&mut stream, 1_000 + 64 * KIB, WhenFull::Drop), Sent::Accepted, "not above 64 KiB before");
    assert_eq!(send(&mut stream, 30 * KIB, WhenFull::Drop), Sent::Accepted, "64 KiB are not above 64 KiB");
    assert_eq!(send(&mut stream, 1, WhenFull::Drop), Sent::Dropped);
    assert_eq!(stream.unsent(), 94 * KIB, "64 KiB and one payload");
    assert_eq!(send(&mut stream, KIB, WhenFull::Close), Sent::Accepted, "other payloads are kept");
}

#[test]
fn a_droppable_payload_never_ends_the_stream() {
    let (mut stream, mut peer) = stream_over(1_000);
    assert_eq!(send(&mut stream, Stream::UNSENT + 1, WhenFull::Drop), Sent::Dropped);
    let mut cx = Context::from_waker(Waker::noop());
    let mut buffer = [0; 10];
    let read = Pin::new(&mut peer).poll_read(&mut cx, &mut ReadBuf::new(&mut buffer));
    assert!(read.is_pending(), "no part of it was sent");
}

#[tokio::test]
async fn full_and_writable_are_reported_once_each_and_a_full_accepted_stream_is_not_read() {
    let (mut stream, mut peer) = accepted_over(1_000);
    assert_eq!(send(&mut stream, 1_000 + 64 * KIB, WhenFull::Close), Sent::Accepted);
    assert_eq!(stream.take_socket_event(), None);
    assert_eq!(send(&mut stream, 1, WhenFull::Close), Sent::Accepted);
    assert_eq!((stream.take_socket_event(), stream.is_readable()), (Some(SocketEvent::Full), false));
    assert_eq!(stream.take_socket_event(), None);
    let mut reported = Vec::new();
    while stream.unsent() > 0 {
        assert_eq!(peer.read(&mut [0; 1_000]).await.unwrap(), 1_000);
        stream.write_unsent(&mut Context::from_waker(Waker::noop()));
        reported.extend(stream.take_socket_event().map(|event| (event, stream.unsent())));
    }
    // Each step of the peer makes room for 1,000 bytes.
    assert!(matches!(reported[..], [(SocketEvent::Writable, 31_768..32_768)]), "{reported:?}");
    assert!(stream.is_readable());
}

#[tokio::test]
async fn a_full_stream_that_was_not_accepted_is_read() {
    let (mut stream, mut peer) = stream_over(1_000);
    assert_eq!(send(&mut stream, 1_000 + 65 * KIB, WhenFull::Close), Sent::Accepted);
    assert_eq!((stream.take_socket_event(), stream.is_readable()), (Some(SocketEvent::Full), true));
    tokio::io::AsyncWriteExt::write_all(&mut peer, b"more").await.unwrap();
    assert_eq!(read(&mut stream), Poll::Ready(Read::Chunk(4)));
    stream.set_paused(true);
    assert!(!stream.is_readable(), "a pause holds for every stream");
}

#[tokio::test]
async fn small_payloads_are_sent_in_one_write() {
    let (mut stream, mut peer) = stream_over(100 * KIB);
    assert_eq!(send(&mut stream, 100, WhenFull::Close), Sent::Corked);
    assert_eq!(send(&mut stream, 100, WhenFull::Drop), Sent::Accepted);
    assert_eq!(stream.unsent(), 200);
    stream.write_unsent(&mut Context::from_waker(Waker::noop()));
    assert_eq!((stream.unsent(), peer.read(&mut [0; 1_000]).await.unwrap()), (0, 200));
    // These payloads are more than the buffer for small payloads holds, so they do not wait.
    for _ in 0..17 {
        send(&mut stream, KIB, WhenFull::Close);
    }
    assert_eq!((stream.unsent(), peer.read(&mut [0; 100_000]).await.unwrap()), (0, 17 * KIB));
}

#[tokio::test]
async fn unread_bytes_come_before_the_next_read_and_wait_for_resume() {
    let (mut stream, mut peer) = stream_over(1_000);
    tokio::io::AsyncWriteExt::write_all(&mut peer, b"later").await.unwrap();
    drop(peer);
    stream.keep_unread(b"first"[..].into());
    stream.set_paused(true);
    assert_eq!((read(&mut stream), stream.unread()), (Poll::Pending, 5));
    stream.set_paused(false);
    assert_eq!(read(&mut stream), Poll::Ready(Read::Unread(b"first"[..].into())));
    assert_eq!(read(&mut stream), Poll::Ready(Read::Chunk(5)));
    stream.set_owner_has_bytes(true);
    assert_eq!(read(&mut stream), Poll::Pending);
    stream.set_owner_has_bytes(false);
    assert_eq!(read(&mut stream), Poll::Ready(Read::Ended(Closure::ByPeer)));
}

#[tokio::test]
async fn bytes_that_arrived_are_read_after_sending_failed() {
    let (mut stream, mut peer) = stream_over(1_000);
    tokio::io::AsyncWriteExt::write_all(&mut peer, b"last").await.unwrap();
    send(&mut stream, 1_000 + 65 * KIB, WhenFull::Close);
    assert_eq!(stream.take_socket_event(), Some(SocketEvent::Full));
    drop(peer);
    stream.write_unsent(&mut Context::from_waker(Waker::noop()));
    assert!(stream.is_broken());
    assert_eq!(stream.take_socket_event(), Some(SocketEvent::Writable), "nothing waits any more");
    assert_eq!(send(&mut stream, 1, WhenFull::Close), Sent::Broken);
    assert_eq!(read(&mut stream), Poll::Ready(Read::Chunk(4)));
    assert!(matches!(read(&mut stream), Poll::Ready(Read::Ended(_))));
}

#[tokio::test]
async fn held_bytes_are_sent_in_order() {
    let mut cx = Context::from_waker(Waker::noop());
    let (mut stream, mut peer) = stream_over(7);
    for part in 0..100_u8 {
        assert_ne!(stream.send(&mut cx, &[part; 10], WhenFull::Close), Sent::Overflow);
    }
    let mut read = Vec::new();
    let (result, ()) = tokio::join!(
        async {
            let result = peer.read_to_end(&mut read).await;
            drop(peer);
            result
        },
        stream.finish()
    );
    assert_eq!(result.unwrap(), 1_000);
    assert!(read.chunks(10).enumerate().all(|(part, bytes)| bytes == [part as u8; 10]));
}

/// Each end drops the bytes that it gets, and so the other end can send all of its bytes. The time is virtual.
#[tokio::test(start_paused = true)]
async fn two_closed_ends_with_unsent_bytes_both_finish() {
    let (one, other) = duplex(1_000);
    let [one, other] = [one, other].map(|own| {
        let mut stream = Stream::new(Box::new(own), ([127, 0, 0, 1], 1).into(), ([127, 0, 0, 1], 2).into());
        send(&mut stream, 100 * KIB, WhenFull::Close);
        assert_eq!(stream.unsent(), 100 * KIB - 1_000);
        tokio::spawn(stream.finish())
    });
    let limit = Duration::from_secs(2);
    tokio::time::timeout(limit, one).await.expect("one end finishes").unwrap();
    tokio::time::timeout(limit, other).await.expect("the other end finishes").unwrap();
}

/// Tokio's cooperative budget is 128 operations per poll of a task.
#[tokio::test]
async fn many_payloads_in_one_turn_are_not_dropped() {
    let (mut stream, _peer) = stream_over(100 * KIB * KIB);
    for _ in 0..1_000 {
        assert_eq!(send(&mut stream, 20 * KIB, WhenFull::Drop), Sent::Accepted);
        assert_eq!(stream.unsent(), 0);
    }
}

#[test]
fn the_memory_of_many_unsent_bytes_is_released() {
    let (mut stream, peer) = stream_over(1_000);
    send(&mut stream, 200 * KIB, WhenFull::Close);
    drop(peer);
    stream.write_unsent(&mut Context::from_waker(Waker::noop()));
    assert_eq!((stream.unsent.len(), stream.unsent.capacity()), (0, 0));
}
