//! Laws 8 and 11: no transmit before a socket is open, and no output after the terminal event.

use super::inputs::UNKNOWN;
use super::script::{Action, OwnedInput, Step, all_socket_events};
use super::stage::{Place, Stage, StepResult, live, shorten};
use super::{Context, Law, Violation};
use alloc::format;
use alloc::vec::Vec;
use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;
use portolan_machine::{Instant, Machine, Output, Script, SocketEvent, SocketId, SocketOrder};

/// Law 8: nothing is sent on a socket before `Opened`, unless its owner handed it in.
///
/// `Accepted` opens the socket of the new stream. A machine that sends after its own `Close` of a socket breaks this
/// law too, because it gave up the socket id itself. A transmit after the `Closed` event of a socket is allowed, because
/// the event may overtake queued transmits.
///
/// # Errors
/// A [`Violation`]: the first transmit on a socket that was not open.
pub fn no_transmit_before_opened<M: Machine<Command: Script>>(
    factory: &impl Fn() -> M,
    script: &[Step],
    context: &Context<'_, M>,
) -> Result<(), Violation> {
    let mut open: Vec<SocketId> = context.handed_in.to_vec();
    let mut closed: Vec<SocketId> = Vec::new();
    live(&mut Stage::new(factory(), context), script, |place, played| {
        if let Place::Step(_, Step { action: Action::Input(OwnedInput::Socket(id, event)), .. }) = place {
            match event {
                SocketEvent::Opened { .. } => open.push(*id),
                SocketEvent::Accepted { socket, .. } => open.push(*socket),
                SocketEvent::Refused(_)
                | SocketEvent::Unreachable { .. }
                | SocketEvent::Full
                | SocketEvent::Writable
                | SocketEvent::Closed(_) => {}
            }
        }
        for output in &played.outputs {
            match output {
                Output::Transmit(transmit) if closed.contains(&transmit.socket) => {
                    let what = format!("a transmit on {}, which the machine has closed", transmit.socket);
                    return Err(place.violation(Law::OpenedFirst, what));
                }
                Output::Transmit(transmit) if !open.contains(&transmit.socket) => {
                    let what = format!(
                        "a transmit of {} bytes to {} on {}, which is not open",
                        transmit.payload.len(),
                        transmit.remote,
                        transmit.socket
                    );
                    return Err(place.violation(Law::OpenedFirst, what));
                }
                Output::Socket(SocketOrder::Close(id)) => closed.push(*id),
                Output::Transmit(_)
                | Output::Socket(SocketOrder::Open(_) | SocketOrder::Pause(_) | SocketOrder::Resume(_))
                | Output::Event(_)
                | Output::Wait(_) => {}
            }
        }
        Ok(())
    })
}

/// Law 11: after the terminal event there is only a wait without a deadline.
///
/// The script is played as a driver plays it. After the event come the rest of the script, a timeout in a far future,
/// the script's datagrams once more, and every kind of socket events. The machine must give no output for any of them.
///
/// # Errors
/// A [`Violation`]: the first output or deadline after the terminal event.
pub fn the_end_is_the_end<M: Machine<Command: Script>>(
    factory: &impl Fn() -> M,
    script: &[Step],
    context: &Context<'_, M>,
) -> Result<(), Violation> {
    let mut stage = Stage::new(factory(), context);
    let mut ended = false;
    let mut sockets: Vec<SocketId> = context.handed_in.to_vec();
    live(&mut stage, script, |place, played| {
        for output in &played.outputs {
            if let Output::Socket(SocketOrder::Open(order)) = output {
                sockets.push(order.id);
            }
        }
        silent(&mut ended, place, played, context.terminal)
    })?;
    if !ended {
        return Ok(());
    }
    let address = SocketAddr::from((Ipv4Addr::new(192, 0, 2, 66), 6666));
    let later = Instant::from_origin(Duration::MAX / 2);
    let event = sockets
        .iter()
        .flat_map(|id| all_socket_events(address, UNKNOWN).map(|event| Step::socket_event(later, *id, event)));
    let bytes = script.iter().filter(|step| match &step.action {
        Action::Input(OwnedInput::Datagram(_)) | Action::Stream(_) => true,
        Action::Input(OwnedInput::Socket(..) | OwnedInput::Timeout) | Action::Command(_) => false,
    });
    let bytes = bytes.map(|step| Step::new(later, step.action.clone()));
    let after: Vec<Step> = core::iter::once(Step::timeout(later)).chain(bytes).chain(event).collect();
    for step in &after {
        let played = stage.play(step);
        silent(&mut ended, Place::Step(script.len(), step), &played, context.terminal)?;
    }
    Ok(())
}

/// Whether only a wait without a deadline follows the terminal event.
fn silent<E: core::fmt::Debug>(
    ended: &mut bool,
    place: Place<'_>,
    played: &StepResult<E>,
    terminal: fn(&E) -> bool,
) -> Result<(), Violation> {
    for output in &played.outputs {
        if *ended {
            let what = format!("after the terminal event there is an output: {}", shorten(&format!("{output:?}")));
            return Err(place.violation(Law::EndIsEnd, what));
        }
        *ended = matches!(output, Output::Event(event) if terminal(event));
    }
    match played.deadline() {
        Some(wait) if *ended => {
            Err(place.violation(Law::EndIsEnd, format!("after the terminal event the machine waits until {wait}")))
        }
        _ => Ok(()),
    }
}
