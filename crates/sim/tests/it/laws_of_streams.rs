//! Properties of every stream: bytes arrive in order, none is lost or duplicated, queues are bounded, closed streams
//! are released, and a run depends only on its seed.

use crate::datagrams::ip;
use crate::streamer::{A, B, KIB, MS, ReadMode, Streamer, connected};
use core::time::Duration;
use portolan_machine::{SocketId, SocketOrder, WhenFull};
use portolan_sim::{HostId, Link, Net, Stop};
use proptest::prelude::*;

#[derive(Clone, Copy, Debug)]
enum Operation {
    /// Sends this number of bytes, droppable or not.
    Send(usize, bool),
    Pause,
    Resume,
    SetReadMode(ReadMode),
    Interface(bool),
    Close,
    Wait(u64),
}

fn operations() -> impl Strategy<Value = Vec<(bool, Operation)>> {
    let mode = prop_oneof![
        Just(ReadMode::All),
        (1..5_000_usize).prop_map(ReadMode::AtMost),
        Just(ReadMode::NothingOnce),
        Just(ReadMode::Pause),
    ];
    let operation = prop_oneof![
        12 => (0..60_000_usize, any::<bool>()).prop_map(|(length, drop)| Operation::Send(length, drop)),
        2 => Just(Operation::Pause),
        2 => Just(Operation::Resume),
        2 => mode.prop_map(Operation::SetReadMode),
        2 => any::<bool>().prop_map(Operation::Interface),
        1 => Just(Operation::Close),
        8 => (0..400_u64).prop_map(Operation::Wait),
    ];
    proptest::collection::vec((any::<bool>(), operation), 1..80)
}

fn links() -> impl Strategy<Value = Link> {
    let bandwidth = prop_oneof![2 => Just(None), 1 => (2_000..3_000_000_u64).prop_map(Some)];
    (0..60_u64, bandwidth).prop_map(|(ms, bandwidth)| {
        let link = Link::delay(Duration::from_millis(ms)).loss(0.3).jitter(MS * 9);
        bandwidth.map_or(link, |bandwidth| link.bandwidth(bandwidth, 3_000))
    })
}

/// A run, and the bytes that must have arrived.
struct Run {
    net: Net<Streamer>,
    hosts: [HostId; 2],
    sockets: [SocketId; 2],
    /// The bytes that each host has sent and the driver has accepted.
    accepted: [Vec<u8>; 2],
    /// Whether an end was closed, by its machine or because of too many bytes.
    is_closed: bool,
}

impl Run {
    fn new(link: &Link) -> Self {
        let (mut net, hosts, sockets) = connected(link);
        net.record_story();
        Self { net, hosts, sockets, accepted: [Vec::new(), Vec::new()], is_closed: false }
    }

    fn play(&mut self, which: usize, operation: Operation) {
        let (host, socket) = (self.hosts[which], self.sockets[which]);
        match operation {
            Operation::Send(length, may_drop) => self.send(which, length, may_drop),
            Operation::Pause => self.order(which, SocketOrder::Pause(socket)),
            Operation::Resume => self.order(which, SocketOrder::Resume(socket)),
            Operation::SetReadMode(mode) => {
                self.net.with(host, |host, _| host.mode = mode);
            }
            Operation::Interface(is_up) => self.net.set_interface(host, 0, is_up),
            Operation::Close => {
                self.is_closed = true;
                self.order(which, SocketOrder::Close(socket));
            }
            Operation::Wait(ms) => {
                let _end = self.net.run_for(Duration::from_millis(ms));
            }
        }
        for (host, socket) in self.hosts.into_iter().zip(self.sockets) {
            let Some(backlog) = self.net.stream_backlog(host, socket) else { continue };
            assert!(backlog.unsent <= 256 * KIB && backlog.in_window <= 64 * KIB && backlog.unread <= 64 * KIB);
        }
        for (which, host) in self.hosts.into_iter().enumerate() {
            let taken = &self.net.machine(host).unwrap().taken;
            assert!(self.accepted[1 - which].starts_with(taken), "host {which} took bytes that were not sent");
        }
    }

    fn order(&mut self, which: usize, order: SocketOrder) {
        self.net.with(self.hosts[which], |host, _| host.order(order));
    }

    fn send(&mut self, which: usize, length: usize, may_drop: bool) {
        let (host, socket) = (self.hosts[which], self.sockets[which]);
        let Some(before) = self.net.stream_backlog(host, socket) else { return };
        let start = self.accepted[which].len();
        let bytes: Vec<u8> =
            (start..start + length).map(|n| (n as u32 / 3).wrapping_mul(2_654_435_761) as u8).collect();
        let when_full = if may_drop { WhenFull::Drop } else { WhenFull::Close };
        let dropped = self.net.stream_stats(host).dropped;
        self.net.with(host, |host, _| host.send(socket, bytes.clone(), when_full));
        let is_dropped = self.net.stream_stats(host).dropped > dropped;
        assert_eq!(is_dropped, may_drop && before.unsent > 64 * KIB);
        if !is_dropped {
            self.accepted[which].extend(bytes);
        }
        self.is_closed |= self.net.stream_backlog(host, socket).is_none();
    }

    /// Removes all obstacles, and runs until nothing moves.
    fn settle(&mut self) {
        for which in [0, 1] {
            self.net.set_interface(self.hosts[which], 0, true);
            self.net.with(self.hosts[which], |host, _| host.mode = ReadMode::All);
            self.order(which, SocketOrder::Resume(self.sockets[which]));
        }
        assert_eq!(self.net.run_for(Duration::from_secs(7_200)), Stop::Idle);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_byte_of_a_stream_is_lost(link in links(), operations in operations()) {
        let mut run = Run::new(&link);
        operations.iter().for_each(|(second, operation)| run.play(usize::from(*second), *operation));
        let mut again = Run::new(&link);
        operations.iter().for_each(|(second, operation)| again.play(usize::from(*second), *operation));
        prop_assert_eq!(run.net.story(), again.net.story());

        run.settle();
        let backlogs = [0, 1].map(|which| run.net.stream_backlog(run.hosts[which], run.sockets[which]));
        if !run.is_closed {
            for which in [0, 1] {
                let taken = &run.net.machine(run.hosts[which]).unwrap().taken;
                prop_assert!(*taken == run.accepted[1 - which], "host {} took {} bytes", which, taken.len());
                prop_assert_eq!(backlogs[which].map(|b| (b.unsent, b.in_window, b.unread)), Some((0, 0, 0)));
            }
        }
        for which in [0, 1] {
            run.order(which, SocketOrder::Close(run.sockets[which]));
        }
        prop_assert_eq!(run.net.run_for(Duration::from_secs(7_200)), Stop::Idle);
        prop_assert_eq!(run.net.stream_count(), 0);
    }

    #[test]
    fn a_stream_ends_at_both_ends_whenever_an_address_is_lost(operations in operations(), which in 0..2_usize, comes_back: bool) {
        let mut run = Run::new(&Link::delay(MS));
        operations.iter().for_each(|(second, operation)| run.play(usize::from(*second), *operation));
        run.net.set_addresses(run.hosts[which], 0, &[]);
        let _end = run.net.run_for(Duration::from_secs(1));
        if comes_back {
            run.net.set_addresses(run.hosts[which], 0, &[ip([A, B][which])]);
        }
        run.settle();
        prop_assert_eq!(run.net.stream_backlog(run.hosts[which], run.sockets[which]), None);
        // The other end detects the loss only when it sends.
        run.net.with(run.hosts[1 - which], |host, _| host.send(run.sockets[1 - which], "?", WhenFull::Close));
        prop_assert_eq!(run.net.run_for(Duration::from_secs(7_200)), Stop::Idle);
        prop_assert_eq!(run.net.stream_count(), 0);
    }
}
