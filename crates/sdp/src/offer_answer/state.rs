//! The signalling states of JSEP as a table: which description may be set in which state (RFC 9429 §3.2, §5.5 to §5.7).
//!
//! Rules of this file: [`TRANSITIONS`] is the only source. [`Signaling`] looks up each step there, and the diagram is
//! generated from it. A step that is not in the table is refused, and the state does not change.
//! ```
//! use portolan_sdp::offer_answer::state::{Description, Side, Signaling, State};
//!
//! let mut signaling = Signaling::new();
//! signaling.set(Side::Local, Description::Offer)?;
//! let refused = signaling.set(Side::Local, Description::Answer).unwrap_err();
//! assert_eq!(refused.to_string(), "setLocal(answer) is refused in have-local-offer (RFC 9429 §5.5)");
//! assert_eq!(signaling.set(Side::Remote, Description::Answer)?, State::Stable);
//! # Ok::<(), portolan_sdp::offer_answer::state::StateError>(())
//! ```

use crate::error::Citation;
use core::fmt;

/// The state of an offer/answer exchange.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum State {
    /// No exchange is in progress.
    #[default]
    Stable,
    /// The local offer waits for an answer.
    HaveLocalOffer,
    /// The remote offer waits for a local answer.
    HaveRemoteOffer,
    /// The local side has answered provisionally.
    HaveLocalPranswer,
    /// The peer has answered provisionally.
    HaveRemotePranswer,
    /// The session is closed.
    Closed,
}

/// The side whose description is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The local side.
    Local,
    /// The peer's.
    Remote,
}

/// The type of a description (RFC 9429 §4.1.10).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Description {
    /// A set of possible configurations.
    Offer,
    /// An answer that others may follow; resources are kept.
    Pranswer,
    /// The final answer, which ends the exchange.
    Answer,
    /// No description: the exchange is cancelled, and the state before it is restored.
    Rollback,
}

/// A step that changes the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// A description is set.
    Set(Side, Description),
    /// The session is closed.
    Close,
}

/// One row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Transition {
    /// The state before the step.
    pub from: State,
    /// The step.
    pub step: Step,
    /// The state after the step.
    pub to: State,
}

/// All allowed transitions. Any other step is refused.
#[rustfmt::skip]
pub const TRANSITIONS: [Transition; 25] = {
    use Description::{Answer, Offer, Pranswer, Rollback};
    use Side::{Local, Remote};
    use State::{Closed, HaveLocalOffer, HaveLocalPranswer, HaveRemoteOffer, HaveRemotePranswer, Stable};
    use Step::{Close, Set};
    [
        Transition { from: Stable, step: Set(Local, Offer), to: HaveLocalOffer },
        Transition { from: Stable, step: Set(Remote, Offer), to: HaveRemoteOffer },
        Transition { from: HaveLocalOffer, step: Set(Local, Offer), to: HaveLocalOffer },
        Transition { from: HaveLocalOffer, step: Set(Remote, Answer), to: Stable },
        Transition { from: HaveLocalOffer, step: Set(Remote, Pranswer), to: HaveRemotePranswer },
        Transition { from: HaveRemoteOffer, step: Set(Remote, Offer), to: HaveRemoteOffer },
        Transition { from: HaveRemoteOffer, step: Set(Local, Answer), to: Stable },
        Transition { from: HaveRemoteOffer, step: Set(Local, Pranswer), to: HaveLocalPranswer },
        Transition { from: HaveLocalPranswer, step: Set(Local, Pranswer), to: HaveLocalPranswer },
        Transition { from: HaveLocalPranswer, step: Set(Local, Answer), to: Stable },
        Transition { from: HaveRemotePranswer, step: Set(Remote, Pranswer), to: HaveRemotePranswer },
        Transition { from: HaveRemotePranswer, step: Set(Remote, Answer), to: Stable },
        // §5.7: rollback is allowed in every state but stable, and by either side with the same effect.
        Transition { from: HaveLocalOffer, step: Set(Local, Rollback), to: Stable },
        Transition { from: HaveLocalOffer, step: Set(Remote, Rollback), to: Stable },
        Transition { from: HaveRemoteOffer, step: Set(Local, Rollback), to: Stable },
        Transition { from: HaveRemoteOffer, step: Set(Remote, Rollback), to: Stable },
        Transition { from: HaveLocalPranswer, step: Set(Local, Rollback), to: Stable },
        Transition { from: HaveLocalPranswer, step: Set(Remote, Rollback), to: Stable },
        Transition { from: HaveRemotePranswer, step: Set(Local, Rollback), to: Stable },
        Transition { from: HaveRemotePranswer, step: Set(Remote, Rollback), to: Stable },
        Transition { from: Stable, step: Close, to: Closed },
        Transition { from: HaveLocalOffer, step: Close, to: Closed },
        Transition { from: HaveRemoteOffer, step: Close, to: Closed },
        Transition { from: HaveLocalPranswer, step: Close, to: Closed },
        Transition { from: HaveRemotePranswer, step: Close, to: Closed },
    ]
};

/// A step was refused; the state did not change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("{step} is refused in {state} ({})", .step.clause())]
pub struct StateError {
    /// The current state.
    pub state: State,
    /// The refused step.
    pub step: Step,
}

/// The signalling state of one session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Signaling {
    state: State,
}

impl Signaling {
    /// Makes the state of a session without any description.
    #[must_use]
    pub const fn new() -> Self {
        Self { state: State::Stable }
    }

    /// Returns the current state.
    #[must_use]
    pub const fn state(&self) -> State {
        self.state
    }

    /// Sets a description; returns the new state.
    ///
    /// # Errors
    /// [`StateError`]: the table has no such step in this state (RFC 9429 §5.5, §5.6, §5.7). The state does not change.
    pub fn set(&mut self, side: Side, description: Description) -> Result<State, StateError> {
        self.step(Step::Set(side, description))
    }

    /// Closes the session.
    ///
    /// # Errors
    /// [`StateError`]: the session is already closed.
    pub fn close(&mut self) -> Result<State, StateError> {
        self.step(Step::Close)
    }

    /// Makes a step; returns the new state. Only this function changes the state.
    ///
    /// # Errors
    /// [`StateError`]: the table has no such step in this state. The state does not change.
    pub fn step(&mut self, step: Step) -> Result<State, StateError> {
        let found = TRANSITIONS.iter().find(|transition| transition.from == self.state && transition.step == step);
        self.state = found.ok_or(StateError { state: self.state, step })?.to;
        Ok(self.state)
    }
}

impl State {
    /// All states.
    pub const ALL: [Self; 6] = [
        Self::Stable,
        Self::HaveLocalOffer,
        Self::HaveRemoteOffer,
        Self::HaveLocalPranswer,
        Self::HaveRemotePranswer,
        Self::Closed,
    ];
}

/// Returns the name of the state in RFC 9429 §3.2.
impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stable => "stable",
            Self::HaveLocalOffer => "have-local-offer",
            Self::HaveRemoteOffer => "have-remote-offer",
            Self::HaveLocalPranswer => "have-local-pranswer",
            Self::HaveRemotePranswer => "have-remote-pranswer",
            Self::Closed => "closed",
        })
    }
}

/// Returns the name of the type in RFC 9429 §4.1.10.
impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Offer => "offer",
            Self::Pranswer => "pranswer",
            Self::Answer => "answer",
            Self::Rollback => "rollback",
        })
    }
}

impl Step {
    /// Returns the section that says when a description of this type may be set.
    #[must_use]
    pub const fn clause(self) -> Citation {
        Citation::new(
            "RFC 9429",
            match self {
                Self::Set(_, Description::Rollback) => "5.7",
                Self::Set(Side::Local, _) => "5.5",
                Self::Set(Side::Remote, _) => "5.6",
                Self::Close => "3.2",
            },
        )
    }
}

/// Writes `setLocal(offer)` and so on, as in the figure of RFC 9429 §3.2.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Set(Side::Local, description) => write!(f, "setLocal({description})"),
            Self::Set(Side::Remote, description) => write!(f, "setRemote({description})"),
            Self::Close => f.write_str("close"),
        }
    }
}

/// Displays the table as a Mermaid state diagram, one arrow per line.
///
/// ```
/// use portolan_sdp::offer_answer::state::Diagram;
///
/// let drawn = Diagram.to_string();
/// assert!(drawn.contains("have_local_offer --> stable: setRemote(answer)\n"));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Diagram;

impl fmt::Display for Diagram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("stateDiagram-v2\n")?;
        for state in State::ALL {
            writeln!(f, "    {} : {state}", Id(state))?;
        }
        writeln!(f, "    [*] --> {}", Id(State::default()))?;
        for Transition { from, step, to } in TRANSITIONS {
            writeln!(f, "    {} --> {}: {step}", Id(from), Id(to))?;
        }
        writeln!(f, "    {} --> [*]", Id(State::Closed))
    }
}

/// Writes the name of a state as a Mermaid identifier.
struct Id(State);

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            State::Stable => "stable",
            State::HaveLocalOffer => "have_local_offer",
            State::HaveRemoteOffer => "have_remote_offer",
            State::HaveLocalPranswer => "have_local_pranswer",
            State::HaveRemotePranswer => "have_remote_pranswer",
            State::Closed => "closed",
        })
    }
}
