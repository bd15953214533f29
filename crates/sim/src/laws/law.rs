//! The laws of machines: their numbers, their names and their order.

use core::fmt;

/// One of the fourteen laws; its number is that of the list on the front page of `portolan-machine`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Law {
    /// 1: a drain ends.
    DrainEnds,
    /// 2: deadlines lie in the future.
    WaitsLieAhead,
    /// 3: an early timeout changes nothing.
    EarlyTimeout,
    /// 4: no time makes a machine panic.
    TimeMayMisbehave,
    /// 5: no input panics.
    NoInputPanics,
    /// 6: the owner may drain at any time.
    DrainingIsFree,
    /// 7: the queue that peers can fill is bounded.
    PeersAreBounded,
    /// 8: no transmit before `Opened`.
    OpenedFirst,
    /// 9: determinism.
    Determinism,
    /// 10: `NotMine` changes nothing, and neither does a `None` of `stream` or `forward`.
    NotMine,
    /// 11: nothing follows the terminal event.
    EndIsEnd,
    /// 12: `forward` has the effect of `handle`.
    ShortWay,
    /// 13: no byte of a stream is dropped.
    StreamBytes,
    /// 14: state is bounded and released.
    StateBounded,
}

impl Law {
    /// All laws, in the order in which [`check_all`](super::check_all) checks them. The laws about panics come first,
    /// because a panic ends the check of another law. Determinism comes before the laws that compare two runs.
    pub const ALL: [Self; 14] = [
        Self::NoInputPanics,
        Self::TimeMayMisbehave,
        Self::DrainEnds,
        Self::Determinism,
        Self::WaitsLieAhead,
        Self::EarlyTimeout,
        Self::DrainingIsFree,
        Self::PeersAreBounded,
        Self::OpenedFirst,
        Self::NotMine,
        Self::EndIsEnd,
        Self::ShortWay,
        Self::StreamBytes,
        Self::StateBounded,
    ];

    /// The number of the law, 1 to 14.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::DrainEnds => 1,
            Self::WaitsLieAhead => 2,
            Self::EarlyTimeout => 3,
            Self::TimeMayMisbehave => 4,
            Self::NoInputPanics => 5,
            Self::DrainingIsFree => 6,
            Self::PeersAreBounded => 7,
            Self::OpenedFirst => 8,
            Self::Determinism => 9,
            Self::NotMine => 10,
            Self::EndIsEnd => 11,
            Self::ShortWay => 12,
            Self::StreamBytes => 13,
            Self::StateBounded => 14,
        }
    }
}

impl fmt::Display for Law {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::DrainEnds => "a drain ends",
            Self::WaitsLieAhead => "waits lie ahead",
            Self::EarlyTimeout => "an early timeout changes nothing",
            Self::TimeMayMisbehave => "time may run backwards",
            Self::NoInputPanics => "no input panics",
            Self::DrainingIsFree => "the owner chooses when to drain",
            Self::PeersAreBounded => "peers are bounded",
            Self::OpenedFirst => "no transmit before Opened",
            Self::Determinism => "determinism",
            Self::NotMine => "NotMine changes nothing",
            Self::EndIsEnd => "the end is final",
            Self::ShortWay => "forward is equivalent to handle",
            Self::StreamBytes => "no byte of a stream is dropped",
            Self::StateBounded => "state is bounded and released",
        };
        write!(f, "law {} ({name})", self.number())
    }
}
