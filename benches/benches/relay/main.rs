//! Measures the TURN server alone, without sockets: the forwarding decision, Allocate, and the size of its state.
//!
//! `cargo bench --manifest-path benches/Cargo.toml --bench relay` prints the processor time of `Server::forward` for
//! each datagram, beside the time of one cold lookup: a load of memory that is in no cache. It also prints the
//! allocations of 100,000 decisions, the rate of Allocate with challenge and HMAC, and the bytes of state of an
//! allocation and of a permission.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a benchmark ends at the first response that it does not expect"
)]

#[path = "../harness/allocations.rs"]
mod allocations;
#[path = "../harness/clock.rs"]
mod clock;
mod rig;

use clock::ThreadTime;
use core::hint::black_box;
use core::time::Duration;
use criterion::Criterion;
use portolan_machine::{Datagram, Forward};
use portolan_stun::demux::ChannelData;
use portolan_turn::IndicationKind;
use rig::{Mix, Rig, Rng};
use std::io::Write as _;

/// The payload of a datagram in bytes.
const LENGTH: usize = 160;
/// The allocations whose state is measured.
const STATE: u32 = 8_000;
/// The permissions of each allocation whose state is measured.
const PERMISSIONS: u16 = 64;

/// The kinds of datagrams.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// From the client with a ChannelData header, and from the peer of a channel.
    ChannelToPeer,
    ChannelToClient,
    /// A Send indication, and a datagram of a peer without a channel.
    SendToPeer,
    DataToClient,
}

impl Kind {
    const ALL: [Self; 4] = [Self::ChannelToPeer, Self::ChannelToClient, Self::SendToPeer, Self::DataToClient];

    const fn name(self) -> &'static str {
        match self {
            Self::ChannelToPeer => "channel to peer",
            Self::ChannelToClient => "channel to client",
            Self::SendToPeer => "Send to peer",
            Self::DataToClient => "Data to client",
        }
    }

    /// Writes the bytes before the data of a datagram into a receive buffer, and returns the datagram. The system has
    /// written a receive buffer just before, so it is in the cache; so are the addresses.
    #[inline]
    fn receive<'a>(self, rig: &Rig, (client, number): (u32, u16), buffer: &'a mut Buffer) -> Datagram<'a> {
        let client = &rig.clients[client as usize];
        let peer = client.peer(number);
        match self {
            Self::ChannelToPeer => {
                let head = ChannelData::head(number, LENGTH).expect("a channel number");
                Datagram::new(rig.listener, rig.local, client.address, buffer.with_head(&head))
            }
            Self::SendToPeer => {
                let head = IndicationKind::Send.head([9; 12].into(), peer, LENGTH).expect("a short datagram");
                Datagram::new(rig.listener, rig.local, client.address, buffer.with_head(head.as_slice()))
            }
            Self::ChannelToClient => Datagram::new(client.relay, client.relayed, peer, buffer.with_head(&[])),
            // Without a channel: another port of the peer's address, for which there is a permission.
            Self::DataToClient => {
                Datagram::new(client.relay, client.relayed, (peer.ip(), 6_000).into(), buffer.with_head(&[]))
            }
        }
    }
}

/// A receive buffer.
struct Buffer([u8; Forward::HEAD + LENGTH]);

impl Buffer {
    #[inline]
    fn with_head(&mut self, head: &[u8]) -> &[u8] {
        self.0[..head.len()].copy_from_slice(head);
        &self.0[..head.len() + LENGTH]
    }
}

/// Measures every kind of datagram at a server with this number of allocations and channels, in random order. Also
/// measures the arrival of the datagrams without the decision.
fn forward(criterion: &mut Criterion<ThreadTime>, clients: u32, channels: u16, mix: Mix) {
    let mut rig = Rig::with_clients(clients, channels, mix);
    let mut group = criterion.benchmark_group(format!("{clients} allocations ({mix}), channels of each: {channels}"));
    let mut buffer = Buffer([7; _]);
    let mut places: Vec<(u32, u16)> =
        (0..clients).flat_map(|client| (0..channels).map(move |channel| (client, 0x4000 + channel))).collect();
    Rng(42).shuffle(&mut places);
    for kind in Kind::ALL {
        let ((), counted) = allocations::during(|| {
            for &place in places.iter().cycle().take(100_000) {
                let datagram = kind.receive(&rig, place, &mut buffer);
                assert!(rig.forward(datagram).is_some(), "{} is forwarded", kind.name());
            }
        });
        let mut next = places.iter().cycle();
        group.bench_function(kind.name(), |bencher| {
            bencher.iter(|| {
                let place = next.next().copied().unwrap_or_default();
                let datagram = black_box(kind.receive(&rig, place, &mut buffer));
                black_box(rig.forward(datagram)).is_some()
            });
        });
        print(&format!("{}: {counted} allocations for 100,000 datagrams", kind.name()));
        let mut next = places.iter().cycle();
        group.bench_function(format!("{}: arrival alone", kind.name()), |bencher| {
            bencher.iter(|| {
                let place = next.next().copied().unwrap_or_default();
                black_box(kind.receive(&rig, place, &mut buffer)).payload.len()
            });
        });
    }
    group.finish();
}

/// Measures one cold lookup: the loads of a chain through as many places as there are allocations, one KiB apart. The
/// address of a load is the result of the load before.
fn cold_lookup(criterion: &mut Criterion<ThreadTime>) {
    const PLACES: usize = 100_000;
    const STRIDE: usize = 128;
    let mut order: Vec<usize> = (0..PLACES).collect();
    Rng(7).shuffle(&mut order);
    let mut memory = vec![0usize; PLACES * STRIDE];
    for (from, to) in order.iter().zip(order.iter().cycle().skip(1)) {
        memory[from * STRIDE] = to * STRIDE;
    }
    let mut at = 0;
    criterion.bench_function("one cold lookup", |bencher| {
        bencher.iter(|| {
            at = memory[at];
            at
        });
    });
}

/// Measures Allocate: the challenge, the check of the HMAC, the order of the socket and the response.
fn allocate() {
    const COUNT: u32 = 20_000;
    let mut rates: Vec<f64> =
        (0..7).map(|_| f64::from(COUNT) / Rig::new(Mix::Ipv4).allocate(COUNT).as_secs_f64()).collect();
    rates.sort_by(f64::total_cmp);
    print(&format!(
        "Allocate with challenge and HMAC: {:.0} for each second of processor time ({:.0} to {:.0})",
        rates[3], rates[0], rates[6]
    ));
}

/// Measures the state of allocations with one channel, and that of permissions: the bytes that the server releases
/// when it is dropped.
fn state() {
    let bytes = |permissions: u16| {
        let mut rig = Rig::with_clients(STATE, 1, Mix::Both);
        if permissions > 0 {
            rig.permit(permissions);
        }
        allocations::bytes_of(rig.server) as f64
    };
    let (few, many) = (bytes(0), bytes(PERMISSIONS));
    print(&format!(
        "state of {STATE} allocations: {:.0} bytes for each with one channel, {:.0} bytes for each further permission",
        few / f64::from(STATE),
        (many - few) / f64::from(STATE) / f64::from(PERMISSIONS)
    ));
}

fn print(line: &str) {
    writeln!(std::io::stdout(), "{line}").expect("an open output");
}

fn main() {
    let mut criterion = Criterion::default()
        .with_measurement(ThreadTime)
        .without_plots()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .configure_from_args();
    cold_lookup(&mut criterion);
    forward(&mut criterion, 1_000, 1, Mix::Ipv4);
    forward(&mut criterion, 1_000, 1, Mix::Both);
    forward(&mut criterion, 1_000, 100, Mix::Ipv4);
    forward(&mut criterion, 1_000, 100, Mix::Both);
    forward(&mut criterion, 100_000, 1, Mix::Both);
    allocate();
    state();
    criterion.final_summary();
}
