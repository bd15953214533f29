//! The order of lines (RFC 8866 §9, `session-description` and `media-description`).

use crate::line::Kind;

/// The position in the order of the lines of a section.
#[derive(Clone, Copy, Debug)]
pub(super) struct Order {
    /// The line that later lines are compared with.
    last: Kind,
    /// A bit for each kind that was seen in this section.
    seen: u16,
    in_media: bool,
    is_first: bool,
    session_is_connected: bool,
}

/// The place of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Allowed.
    Right,
    /// At the first line, which must be `v=`.
    NotFirst,
    /// A second line of a kind that may occur only once.
    Again,
    /// After a line that must follow it.
    After(Kind),
    /// A line of the session in a media description, or a line without a known kind.
    Foreign,
}

impl Order {
    pub(super) const fn new() -> Self {
        Self { last: Kind::Stray, seen: 0, in_media: false, is_first: true, session_is_connected: false }
    }

    /// Begins in a media description whose `m=` line may be missing from the text.
    pub(super) const fn fragment() -> Self {
        Self { in_media: true, is_first: false, session_is_connected: true, ..Self::new() }
    }

    /// Checks the next line.
    #[inline]
    pub(super) fn step(&mut self, kind: Kind) -> Place {
        // About nine of ten lines take this branch.
        if kind == Kind::Attribute && self.last == Kind::Attribute {
            return Place::Right;
        }
        self.step_slowly(kind)
    }

    fn step_slowly(&mut self, kind: Kind) -> Place {
        if matches!(kind, Kind::Stray | Kind::Unknown(_)) {
            return Place::Foreign;
        }
        // A stray line does not change the position.
        let is_first = core::mem::take(&mut self.is_first);
        if kind == Kind::Media {
            if !self.in_media {
                self.session_is_connected = self.has(Kind::Connection);
            }
            (self.in_media, self.seen, self.last) = (true, 0, kind);
            return if is_first { Place::NotFirst } else { Place::Right };
        }
        let was_seen = self.has(kind);
        self.seen |= bit(kind);
        if self.in_media && !belongs_in_media(kind) {
            return Place::Foreign;
        }
        let place = self.place(kind, was_seen);
        // A line out of order is not recorded: the next lines are compared with the lines before it.
        if place == Place::Right {
            self.last = kind;
        }
        if is_first && kind != Kind::Version { Place::NotFirst } else { place }
    }

    const fn place(&self, kind: Kind, was_seen: bool) -> Place {
        if was_seen && !self.repeats(kind) {
            return Place::Again;
        }
        // Each `t=` may be followed by its own `r=` and `z=` lines.
        let follows = if matches!(kind, Kind::Repeat) {
            matches!(self.last, Kind::Time | Kind::Repeat)
        } else if matches!(kind, Kind::Zone) {
            matches!(self.last, Kind::Repeat)
        } else {
            let is_next_time = matches!((kind, self.last), (Kind::Time, Kind::Repeat | Kind::Zone));
            is_next_time || rank(self.last) <= rank(kind)
        };
        if follows { Place::Right } else { Place::After(self.last) }
    }

    const fn repeats(&self, kind: Kind) -> bool {
        self.in_media && matches!(kind, Kind::Connection)
            || matches!(kind, Kind::Email | Kind::Phone | Kind::Bandwidth | Kind::Time | Kind::Repeat)
            || matches!(kind, Kind::Zone | Kind::Attribute | Kind::Media)
    }

    const fn has(&self, kind: Kind) -> bool {
        self.seen & bit(kind) != 0
    }

    /// Lists the missing lines before the first media description; none inside a media description.
    pub(super) fn missing(&self) -> impl Iterator<Item = Kind> + use<> {
        let this = *self;
        // A missing `v=` is reported at the first line.
        [Kind::Origin, Kind::Name, Kind::Time].into_iter().filter(move |kind| !this.in_media && !this.has(*kind))
    }

    /// Whether this is a media description without `c=` in a session without `c=`.
    pub(super) const fn is_unconnected(&self) -> bool {
        self.in_media && !self.session_is_connected && !self.has(Kind::Connection)
    }
}

const fn belongs_in_media(kind: Kind) -> bool {
    matches!(kind, Kind::Information | Kind::Connection | Kind::Bandwidth | Kind::Key | Kind::Attribute)
}

/// The rank of a kind in the order of a session or of a media description.
pub(crate) const fn rank(kind: Kind) -> u8 {
    match kind {
        Kind::Stray | Kind::Unknown(_) | Kind::Media => 0,
        Kind::Version => 1,
        Kind::Origin => 2,
        Kind::Name => 3,
        Kind::Information => 4,
        Kind::Uri => 5,
        Kind::Email => 6,
        Kind::Phone => 7,
        Kind::Connection => 8,
        Kind::Bandwidth => 9,
        Kind::Time => 10,
        Kind::Repeat => 11,
        Kind::Zone => 12,
        Kind::Key => 13,
        Kind::Attribute => 14,
    }
}

const fn bit(kind: Kind) -> u16 {
    1 << rank(kind)
}
