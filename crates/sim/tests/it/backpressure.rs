//! Backpressure of streams: bytes that the machine does not take, the window, thresholds, pause and resume, ends.

use crate::streamer::{KIB, MS, ReadMode, Streamer, connected, event_lines, pattern};
use core::time::Duration;
use portolan_machine::{Instant, Protocol, SocketId, SocketOrder, WhenFull};
use portolan_sim::{HostId, Link, Net, Server, StreamBacklog};

/// Two hosts with a stream of 25 ms each way.
fn two() -> (Net<Streamer>, [HostId; 2], [SocketId; 2]) {
    connected(&Link::PERFECT)
}

fn pause(net: &mut Net<Streamer>, host: HostId, socket: SocketId) {
    net.with(host, |machine, _| machine.order(SocketOrder::Pause(socket)));
}

fn resume(net: &mut Net<Streamer>, host: HostId, socket: SocketId) {
    net.with(host, |machine, _| machine.order(SocketOrder::Resume(socket)));
}

fn send(net: &mut Net<Streamer>, host: HostId, socket: SocketId, bytes: &[u8]) {
    net.with(host, |machine, _| machine.send(socket, bytes.to_vec(), WhenFull::Close));
}

/// The bytes of a socket: unsent, in the window, and unread by the owner.
fn backlog(net: &Net<Streamer>, host: HostId, socket: SocketId) -> (usize, usize, usize) {
    let StreamBacklog { unsent, in_window, unread, .. } = net.stream_backlog(host, socket).unwrap();
    (unsent, in_window, unread)
}

#[test]
fn the_rest_of_a_chunk_is_handed_in_after_the_next_drain() {
    let (mut net, hosts @ [a, b], [near, far]) = two();
    net.with(b, |b, _| (b.mode, b.echoes) = (ReadMode::AtMost(4), true));
    let start = net.now();
    send(&mut net, a, near, b"0123456789");
    let _end = net.run_for(MS * 100);
    assert_eq!(net.machine(b).unwrap().taken, b"0123456789");
    assert_eq!(
        event_lines(&mut net, hosts, start),
        [
            "25 b s2 takes 4 of 10",
            "25 b s2 takes 4 of 6",
            "25 b s2 takes 2 of 2",
            "50 a s1 takes 4 of 4",
            "50 a s1 takes 4 of 4",
            "50 a s1 takes 2 of 2",
        ]
    );
    assert_eq!((backlog(&net, a, near), backlog(&net, b, far)), ((0, 0, 0), (0, 0, 0)));
}

#[test]
fn bytes_that_are_not_taken_come_before_those_behind_them() {
    let (mut net, hosts @ [a, b], [near, _]) = two();
    net.with(b, |b, _| b.mode = ReadMode::NothingOnce);
    let start = net.now();
    send(&mut net, a, near, b"first");
    send(&mut net, a, near, b"second");
    let _end = net.run_for(MS * 25);
    assert_eq!(
        event_lines(&mut net, hosts, start),
        ["25 b s2 takes 0 of 5", "25 b s2 takes 5 of 5", "25 b s2 takes 6 of 6"]
    );
    assert_eq!(net.machine(b).unwrap().taken, b"firstsecond");
}

#[test]
fn bytes_of_an_unknown_stream_are_dropped_with_a_line_in_the_story() {
    let (mut net, [a, b], [near, far]) = two();
    net.record_story();
    net.with(b, |b, _| b.mode = ReadMode::NotMine);
    send(&mut net, a, near, &pattern(200 * KIB));
    let _end = net.run_for(Duration::from_secs(1));
    assert_eq!(net.stream_stats(b).unclaimed_bytes, 200 * 1_024);
    assert!(net.story().contains("b            ignores it\n"), "{}", net.story());
    assert_eq!((backlog(&net, a, near), backlog(&net, b, far)), ((0, 0, 0), (0, 0, 0)));
}

#[test]
fn a_machine_that_takes_nothing_twice_loses_the_stream() {
    let (mut net, hosts @ [a, b], [near, _]) = two();
    net.with(b, |b, _| b.mode = ReadMode::Nothing);
    let start = net.now();
    send(&mut net, a, near, b"0123456789");
    let _end = net.run_for(MS * 100);
    assert_eq!(
        event_lines(&mut net, hosts, start),
        [
            "25 b s2 takes 0 of 10",
            "25 b s2 takes 0 of 10",
            "25 b s2 closed: its bytes are not read",
            "50 a s1 closed: reset by the peer",
        ]
    );
    assert_eq!(net.stream_count(), 0);
}

#[test]
fn a_pause_between_two_refusals_keeps_the_stream() {
    let (mut net, hosts @ [a, b], [near, far]) = two();
    net.with(b, |b, _| b.mode = ReadMode::Pause);
    let start = net.now();
    send(&mut net, a, near, b"0123456789");
    for _ in 0..3 {
        let _end = net.run_for(MS * 100);
        resume(&mut net, b, far);
    }
    net.with(b, |b, _| b.mode = ReadMode::All);
    resume(&mut net, b, far);
    assert_eq!(
        event_lines(&mut net, hosts, start),
        [
            "25 b s2 takes 0 of 10",
            "100 b s2 takes 0 of 10",
            "200 b s2 takes 0 of 10",
            "300 b s2 takes 0 of 10",
            "300 b s2 takes 10 of 10",
        ]
    );
}

#[test]
fn a_paused_reader_fills_the_window_and_stops_the_sender() {
    let (mut net, hosts @ [a, b], [near, far]) = two();
    pause(&mut net, b, far);
    let (start, bytes) = (net.now(), pattern(190 * KIB));
    send(&mut net, a, near, &bytes[..128 * KIB]);
    let _end = net.run_for(Duration::from_secs(60));
    assert_eq!(event_lines(&mut net, hosts, start), [""; 0], "64 KiB wait, which is not full");
    assert_eq!((backlog(&net, a, near), backlog(&net, b, far)), ((64 * KIB, 64 * KIB, 0), (0, 0, 64 * KIB)));

    let start = net.now();
    send(&mut net, a, near, &bytes[128 * KIB..]);
    let _end = net.run_for(Duration::from_secs(60));
    assert_eq!(event_lines(&mut net, hosts, start), ["0 a s1 full: the peer reads slowly"]);
    net.with(b, |b, _| b.is_quiet = true);
    let start = net.now();
    resume(&mut net, b, far);
    let _end = net.run_for(Duration::from_secs(1));
    // 126 KiB wait. Two windows are sent: 25 ms after the reader took the bytes, and one round trip later. After the
    // first, 62 KiB wait; after the second, nothing.
    assert_eq!(event_lines(&mut net, hosts, start), ["75 a s1 writable again"]);
    assert!(net.machine(b).unwrap().taken == bytes);
    assert_eq!((backlog(&net, a, near), backlog(&net, b, far)), ((0, 0, 0), (0, 0, 0)));
}

#[test]
fn droppable_transmits_are_dropped_whole_above_64_kib_and_counted() {
    let (mut net, hosts @ [a, b], [near, far]) = two();
    pause(&mut net, b, far);
    net.with(b, |b, _| b.is_quiet = true);
    let start = net.now();
    // The window takes 64 messages of 1 KiB, and 64 messages wait. One more makes the stream full.
    for n in 0..10_000_u32 {
        net.with(a, |a, _| a.send(near, [&n.to_be_bytes()[..], &[0; 1_020]].concat(), WhenFull::Drop));
        assert!(backlog(&net, a, near).0 <= 65 * KIB, "64 KiB and one transmit");
    }
    assert_eq!(event_lines(&mut net, hosts, start), ["0 a s1 full: the peer reads slowly"]);
    let stats = net.stream_stats(a);
    assert_eq!((stats.dropped, stats.dropped_bytes), (10_000 - 129, (10_000 - 129) * 1_024));
    resume(&mut net, b, far);
    let _end = net.run_for(Duration::from_secs(1));
    assert_eq!(event_lines(&mut net, hosts, start).len(), 1, "writable again; the stream lives");
    net.with(a, |a, _| a.send(near, vec![7; KIB], WhenFull::Drop));
    let _end = net.run_for(Duration::from_secs(1));
    let taken = &net.machine(b).unwrap().taken;
    let heads: Vec<u32> = taken.chunks(KIB).map(|m| u32::from_be_bytes([m[0], m[1], m[2], m[3]])).collect();
    assert!(heads[..129].iter().copied().eq(0..129), "whole messages, in order");
    assert_eq!((heads.len(), heads[129]), (130, 0x0707_0707));
}

#[test]
fn a_stream_with_more_than_256_kib_unsent_is_closed() {
    let (mut net, hosts @ [a, b], [near, far]) = two();
    pause(&mut net, b, far);
    let start = net.now();
    let bytes = pattern(320 * KIB);
    send(&mut net, a, near, &bytes);
    let _end = net.run_for(Duration::from_secs(60));
    assert_eq!(backlog(&net, a, near), (256 * KIB, 64 * KIB, 0));
    assert_eq!(event_lines(&mut net, hosts, start), ["0 a s1 full: the peer reads slowly"]);

    let start = net.now();
    send(&mut net, a, near, b"!");
    assert_eq!(event_lines(&mut net, hosts, start), ["0 a s1 closed: too many unsent bytes"]);
    assert_eq!(net.stream_backlog(a, near), None);
    net.with(b, |b, _| b.is_quiet = true);
    let start = net.now();
    resume(&mut net, b, far);
    let _end = net.run_for(Duration::from_secs(60));
    assert!(net.machine(b).unwrap().taken == bytes[..64 * KIB], "bytes in transit arrive");
    assert_eq!(event_lines(&mut net, hosts, start), ["25 b s2 closed: reset by the peer"]);
    assert_eq!(net.stream_count(), 0, "the queued bytes are released");
}

#[test]
fn nothing_is_handed_in_while_more_than_64_kib_wait_to_be_sent() {
    let (mut net, [a, b], [near, far]) = two();
    net.with(b, |b, _| (b.echoes, b.is_quiet) = (true, true));
    net.with(a, |a, _| a.is_quiet = true);
    pause(&mut net, a, near);
    let bytes = pattern(280 * KIB);
    // The first 64 KiB of echoes are in the window, the next 64 KiB wait at `b`, and one more chunk. Then `b` gets no
    // bytes.
    for part in bytes.chunks(40 * KIB) {
        send(&mut net, a, near, part);
        let _end = net.run_for(Duration::from_secs(1));
        let (unsent, in_window, unread) = backlog(&net, b, far);
        assert!(unsent <= 104 * KIB && in_window <= 64 * KIB && unread <= 64 * KIB, "{unsent} {in_window} {unread}");
    }
    assert_eq!(backlog(&net, b, far), (96 * KIB, 64 * KIB, 64 * KIB));
    assert_eq!(backlog(&net, a, near), (56 * KIB, 64 * KIB, 64 * KIB));
    resume(&mut net, a, near);
    let _end = net.run_for(Duration::from_secs(1));
    assert!(net.machine(a).unwrap().taken == bytes, "all echoes arrive once `a` reads");
    assert_eq!((backlog(&net, a, near), backlog(&net, b, far)), ((0, 0, 0), (0, 0, 0)));
}

/// The opening end reads although its queue is full, so the accepting end can send, and then reads too.
#[test]
fn two_ends_that_are_both_full_continue() {
    for length in [129 * KIB, 320 * KIB] {
        let (mut net, hosts @ [a, b], [near, far]) = two();
        let start = net.now();
        for (host, socket) in [(a, near), (b, far)] {
            net.with(host, |host, _| host.is_quiet = true);
            send(&mut net, host, socket, &pattern(length));
        }
        assert_eq!(
            event_lines(&mut net, hosts, start),
            ["0 a s1 full: the peer reads slowly", "0 b s2 full: the peer reads slowly"]
        );
        let _end = net.run_for(Duration::from_secs(1));
        for host in hosts {
            assert!(net.machine(host).unwrap().taken == pattern(length), "{length} bytes in each direction");
        }
        assert_eq!((backlog(&net, a, near), backlog(&net, b, far)), ((0, 0, 0), (0, 0, 0)));
    }
}

/// Two hosts: `a` has opened a stream to `b` and answers each byte with 1 KiB. `b` has sent 1,000 bytes and does not read.
fn answers(when_full: WhenFull) -> (Net<Streamer>, [HostId; 2], [SocketId; 2]) {
    let (mut net, hosts @ [a, b], sockets @ [_, far]) = two();
    net.with(a, |a, _| (a.mode, a.answers, a.is_quiet) = (ReadMode::AtMost(1), Some((KIB, when_full)), true));
    pause(&mut net, b, far);
    send(&mut net, b, far, &[1; 1_000]);
    (net, hosts, sockets)
}

#[test]
fn an_opened_stream_that_is_read_while_it_is_full_is_closed_above_256_kib() {
    let (mut net, hosts @ [a, b], [near, far]) = answers(WhenFull::Close);
    let (start, mut most) = (net.now(), 0);
    while let Some(StreamBacklog { unsent, .. }) = net.stream_backlog(a, near) {
        most = most.max(unsent);
        assert!(net.step().is_some(), "{unsent} bytes wait, and no wake-up is left");
    }
    assert_eq!(
        event_lines(&mut net, hosts, start),
        ["25 a s1 full: the peer reads slowly", "25 a s1 closed: too many unsent bytes"]
    );
    assert!(most <= 256 * KIB, "{most} bytes");
    // The window takes 64 answers, and 256 wait. The next one closes the stream.
    assert_eq!(net.machine(a).unwrap().taken.len(), 64 + 256 + 1);
    resume(&mut net, b, far);
    let _end = net.run_for(MS * 25);
    assert_eq!(net.stream_count(), 0, "the queued bytes are released");
}

#[test]
fn an_opened_stream_that_is_read_while_it_is_full_holds_64_kib_of_droppable_bytes() {
    let (mut net, hosts @ [a, b], [near, far]) = answers(WhenFull::Drop);
    let start = net.now();
    let _end = net.run_for(Duration::from_secs(60));
    assert_eq!(event_lines(&mut net, hosts, start), ["25 a s1 full: the peer reads slowly"]);
    assert_eq!(net.machine(a).unwrap().taken.len(), 1_000, "all bytes of the peer are read");
    assert_eq!(backlog(&net, a, near), (65 * KIB, 64 * KIB, 0));
    assert_eq!(net.stream_stats(a).dropped, 1_000 - 129);
    net.with(b, |b, _| b.is_quiet = true);
    resume(&mut net, b, far);
    let _end = net.run_for(Duration::from_secs(1));
    assert_eq!(net.machine(b).unwrap().taken.len(), 129 * KIB);
    assert_eq!(backlog(&net, a, near), (0, 0, 0));
}

#[test]
fn an_opened_stream_that_is_full_and_not_read_is_closed() {
    let (mut net, hosts @ [a, b], [near, far]) = two();
    net.with(a, |a, _| a.mode = ReadMode::Nothing);
    pause(&mut net, b, far);
    send(&mut net, a, near, &pattern(129 * KIB));
    let start = net.now();
    net.take_events();
    send(&mut net, b, far, b"unread");
    let _end = net.run_for(MS * 25);
    assert_eq!(
        event_lines(&mut net, hosts, start),
        ["25 a s1 takes 0 of 6", "25 a s1 takes 0 of 6", "25 a s1 closed: its bytes are not read"]
    );
}

#[test]
fn the_end_comes_after_the_last_bytes_even_if_they_are_read_late() {
    let (mut net, hosts @ [a, b], [near, far]) = two();
    pause(&mut net, b, far);
    let bytes = pattern(300 * KIB);
    send(&mut net, a, near, &bytes);
    net.with(a, |a, _| a.order(SocketOrder::Close(near)));
    let _end = net.run_for(Duration::from_secs(3_600));
    net.take_events();
    assert_eq!((net.stream_count(), net.stream_backlog(a, near)), (1, None), "the closed end still sends");
    net.with(b, |b, _| b.is_quiet = true);
    let start = net.now();
    resume(&mut net, b, far);
    let _end = net.run_for(Duration::from_secs(1));
    assert!(net.machine(b).unwrap().taken == bytes);
    // Four more windows, one round trip each. The end arrives with the last bytes.
    assert_eq!(event_lines(&mut net, hosts, start), ["200 b s2 closed: closed by the peer"]);
    assert_eq!(net.stream_count(), 0);
}

#[test]
fn a_window_in_each_round_trip() {
    let (mut net, [a, b], [near, _]) = two();
    net.with(b, |b, _| b.is_quiet = true);
    let start = net.now();
    send(&mut net, a, near, &pattern(256 * KIB));
    for (ms, arrived) in [(24, 0), (25, 64), (74, 64), (75, 128), (125, 192), (175, 256)] {
        let _end = net.run_until(start + MS * ms);
        assert_eq!(net.machine(b).unwrap().taken.len(), arrived * KIB, "after {ms} ms");
    }
}

#[test]
fn a_stream_takes_the_bandwidth_of_the_slowest_wire() {
    // 100,000 bytes a second up: 1,460 bytes in packets of 1,500 bytes, 15 ms each.
    let mut slow = Link::PERFECT;
    slow.up.bandwidth = Some(100_000);
    let (mut net, [a, b], [near, _]) = connected(&slow);
    net.with(b, |b, _| b.is_quiet = true);
    let start = net.now();
    for _ in 0..4 {
        net.with(a, |a, _| a.send(near, vec![1; 14_600], WhenFull::Close));
    }
    for packets in [1, 2, 20, 39, 40] {
        let at = start + MS * (packets * 15 + 25);
        let _end = net.run_until(at - Duration::from_nanos(1));
        assert_eq!(net.machine(b).unwrap().taken.len(), (packets as usize - 1) * 1_460);
        let _end = net.run_until(at);
        assert_eq!(net.machine(b).unwrap().taken.len(), packets as usize * 1_460);
    }
}

#[test]
fn two_streams_share_a_wire() {
    let mut slow = Link::PERFECT;
    slow.up.bandwidth = Some(100_000);
    let (mut net, [a, b], [near, _]) = connected(&slow);
    net.with(b, |b, _| b.is_quiet = true);
    let second = net.with(a, |a, cx| a.open(cx, Protocol::Tcp, "0.0.0.0:0", Some("85.0.0.2:9"))).unwrap();
    let _end = net.run_for(MS * 60);
    let start = net.now();
    for socket in [near, second] {
        net.with(a, |a, _| a.send(socket, vec![1; 43_800], WhenFull::Close));
    }
    let _end = net.run_until(start + MS * (59 * 15 + 25));
    assert_eq!(net.machine(b).unwrap().taken.len(), 2 * 43_800 - 1_460);
    let _end = net.run_until(start + MS * (60 * 15 + 25));
    assert_eq!(net.machine(b).unwrap().taken.len(), 2 * 43_800);
}

#[test]
fn a_relay_between_a_fast_and_a_slow_stream_holds_little() {
    const TOTAL: usize = 20_000_000;
    let (fast, slow) = (Link::delay(MS * 5).bandwidth(10_000_000, 0), Link::delay(MS * 5).bandwidth(1_000_000, 0));
    let mut net = Net::new(1);
    let [a, relay, c] = [("a", &fast, "85.0.0.1"), ("relay", &Link::PERFECT, "85.0.0.2"), ("c", &slow, "85.0.0.3")]
        .map(|(name, link, ip)| net.add_host(net.internet(), name, &[ip.parse().unwrap()], link, Streamer::default()));
    for host in [relay, c] {
        net.with(host, |at, cx| at.open(cx, Protocol::TcpListen, "0.0.0.0:9", None));
    }
    net.with(relay, |relay, cx| relay.open(cx, Protocol::Tcp, "0.0.0.0:0", Some("85.0.0.3:9")));
    let near = net.with(a, |a, cx| a.open(cx, Protocol::Tcp, "0.0.0.0:0", Some("85.0.0.2:9"))).unwrap();
    let _end = net.run_for(MS * 100);
    let (from, to) = (SocketId(3), SocketId(2));
    for host in [relay, c] {
        net.with(host, |at, _| at.is_quiet = true);
    }
    net.with(relay, |relay, _| relay.splice = vec![(from, to)]);

    let (bytes, start) = (pattern(TOTAL), net.now());
    let (mut sent, mut arrived, mut most, mut pauses) = (0, 0, 0, 0);
    while arrived < TOTAL {
        while sent < TOTAL && backlog(&net, a, near).0 < 64 * KIB {
            let end = TOTAL.min(sent + 16 * KIB);
            send(&mut net, a, near, &bytes[sent..end]);
            sent = end;
        }
        assert!(net.step().is_some(), "{arrived} of {sent} bytes arrived, and no wake-up is left");
        let (unsent, in_window, _) = backlog(&net, relay, to);
        most = most.max(unsent + in_window + backlog(&net, relay, from).2);
        pauses += net.take_events().iter().filter(|event| event.event.contains("full")).count();
        net.with(relay, |relay, _| relay.taken.clear());
        net.with(c, |c, _| {
            assert!(bytes[arrived..].starts_with(&c.taken), "after {arrived} bytes");
            arrived += c.taken.len();
            c.taken.clear();
        });
    }
    let seconds = (net.now() - start).as_secs_f64();
    // 20 MB in packets of 1,500 bytes with 1,460 of them.
    assert!((20.5..21.0).contains(&seconds), "{seconds} s");
    assert!(most <= 256 * KIB, "the relay held {most} bytes");
    assert!(pauses > 100, "{pauses} pauses");
}

/// The end of a stream that opens it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Opener {
    Peer,
    Relay,
}

/// A relay between two peers. It opens the streams to the peers, or accepts them. Returns the net, the relay, and for each
/// peer its host, its socket, and the socket of the relay.
fn relayed(openers: [Opener; 2]) -> (Net<Streamer>, HostId, [(HostId, SocketId, SocketId); 2]) {
    let mut net = Net::new(1);
    let [relay, a, c] = [("relay", "85.0.0.1"), ("a", "85.0.0.2"), ("c", "85.0.0.3")].map(|(name, ip)| {
        let link = Link::delay(MS * 5).bandwidth(10_000_000, 0);
        net.add_host(net.internet(), name, &[ip.parse().unwrap()], &link, Streamer::default())
    });
    for host in [relay, a, c] {
        net.with(host, |at, cx| {
            at.is_quiet = true;
            at.open(cx, Protocol::TcpListen, "0.0.0.0:9", None)
        });
    }
    let _end = net.run_for(MS);
    let peers = [(a, "85.0.0.2:9", openers[0]), (c, "85.0.0.3:9", openers[1])].map(|(peer, address, opener)| {
        let (from, to) = if opener == Opener::Peer { (peer, "85.0.0.1:9") } else { (relay, address) };
        let opened = net.with(from, |at, cx| at.open(cx, Protocol::Tcp, "0.0.0.0:0", Some(to))).unwrap();
        let _end = net.run_for(MS * 100);
        let accepted = net.take_events().into_iter().find_map(|event| {
            let (_, rest) = event.event.split_once("accepted s")?;
            Some(SocketId(rest.split_once(' ')?.0.parse().unwrap()))
        });
        let accepted = accepted.unwrap();
        if opener == Opener::Peer { (peer, opened, accepted) } else { (peer, accepted, opened) }
    });
    let [one, other] = peers.map(|(_, _, socket)| socket);
    net.with(relay, |relay, _| relay.splice = vec![(one, other), (other, one)]);
    (net, relay, peers)
}

/// Both peers always have bytes to send, so each of them is full again and again.
#[test]
fn a_relay_moves_10_mb_in_both_directions_at_once() {
    const TOTAL: usize = 10_000_000;
    for openers in [[Opener::Peer, Opener::Relay], [Opener::Peer, Opener::Peer], [Opener::Relay, Opener::Peer]] {
        let (mut net, relay, peers) = relayed(openers);
        let (bytes, start) = (pattern(TOTAL), net.now());
        let (mut sent, mut arrived, mut most, mut pauses) = ([0; 2], [0; 2], 0, 0);
        while arrived != [TOTAL; 2] {
            for (nth, (peer, socket, at_relay)) in peers.into_iter().enumerate() {
                // The peer sends from `Writable` to `Full`.
                if sent[nth] < TOTAL && backlog(&net, peer, socket).0 < 32 * KIB {
                    while sent[nth] < TOTAL && backlog(&net, peer, socket).0 <= 64 * KIB {
                        let end = TOTAL.min(sent[nth] + 16 * KIB);
                        send(&mut net, peer, socket, &bytes[sent[nth]..end]);
                        sent[nth] = end;
                    }
                }
                net.with(peer, |peer, _| {
                    assert!(bytes[arrived[nth]..].starts_with(&peer.taken), "after {} bytes", arrived[nth]);
                    arrived[nth] += peer.taken.len();
                    peer.taken.clear();
                });
                most = most.max(backlog(&net, relay, at_relay).0);
            }
            net.with(relay, |relay, _| relay.taken.clear());
            let events = net.take_events();
            pauses += events.iter().filter(|event| event.host == relay && event.event.contains("full")).count();
            assert!(arrived == [TOTAL; 2] || net.step().is_some(), "{openers:?}: {arrived:?} of {sent:?} bytes");
        }
        println!("{openers:?}: {:?}, {pauses} pauses, at most {most} bytes for a peer", net.now() - start);
        assert!(most <= 128 * KIB, "{openers:?}: the relay held {most} bytes for a peer");
    }
}

/// No peer reads until all queues are filled. The last case is a limit of the driving contract: the relay has paused both
/// streams, and both peers are accepting ends, which do not read while they are full.
#[test]
fn a_relay_between_full_ends_continues_if_a_peer_opened_its_stream() {
    let full = 400 * KIB;
    for (openers, moves) in [
        ([Opener::Peer, Opener::Peer], true),
        ([Opener::Peer, Opener::Relay], true),
        ([Opener::Relay, Opener::Peer], true),
        ([Opener::Relay, Opener::Relay], false),
    ] {
        let (mut net, relay, peers) = relayed(openers);
        for (peer, socket, _) in peers {
            pause(&mut net, peer, socket);
        }
        let bytes = pattern(full);
        for part in bytes.chunks(16 * KIB) {
            for (peer, socket, _) in peers {
                send(&mut net, peer, socket, part);
            }
            let _end = net.run_for(MS * 100);
        }
        for (peer, socket, at_relay) in peers {
            assert!(backlog(&net, peer, socket).0 > 64 * KIB, "{:?}", backlog(&net, peer, socket));
            assert!(backlog(&net, relay, at_relay).0 >= 64 * KIB, "{:?}", backlog(&net, relay, at_relay));
        }
        for (peer, socket, _) in peers {
            resume(&mut net, peer, socket);
        }
        let _end = net.run_for(Duration::from_secs(3_600));
        for (peer, ..) in peers {
            let taken = &net.machine(peer).unwrap().taken;
            assert_eq!(*taken == bytes, moves, "{openers:?}: {} bytes", taken.len());
            assert!(moves || taken.is_empty(), "{openers:?}");
        }
    }
}

#[test]
fn pause_and_resume_of_other_sockets_do_nothing() {
    let (mut net, [_, b], _) = two();
    net.record_story();
    let udp = net.with(b, |b, cx| b.open(cx, Protocol::Udp, "0.0.0.0:7", None)).unwrap();
    for socket in [udp, SocketId(1), SocketId(99)] {
        pause(&mut net, b, socket);
        resume(&mut net, b, socket);
        let line = format!("b            {socket} is no stream: nothing happens\n");
        assert_eq!(net.story().matches(&line).count(), 2, "{}", net.story());
    }
}

/// A client of a server that answers over TCP.
fn client() -> (Net<Streamer>, HostId, SocketId) {
    let mut net = Net::new(1);
    let a = net.add_host(net.internet(), "a", &["85.0.0.1".parse().unwrap()], &Link::delay(MS), Streamer::default());
    net.add_server(net.internet(), Server::new("stun", "192.0.2.1:3478".parse().unwrap()), &Link::PERFECT);
    let socket = net.with(a, |a, cx| a.open(cx, Protocol::Tcp, "0.0.0.0:0", Some("192.0.2.1:3478"))).unwrap();
    let _end = net.run_for(MS * 2);
    net.with(a, |a, _| a.is_quiet = true);
    net.take_events();
    (net, a, socket)
}

#[test]
fn a_server_answers_all_pipelined_requests_and_waits_for_a_client_that_does_not_read() {
    const REQUESTS: usize = 9_000;
    let (mut net, a, socket) = client();
    let requests: Vec<u8> = (0..REQUESTS as u32)
        .flat_map(|n| crate::probe::request([n.to_be_bytes(); 3].concat().try_into().unwrap(), &[]))
        .collect();
    pause(&mut net, a, socket);
    for part in requests.chunks(60_001) {
        send(&mut net, a, socket, part);
    }
    let _end = net.run_for(Duration::from_secs(60));
    assert_eq!(backlog(&net, a, socket).2, 64 * KIB, "a window full of answers");
    assert!(backlog(&net, a, socket).0 > 0, "and the server reads no more: {:?}", backlog(&net, a, socket));
    resume(&mut net, a, socket);
    let _end = net.run_for(Duration::from_secs(60));
    let mut taken = &net.machine(a).unwrap().taken[..];
    for n in 0..REQUESTS as u32 {
        let frame = portolan_stun::framing::next(taken).unwrap().unwrap();
        let message = portolan_stun::Message::decode(frame.bytes).unwrap();
        assert_eq!(message.transaction_id().as_bytes()[..4], n.to_be_bytes());
        taken = &taken[frame.taken..];
    }
    assert!(taken.is_empty());
}

#[test]
fn a_server_drops_a_chunk_that_is_not_stun_and_keeps_the_stream() {
    let (mut net, a, socket) = client();
    send(&mut net, a, socket, b"GET / HTTP/1.1\r\n\r\n");
    let _end = net.run_for(MS * 2);
    send(&mut net, a, socket, &crate::probe::request([7; 12], &[]));
    let _end = net.run_for(MS * 2);
    assert_eq!(
        portolan_stun::Message::decode(&net.machine(a).unwrap().taken).unwrap().transaction_id(),
        [7; 12].into()
    );
    net.with(a, |a, _| a.order(SocketOrder::Close(socket)));
    assert_eq!(net.stream_count(), 1);
    let _end = net.run_for(MS);
    assert_eq!((net.stream_count(), net.now()), (0, Instant::from_millis(7)), "the server's end is released too");
}
