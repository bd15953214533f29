//! Laws 2, 3 and 4: what a machine may make of time.

use super::script::{Action, OwnedInput, Step};
use super::stage::{DrainEnd, Place, Stage, StepResult, live, play, shorten, unlike};
use super::{Context, Law, Violation};
use alloc::format;
use alloc::vec::Vec;
use core::time::Duration;
use portolan_machine::{Instant, Machine, Script};

const MAX: Instant = Instant::from_origin(Duration::MAX);
const NANOSECOND: Duration = Duration::from_nanos(1);
const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Law 2: a wait after a timeout at time *t* lies after *t*, so a due deadline moves on.
///
/// The script is played as a driver plays it, with a timeout whenever a deadline falls due. The last moment that time
/// can express is excepted: nothing lies after it.
///
/// # Errors
/// The first wait that did not move on.
pub fn waits_lie_ahead<M: Machine<Command: Script>>(
    factory: &impl Fn() -> M,
    script: &[Step],
    context: &Context<'_, M>,
) -> Result<(), Violation> {
    live(&mut Stage::new(factory(), context), script, |place, played| {
        let at = match place {
            Place::Timeout(_, at) => at,
            Place::Step(_, Step { at, action: Action::Input(OwnedInput::Timeout), .. }) => *at,
            Place::Start | Place::Step(..) => return Ok(()),
        };
        match played.deadline() {
            Some(wait) if wait.is_due(at) && at < MAX => Err(place.violation(
                Law::WaitsLieAhead,
                format!("after a timeout at {at} the machine waits until {wait}, which has come already"),
            )),
            _ => Ok(()),
        }
    })
}

/// Law 3: a timeout before the deadline changes nothing.
///
/// The script is played beside itself with early timeouts in every gap: right after each step, and a nanosecond before
/// the deadline or the next step. Each must give no output and leave the wait as it was, and everything after it must
/// be as without it.
///
/// # Errors
/// The first early timeout that had an effect, or the first step that an early timeout changed.
pub fn an_early_timeout_changes_nothing<M: Machine<Command: Script>>(
    factory: &impl Fn() -> M,
    script: &[Step],
    context: &Context<'_, M>,
) -> Result<(), Violation> {
    let plain = play(Stage::new(factory(), context), script);
    let mut stage = Stage::new(factory(), context);
    let mut last = stage.drain();
    let mut now = None;
    for (index, (step, expected)) in script.iter().zip(plain.iter().skip(1)).enumerate() {
        for early in early_moments(&last, now, step.at) {
            let woken = stage.timeout(early);
            if !woken.outputs.is_empty() || woken.rest != last.rest {
                let asleep = StepResult { verdict: woken.verdict, rest: last.rest, ..StepResult::nothing() };
                let unlike = unlike(Some(&asleep), Some(&woken));
                return Err(Violation::new(
                    Law::EarlyTimeout,
                    index.checked_sub(1),
                    format!("a timeout at {early}, before the deadline, had an effect: {unlike}"),
                ));
            }
        }
        let played = stage.play(step);
        if played != *expected {
            let step_text = shorten(&format!("{step}"));
            let unlike = unlike(Some(expected), Some(&played));
            return Err(Violation::new(
                Law::EarlyTimeout,
                Some(index),
                format!("`{step_text}` came out otherwise after timeouts before the deadline: {unlike}"),
            ));
        }
        last = played;
        now = Some(step.at);
    }
    Ok(())
}

/// The moments of the gap at which a timeout is early: at its beginning, and as late as possible.
fn early_moments<E>(last: &StepResult<E>, now: Option<Instant>, next: Instant) -> impl Iterator<Item = Instant> {
    let gap = match last.rest {
        DrainEnd::Undrained | DrainEnd::Endless => None,
        DrainEnd::Waiting(None) => Some((now.unwrap_or(next), next)),
        DrainEnd::Waiting(Some(wait)) => {
            Some((now.unwrap_or(next), next.min(wait.at - NANOSECOND))).filter(|(first, _)| !wait.is_due(*first))
        }
    };
    let moments = gap.map(|(first, late)| (first, Some(late).filter(|late| *late > first)));
    moments.into_iter().flat_map(|(first, late)| core::iter::once(first).chain(late))
}

/// Law 4: time that runs backwards, stands still or leaps never panics.
///
/// The script is played with its times exchanged for five kinds of bad ones, each step followed by a timeout.
///
/// # Panics
/// When the machine does.
pub fn time_may_misbehave<M: Machine<Command: Script>>(
    factory: &impl Fn() -> M,
    script: &[Step],
    context: &Context<'_, M>,
) {
    let times: Vec<Instant> = script.iter().map(|step| step.at).collect();
    let kinds: [&dyn Fn(usize) -> Instant; 5] = [
        &|index| times.iter().rev().nth(index).copied().unwrap_or(Instant::ORIGIN),
        &|_| Instant::ORIGIN,
        &|index| if index.is_multiple_of(2) { MAX } else { Instant::ORIGIN },
        &|index| Instant::ORIGIN + YEAR * u32::try_from(index).unwrap_or(u32::MAX),
        &|index| MAX - NANOSECOND * u32::try_from(index).unwrap_or(u32::MAX),
    ];
    for time in kinds {
        let mut stage = Stage::new(factory(), context);
        for (index, step) in script.iter().enumerate() {
            let at = time(index);
            stage.play_at(at, step.drain, &step.action);
            stage.timeout(at);
        }
        stage.timeout(MAX);
        stage.timeout(Instant::ORIGIN);
    }
}
