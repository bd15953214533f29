//! Laws 2, 3 and 4: time.

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

/// Law 2: after a timeout at time *t*, the next deadline is later than *t*. A due deadline must advance.
///
/// The script is played as a driver plays it, with a timeout at every deadline. The last representable instant is
/// excepted, because no instant is later.
///
/// # Errors
/// A [`Violation`]: the first deadline that did not advance.
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
                format!("after a timeout at {at} the machine waits until {wait}, which has passed"),
            )),
            _ => Ok(()),
        }
    })
}

/// Law 3: a timeout before the deadline changes nothing.
///
/// The script is played twice, once with early timeouts in every gap: right after each step, and a nanosecond before
/// the deadline or the next step. Each early timeout must give no output and leave the wait unchanged. All later steps
/// must give the same outputs as without it.
///
/// # Errors
/// A [`Violation`]: the first early timeout that had an effect, or the first step that an early timeout changed.
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
                format!("`{step_text}` gave another result after timeouts before the deadline: {unlike}"),
            ));
        }
        last = played;
        now = Some(step.at);
    }
    Ok(())
}

/// The earliest and the latest time in the gap at which a timeout is early.
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

/// Law 4: time that runs backwards, stands still or jumps never causes a panic.
///
/// The script is played with five kinds of bad times, with a timeout after each step.
///
/// # Panics
/// If the machine panics.
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
