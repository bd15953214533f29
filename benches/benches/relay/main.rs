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
use criterion::{BenchmarkGroup, Criterion};
use portolan_machine::{Datagram, SocketId};
use portolan_stun::demux::ChannelData;
use portolan_turn::IndicationKind;
use rig::{Client, Rig, Rng};
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

    /// A datagram of one client and channel.
    fn datagram(self, rig: &Rig, client: &Client, number: u16) -> Owned {
        let peer = client.peer(number);
        let data = [7; LENGTH];
        let (from_client, head) = match self {
            Self::ChannelToPeer => (true, ChannelData::head(number, LENGTH).expect("a channel number").to_vec()),
            Self::SendToPeer => {
                let head = IndicationKind::Send.head([9; 12].into(), peer, LENGTH).expect("a short datagram");
                (true, head.as_slice().to_vec())
            }
            Self::ChannelToClient | Self::DataToClient => (false, Vec::new()),
        };
        let payload = [head.as_slice(), &data].concat();
        if from_client {
            Owned { socket: rig.listener, local: rig.local, remote: client.address, payload }
        } else {
            // Without a channel: another port of the peer's address, for which there is a permission.
            let port = if self == Self::DataToClient { 6_000 } else { peer.port() };
            Owned { socket: client.relay, local: client.relayed, remote: (peer.ip(), port).into(), payload }
        }
    }
}

struct Owned {
    socket: SocketId,
    local: core::net::SocketAddr,
    remote: core::net::SocketAddr,
    payload: Vec<u8>,
}

impl Owned {
    fn as_datagram(&self) -> Datagram<'_> {
        Datagram::new(self.socket, self.local, self.remote, &self.payload)
    }
}

/// Measures every kind of datagram at a server with this number of allocations and channels, in random order.
fn forward(criterion: &mut Criterion<ThreadTime>, clients: u32, channels: u16) {
    let mut rig = Rig::with_clients(clients, channels);
    let mut group = criterion.benchmark_group(format!("{clients} allocations, channels of each: {channels}"));
    for kind in Kind::ALL {
        let mut datagrams: Vec<Owned> = Vec::new();
        for client in &rig.clients {
            datagrams.extend((0..channels).map(|channel| kind.datagram(&rig, client, 0x4000 + channel)));
        }
        Rng(42).shuffle(&mut datagrams);
        let ((), counted) = allocations::during(|| {
            for datagram in datagrams.iter().cycle().take(100_000) {
                assert!(rig.forward(datagram.as_datagram()).is_some(), "{} is forwarded", kind.name());
            }
        });
        let mut next = datagrams.iter().cycle();
        group.bench_function(kind.name(), |bencher| {
            bencher.iter(|| next.next().map(|datagram| black_box(rig.forward(black_box(datagram.as_datagram())))));
        });
        print(&format!("{}: {counted} allocations for 100,000 datagrams", kind.name()));
        if clients * u32::from(channels) > 10_000 {
            overhead(&mut group, kind, &datagrams);
        }
    }
    group.finish();
}

/// Measures the reading of the datagram itself: with many datagrams it is in no cache either.
fn overhead(group: &mut BenchmarkGroup<'_, ThreadTime>, kind: Kind, datagrams: &[Owned]) {
    let mut next = datagrams.iter().cycle();
    group.bench_function(format!("{}: reading the datagram", kind.name()), |bencher| {
        bencher.iter(|| next.next().map(|datagram| black_box(datagram.payload.first().copied())));
    });
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
    let mut rates: Vec<f64> = (0..7).map(|_| f64::from(COUNT) / Rig::new().allocate(COUNT).as_secs_f64()).collect();
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
        let mut rig = Rig::with_clients(STATE, 1);
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
    forward(&mut criterion, 1_000, 1);
    forward(&mut criterion, 1_000, 100);
    forward(&mut criterion, 100_000, 1);
    allocate();
    state();
    criterion.final_summary();
}
