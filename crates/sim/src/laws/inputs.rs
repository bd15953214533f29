//! Law 5: no input makes a machine panic.

use super::script::{Action, OwnedInput, Step, all_socket_events};
use super::stage::Stage;
use super::{Context, StepResult};
use alloc::vec;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use portolan_machine::{Datagram, Input, Instant, Machine, Output, Script, SocketEvent, SocketId, SocketOrder};

/// The number of places in a script where the hostile inputs are inserted, each in a separate run.
const PLACES: usize = 6;

/// Sockets that the machine does not know.
pub(super) const UNKNOWN: SocketId = SocketId(u64::MAX);

/// Law 5: no input panics.
///
/// The script's inputs are played, and a list of hostile inputs is inserted at several places. Hostile inputs are
/// empty and huge datagrams, truncated and extended copies of the script's payloads, unusual addresses, and every
/// socket event.
/// All of them arrive on every socket of the machine and on an unknown one.
///
/// # Panics
/// If the machine panics.
pub fn no_input_panics<M: Machine<Command: Script>>(
    factory: &impl Fn() -> M,
    script: &[Step],
    context: &Context<'_, M>,
) {
    let payloads = hostile_payloads(script);
    let stride = script.len().div_ceil(PLACES).max(1);
    for place in (0..=script.len()).step_by(stride) {
        let mut stage = Stage::new(factory(), context);
        let mut sockets: Vec<SocketId> = context.handed_in.to_vec();
        learn(&mut sockets, &stage.drain());
        for (index, step) in script.iter().enumerate() {
            if index == place {
                attack(&mut stage, &sockets, &payloads, step.at);
            }
            if let Action::Input(OwnedInput::Socket(_, SocketEvent::Accepted { socket, .. })) = step.action {
                sockets.push(socket);
            }
            learn(&mut sockets, &stage.play(step));
        }
        if place == script.len() {
            let at = script.last().map_or(Instant::ORIGIN, |step| step.at);
            attack(&mut stage, &sockets, &payloads, at);
        }
    }
}

/// Collects the sockets that the machine ordered.
fn learn<E>(sockets: &mut Vec<SocketId>, played: &StepResult<E>) {
    for output in &played.outputs {
        if let Output::Socket(SocketOrder::Open(open)) = output {
            sockets.push(open.id);
        }
    }
}

/// Payloads that test the limits of decoders.
fn hostile_payloads(script: &[Step]) -> Vec<Vec<u8>> {
    let mut payloads =
        vec![Vec::new(), vec![0], vec![0; 20], vec![0xff; 20], vec![0x55; 1500], vec![0; 65_507], vec![0xff; 65_507]];
    for step in script {
        if let Action::Input(OwnedInput::Datagram(d)) | Action::Stream(d) = &step.action {
            let cut = d.payload.len() / 2;
            payloads.push(d.payload.get(..cut).unwrap_or_default().to_vec());
            payloads.push(d.payload.iter().copied().chain([0; 4]).collect());
            if payloads.len() > 24 {
                break;
            }
        }
    }
    payloads
}

/// Hands in all hostile inputs at `at`, on the known sockets and on an unknown one.
fn attack<M: Machine<Command: Script>>(stage: &mut Stage<M>, sockets: &[SocketId], payloads: &[Vec<u8>], at: Instant) {
    let v4 = |ip: Ipv4Addr, port| SocketAddr::new(IpAddr::V4(ip), port);
    let v6 = |ip: Ipv6Addr, port| SocketAddr::new(IpAddr::V6(ip), port);
    let addresses = [
        v4(Ipv4Addr::new(192, 0, 2, 66), 6666),
        v4(Ipv4Addr::UNSPECIFIED, 0),
        v4(Ipv4Addr::BROADCAST, u16::MAX),
        v6(Ipv6Addr::UNSPECIFIED, 0),
        v6(Ipv4Addr::new(192, 0, 2, 66).to_ipv6_mapped(), 6666),
    ];
    // The socket events come last, because some of them end the machine.
    for id in core::iter::once(UNKNOWN).chain(sockets.iter().copied().take(4)) {
        for (payload, remote) in payloads.iter().zip(addresses.into_iter().cycle()) {
            let datagram = Datagram::new(id, v4(Ipv4Addr::new(192, 0, 2, 1), 1), remote, payload);
            let _verdict = stage.handle(at, Input::Datagram(datagram));
            let _taken = stage.chunk(at, datagram);
        }
        stage.drain();
    }
    for id in core::iter::once(UNKNOWN).chain(sockets.iter().copied().take(4)) {
        for address in addresses {
            for event in all_socket_events(address, UNKNOWN) {
                let _verdict = stage.handle(at, Input::Socket(id, event));
            }
        }
        stage.drain();
    }
}
