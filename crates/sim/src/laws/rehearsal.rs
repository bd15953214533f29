//! Turns a script into a conversation.
//!
//! Random steps alone rarely get past a machine's first request, because their datagrams do not carry its transaction
//! id. [`rehearse`] lets a peer answer while the script is played once. It returns everything that happened as a plain
//! script, which the laws can play any number of times.

use super::Context;
use super::driver::Driver;
use super::script::{Action, OwnedInput, Step};
use super::stage::{Stage, StepResult};
use alloc::vec::Vec;
use portolan_machine::{Instant, Machine, Output, Script};

/// Plays the script once as a driver plays it. `peer` returns the steps that each output causes. The result holds the
/// script's steps, the peer's steps and the timeouts at the deadlines between them, at most `limit` steps.
///
/// The peer's steps are taken in order of time, before later steps of the script. A peer's step with a time before its
/// cause happens at the time of the cause. The script's own times are not changed, in order or not. Steps that no
/// driver would deliver are left out, as in [`driver_legal`](super::driver_legal).
///
/// ```
/// use portolan_machine::{Instant, Output, SocketEvent, SocketOrder};
/// use portolan_sim::laws::{self, Context, Step};
/// # use portolan_machine::{Cx, Input, Machine, Never, Open, Protocol, Verdict};
/// # #[derive(Default)]
/// # struct Opener(bool, Option<Open>);
/// # impl Machine for Opener {
/// #     type Command = Never;
/// #     type Error = Never;
/// #     type Event = ();
/// #     fn command(&mut self, _: &mut Cx<'_>, command: Never) -> Result<(), Never> { match command {} }
/// #     fn handle(&mut self, cx: &mut Cx<'_>, input: Input<'_>) -> Verdict {
/// #         if input == Input::Timeout && !core::mem::replace(&mut self.0, true) {
/// #             self.1 = Some(Open::new(cx.next_socket(), Protocol::Udp, "0.0.0.0:0".parse().unwrap()));
/// #         }
/// #         Verdict::Mine
/// #     }
/// #     fn poll(&mut self) -> Output<()> {
/// #         self.1.take().map_or(Output::Wait(None), |open| Output::Socket(SocketOrder::Open(open)))
/// #     }
/// # }
///
/// // `Opener` opens a socket when it is first woken; after a millisecond the peer accepts.
/// let local = "192.0.2.1:50000".parse()?;
/// let script = [Step::timeout(Instant::ORIGIN)];
/// let whole = laws::rehearse(&Opener::default, &script, &Context::default(), 100, |at, output| match output {
///     Output::Socket(SocketOrder::Open(open)) => {
///         let later = at + core::time::Duration::from_millis(1);
///         vec![Step::socket_event(later, open.id, SocketEvent::Opened { local })]
///     }
///     _ => Vec::new(),
/// });
/// assert_eq!(whole[1].to_string(), "0.001000000 socket s1 opened 192.0.2.1:50000");
/// # Ok::<(), core::net::AddrParseError>(())
/// ```
#[must_use]
pub fn rehearse<M: Machine<Command: Script>>(
    factory: &impl Fn() -> M,
    script: &[Step],
    context: &Context<'_, M>,
    limit: usize,
    mut peer: impl FnMut(Instant, &Output<M::Event>) -> Vec<Step>,
) -> Vec<Step> {
    let mut stage = Stage::new(factory(), context);
    let mut script = script.iter().cloned().peekable();
    let mut pending: Vec<Step> = Vec::new();
    let mut whole = Vec::new();
    let (mut now, mut stuck) = (Instant::ORIGIN, false);
    let mut last = stage.drain();
    let mut driver = Driver::new(context.handed_in);
    driver.learn(&last);
    query_peer(&mut pending, &last, now, &mut peer);
    while whole.len() < limit {
        let own = script.peek().map(|step| step.at);
        let answer = earliest(&pending);
        let wake = last.deadline().filter(|_| !stuck).map(|wait| wait.at.max(now));
        let is_first = |at: Instant, rivals: [Option<Instant>; 2]| rivals.iter().flatten().all(|rival| at <= *rival);
        let step = match (answer, wake) {
            (Some((index, at)), wake) if is_first(at, [own, wake]) => pending.remove(index),
            (answer, Some(wake)) if is_first(wake, [own, answer.map(|(_, at)| at)]) => Step::timeout(wake),
            _ => match script.next() {
                Some(step) => step,
                None => break,
            },
        };
        if !driver.accepts(&step) {
            continue;
        }
        let woken = step.action == Action::Input(OwnedInput::Timeout);
        now = step.at;
        last = stage.play(&step);
        driver.learn(&last);
        whole.push(step);
        // A deadline that does not advance is reported by law 2; it must not fill the script.
        stuck = woken && last.deadline().is_some_and(|wait| wait.is_due(now));
        query_peer(&mut pending, &last, now, &mut peer);
    }
    whole
}

fn query_peer<E>(
    pending: &mut Vec<Step>,
    last: &StepResult<E>,
    now: Instant,
    peer: &mut impl FnMut(Instant, &Output<E>) -> Vec<Step>,
) {
    for output in &last.outputs {
        pending.extend(peer(now, output).into_iter().map(|step| Step { at: step.at.max(now), ..step }));
    }
}

/// The first of the earliest steps.
fn earliest(pending: &[Step]) -> Option<(usize, Instant)> {
    let times = pending.iter().map(|step| step.at).enumerate();
    times.min_by_key(|(index, at)| (*at, *index))
}
