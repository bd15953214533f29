//! A script becomes a conversation.
//!
//! Random steps alone seldom get past a machine's first request: nothing that they bring carries its transaction id.
//! [`rehearse`] lets a peer answer while the script is played once, and returns everything that happened as a plain
//! script, for the laws to play as often as they like.

use super::Context;
use super::driver::Driver;
use super::script::{Action, OwnedInput, Step};
use super::stage::{Stage, StepResult};
use alloc::vec::Vec;
use portolan_machine::{Instant, Machine, Output, Script};

/// Plays the script once as a driver would, lets `peer` say what comes of each output, and returns all that happened:
/// the script's own steps, the peer's, and the timeouts at the deadlines between them, at most `limit` steps.
///
/// The peer's steps are taken in their order of time, before a step of the script that lies later; one that would lie
/// before its own cause happens at that time. The script's own times are kept as they are, in order or not. What no
/// driver would tell is left out, as [`driver_legal`](super::driver_legal) does.
///
/// ```
/// use portolan_machine::{Instant, Output, SocketNews, SocketOrder};
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
/// // `Opener` opens a socket when it is first woken; the peer is a host that says yes after a millisecond.
/// let local = "192.0.2.1:50000".parse()?;
/// let script = [Step::timeout(Instant::ORIGIN)];
/// let whole = laws::rehearse(&Opener::default, &script, &Context::default(), 100, |at, output| match output {
///     Output::Socket(SocketOrder::Open(open)) => {
///         let later = at + core::time::Duration::from_millis(1);
///         vec![Step::news(later, open.id, SocketNews::Opened { local })]
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
    ask(&mut pending, &last, now, &mut peer);
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
        if !driver.tells(&step) {
            continue;
        }
        let woken = step.action == Action::Input(OwnedInput::Timeout);
        now = step.at;
        last = stage.play(&step);
        driver.learn(&last);
        whole.push(step);
        // A deadline that does not move on is law 2's to report, not a reason to fill the script with it.
        stuck = woken && last.deadline().is_some_and(|wait| wait.is_due(now));
        ask(&mut pending, &last, now, &mut peer);
    }
    whole
}

fn ask<E>(
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
