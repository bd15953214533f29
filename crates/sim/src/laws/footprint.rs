//! Law 14: state is bounded and released.

use super::context::StateLimit;
use super::driver::Driver;
use super::queue::by_peer;
use super::script::{Action, OwnedDatagram, OwnedInput, Step};
use super::stage::{Stage, StepResult};
use super::{Context, Law, Violation};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::time::Duration;
use portolan_machine::{Closure, Instant, Machine, Script, SocketEvent, SocketId};

/// The number of inputs of one flood.
const INPUTS: usize = 2048;
/// The number of inputs between two measurements.
const MEASURED: usize = 64;
/// The most timeouts after the sockets are closed.
const TIMEOUTS: usize = 64 * 1024;

/// Law 14: state is bounded and released.
///
/// The script is played as a driver plays it. In two more runs, the steps that peers can cause are repeated as a flood:
/// in the middle of the script, and at its end. A flood has 2,048 inputs from many peers:
///
/// * from new addresses, with new transaction ids (the bytes 8 to 19 of a payload),
/// * on newly accepted streams, with chunks that end in the middle of a message,
/// * half of them at one time, half of them 100 ms apart.
///
/// The footprint must never exceed [`StateLimit::flooded`]. Then all streams, listeners and handed-in sockets are
/// closed, and all deadlines pass. After that the footprint must not exceed the one of a new machine plus
/// [`StateLimit::tables`].
///
/// `footprint` returns the size of the state in any unit; [`debug_length`](super::debug_length) suits most machines.
/// The law does not close a UDP socket that the machine ordered; the machine closes it by itself or keeps it.
///
/// ```
/// use portolan_machine::{Cx, Input, Instant, Machine, Never, Output, SocketId, Verdict};
/// use portolan_sim::laws::{self, Context, Law, StateLimit, Step};
/// use std::{collections::BTreeSet, net::SocketAddr};
///
/// /// Stores every peer forever.
/// #[derive(Default)]
/// struct Hoarder(BTreeSet<SocketAddr>);
///
/// impl Machine for Hoarder {
///     type Command = Never;
///     type Error = Never;
///     type Event = ();
///     fn command(&mut self, _: &mut Cx<'_>, command: Never) -> Result<(), Never> {
///         match command {}
///     }
///     fn handle(&mut self, _: &mut Cx<'_>, input: Input<'_>) -> Verdict {
///         let Input::Datagram(datagram) = input else { return Verdict::NotMine };
///         self.0.insert(datagram.remote);
///         Verdict::Mine
///     }
///     fn poll(&mut self) -> Output<()> {
///         Output::Wait(None)
///     }
/// }
///
/// let here = "192.0.2.1:3478".parse()?;
/// let script = [Step::datagram(Instant::ORIGIN, SocketId(1), here, here, b"hello")];
/// let (context, limit) = (Context { handed_in: &[SocketId(1)], ..Context::default() }, StateLimit { flooded: 100, tables: 0 });
/// let checked = laws::state_is_bounded(&Hoarder::default, &script, &context, |hoarder| hoarder.0.len(), limit);
/// assert_eq!(checked.unwrap_err().law, Law::StateBounded);
/// # Ok::<(), core::net::AddrParseError>(())
/// ```
///
/// # Errors
/// A [`Violation`]: the first footprint above its limit.
pub fn state_is_bounded<M: Machine<Command: Script>>(
    factory: &impl Fn() -> M,
    script: &[Step],
    context: &Context<'_, M>,
    footprint: impl Fn(&M) -> usize,
    limit: StateLimit,
) -> Result<(), Violation> {
    let new = Peers::new(factory(), context);
    let new_size = footprint(&new.stage.machine);
    let middle = script.len() / 2;
    for place in core::iter::once(middle).chain((middle < script.len()).then_some(script.len())) {
        let mut peers = Peers::new(factory(), context);
        let (before, after) = script.split_at_checked(place).unwrap_or((script, &[]));
        let step = place.checked_sub(1);
        let broken = |what: String| Err(Violation::new(Law::StateBounded, step, what));
        peers.play(before);
        let run: Vec<&Step> = before.iter().filter(|step| by_peer(step)).collect();
        for nth in 0..if run.is_empty() { 0 } else { INPUTS } {
            peers.flood(&run, nth);
            let measured = if nth % MEASURED == MEASURED - 1 { footprint(&peers.stage.machine) } else { 0 };
            if measured > limit.flooded {
                let (inputs, allowed) = (nth + 1, limit.flooded);
                return broken(format!(
                    "after {inputs} inputs of many peers the footprint is {measured}, {allowed} is allowed"
                ));
            }
        }
        peers.play(after);
        peers.close();
        let size = footprint(&peers.stage.machine);
        let allowed = new_size + limit.tables;
        if size > allowed {
            return broken(format!(
                "after a flood, the close of all sockets and all deadlines the footprint is {size}; a new machine has \
                 {new_size}, and {allowed} is allowed"
            ));
        }
    }
    Ok(())
}

/// A machine with many peers.
struct Peers<M: Machine<Command: Script>> {
    stage: Stage<M>,
    driver: Driver,
    last: StepResult<M::Event>,
    now: Instant,
    /// Maps an accepted stream of the script to the last stream that was accepted in its place.
    names: BTreeMap<SocketId, SocketId>,
}

impl<M: Machine<Command: Script>> Peers<M> {
    fn new(machine: M, context: &Context<'_, M>) -> Self {
        let mut stage = Stage::new(machine, context);
        let mut driver = Driver::new(context.handed_in);
        let last = stage.drain();
        driver.learn(&last);
        Self { stage, driver, last, now: Instant::ORIGIN, names: BTreeMap::new() }
    }

    /// Plays one step with a drain, if a driver would deliver it.
    fn step(&mut self, step: &Step) {
        if self.driver.accepts(step) {
            self.now = self.now.max(step.at);
            self.last = self.stage.play_at(step.at, true, &step.action);
            self.driver.learn(&self.last);
        }
    }

    /// Delivers the timeouts that are due until `until`, at most `most`.
    fn wake(&mut self, until: Instant, most: usize) {
        for _ in 0..most {
            match self.last.deadline() {
                Some(wait) if wait.at <= until => self.step(&Step::timeout(self.now.max(wait.at))),
                Some(_) | None => return,
            }
        }
    }

    fn play(&mut self, script: &[Step]) {
        for step in script {
            self.wake(step.at, MEASURED);
            self.step(step);
        }
    }

    /// The `nth` input of a flood.
    fn flood(&mut self, run: &[&Step], nth: usize) {
        let Some(step) = run.get(nth % run.len().max(1)) else { return };
        let round = nth / run.len().max(1);
        if nth > INPUTS / 2 {
            self.now += Duration::from_millis(100);
            self.wake(self.now, MEASURED);
        }
        let change = |datagram: &OwnedDatagram| {
            let mut datagram = datagram.clone();
            if round % 4 < 2 {
                datagram.remote = another(datagram.remote, nth);
            }
            if round % 2 == 1
                && let Some(id) = datagram.payload.get_mut(8..20)
            {
                let counter = (nth as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
                id.iter_mut().zip(counter.into_iter().cycle()).for_each(|(byte, random)| *byte ^= random);
            }
            datagram
        };
        let action = match &step.action {
            Action::Input(OwnedInput::Datagram(datagram)) => Action::Input(OwnedInput::Datagram(change(datagram))),
            Action::Input(OwnedInput::Socket(listener, SocketEvent::Accepted { socket, local, remote })) => {
                let new = self.stage.ids.next_socket();
                self.names.insert(*socket, new);
                let event = SocketEvent::Accepted { socket: new, local: *local, remote: another(*remote, nth) };
                Action::Input(OwnedInput::Socket(*listener, event))
            }
            Action::Stream(chunk) => {
                let mut chunk = change(chunk);
                chunk.socket = self.names.get(&chunk.socket).copied().unwrap_or(chunk.socket);
                if round % 3 == 1 {
                    chunk.payload.truncate(1 + nth % chunk.payload.len().max(1));
                }
                Action::Stream(chunk)
            }
            action @ (Action::Input(OwnedInput::Socket(..) | OwnedInput::Timeout) | Action::Command(_)) => {
                action.clone()
            }
        };
        self.step(&Step::new(self.now, action));
    }

    /// Closes all sockets that can end without an order of the machine, and lets all deadlines pass.
    fn close(&mut self) {
        for id in self.driver.closable() {
            self.step(&Step::socket_event(self.now, id, SocketEvent::Closed(Closure::DriverEnded)));
        }
        self.wake(Instant::from_origin(Duration::MAX), TIMEOUTS);
    }
}

/// Returns the `nth` other address of the same family. IPv6 addresses have different /64 prefixes.
fn another(address: SocketAddr, nth: usize) -> SocketAddr {
    let bits = u32::try_from(nth & 0x3f_ffff).unwrap_or(0);
    let port = u16::try_from(1024 + nth % 60_000).unwrap_or(1024);
    let ip = match address.ip() {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::from_bits(0x6440_0000 | bits)),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::from_bits(0x2001_0db8 << 96 | u128::from(bits) << 64 | 1)),
    };
    SocketAddr::new(ip, port)
}
