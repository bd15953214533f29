//! Which description may be set when: the signalling states of JSEP (RFC 8829 §3.2, §5.5 to §5.7), as a table.
//!
//! Rules of this file: [`TRANSITIONS`] is the only place that knows; [`Signaling`] looks there and nowhere else, and the
//! diagram is drawn from it. What is not in the table is refused, and the state stays.
//!
//! ```
//! use portolan_sdp::offer_answer::state::{Description, Side, Signaling, State};
//!
//! let mut signaling = Signaling::new();
//! signaling.set(Side::Local, Description::Offer)?;
//! let refused = signaling.set(Side::Local, Description::Answer).unwrap_err();
//! assert_eq!(refused.to_string(), "setLocal(answer) is refused in have-local-offer (RFC 8829 §5.5)");
//! assert_eq!(signaling.set(Side::Remote, Description::Answer)?, State::Stable);
//! # Ok::<(), portolan_sdp::offer_answer::state::StateError>(())
//! ```

use crate::error::Citation;
use core::fmt;

/// How far an exchange of offer and answer has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum State {
    /// No exchange is under way.
    #[default]
    Stable,
    /// Our offer waits for an answer.
    HaveLocalOffer,
    /// The peer's offer waits for our answer.
    HaveRemoteOffer,
    /// We have answered provisionally.
    HaveLocalPranswer,
    /// The peer has answered provisionally.
    HaveRemotePranswer,
    /// It is over.
    Closed,
}

/// Whose description is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// Ours.
    Local,
    /// The peer's.
    Remote,
}

/// What a description is taken for (RFC 8829 §4.1.10).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Description {
    /// Many possible configurations.
    Offer,
    /// An answer that may be followed by others; nothing is let go.
    Pranswer,
    /// The answer that ends the exchange.
    Answer,
    /// Nothing: the exchange is given up, and the state before it holds again.
    Rollback,
}

/// What moves the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// A description is set.
    Set(Side, Description),
    /// The session is closed.
    Close,
}

/// One line of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Transition {
    /// The state before.
    pub from: State,
    /// What happens.
    pub step: Step,
    /// The state after.
    pub to: State,
}

/// All there are; what is not here is refused.
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
        // §5.7: from every state but stable, and from either side with the same effect.
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

/// Why a step was refused; the state stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("{step} is refused in {state} ({})", .step.clause())]
pub struct StateError {
    /// The state.
    pub state: State,
    /// What was asked for.
    pub step: Step,
}

/// The state of one session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Signaling {
    state: State,
}

impl Signaling {
    /// A session without any description.
    #[must_use]
    pub const fn new() -> Self {
        Self { state: State::Stable }
    }

    /// How far it has come.
    #[must_use]
    pub const fn state(&self) -> State {
        self.state
    }

    /// A description is set; the new state.
    ///
    /// # Errors
    /// There is no such step in this state (RFC 8829 §5.5, §5.6, §5.7); nothing has changed.
    pub fn set(&mut self, side: Side, description: Description) -> Result<State, StateError> {
        self.step(Step::Set(side, description))
    }

    /// Closes the session.
    ///
    /// # Errors
    /// It is closed already.
    pub fn close(&mut self) -> Result<State, StateError> {
        self.step(Step::Close)
    }

    /// Takes a step; the new state. The one place where the state changes.
    ///
    /// # Errors
    /// There is no such step in this state; nothing has changed.
    pub fn step(&mut self, step: Step) -> Result<State, StateError> {
        let found = TRANSITIONS.iter().find(|transition| transition.from == self.state && transition.step == step);
        self.state = found.ok_or(StateError { state: self.state, step })?.to;
        Ok(self.state)
    }
}

impl State {
    /// All there are.
    pub const ALL: [Self; 6] = [
        Self::Stable,
        Self::HaveLocalOffer,
        Self::HaveRemoteOffer,
        Self::HaveLocalPranswer,
        Self::HaveRemotePranswer,
        Self::Closed,
    ];
}

/// The name that RFC 8829 §3.2 gives it.
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

/// The name that RFC 8829 §4.1.10 gives it.
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
    /// The section that says when it may be taken.
    #[must_use]
    pub const fn clause(self) -> Citation {
        Citation::new(
            "RFC 8829",
            match self {
                Self::Set(_, Description::Rollback) => "5.7",
                Self::Set(Side::Local, _) => "5.5",
                Self::Set(Side::Remote, _) => "5.6",
                Self::Close => "3.2",
            },
        )
    }
}

/// `setLocal(offer)` and so on, as in the figure of RFC 8829 §3.2.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Set(Side::Local, description) => write!(f, "setLocal({description})"),
            Self::Set(Side::Remote, description) => write!(f, "setRemote({description})"),
            Self::Close => f.write_str("close"),
        }
    }
}

/// The table as a state diagram in the language of Mermaid, one arrow a line.
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

/// A state's name as Mermaid takes it.
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
