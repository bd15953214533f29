//! Which line may follow which (RFC 8866 §9, `session-description` and `media-description`).

use crate::line::Kind;

/// How far a section has come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Order {
    /// The line that counts as the last one.
    last: Kind,
    /// A bit for each kind that was seen in this section.
    seen: u16,
    in_media: bool,
    is_first: bool,
    session_is_connected: bool,
}

/// Where a line stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Where it may.
    Right,
    /// First, which is the version's place.
    NotFirst,
    /// A second time.
    Again,
    /// After a line that it belongs before.
    After(Kind),
    /// In a media description, or it is no line at all.
    Foreign,
}

impl Order {
    pub(super) const fn new() -> Self {
        Self { last: Kind::Stray, seen: 0, in_media: false, is_first: true, session_is_connected: false }
    }

    /// In a media description whose head may stand before the text.
    pub(super) const fn fragment() -> Self {
        Self { in_media: true, is_first: false, session_is_connected: true, ..Self::new() }
    }

    /// Takes the next line.
    #[inline]
    pub(super) fn step(&mut self, kind: Kind) -> Place {
        // Nine lines in ten.
        if kind == Kind::Attribute && self.last == Kind::Attribute {
            return Place::Right;
        }
        self.step_slowly(kind)
    }

    fn step_slowly(&mut self, kind: Kind) -> Place {
        if matches!(kind, Kind::Stray | Kind::Unknown(_)) {
            return Place::Foreign;
        }
        // What is no line of a description takes nobody's place.
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
        // A line out of order is passed over: what follows it is judged by those before it.
        if place == Place::Right {
            self.last = kind;
        }
        if is_first && kind != Kind::Version { Place::NotFirst } else { place }
    }

    const fn place(&self, kind: Kind, was_seen: bool) -> Place {
        if was_seen && !self.repeats(kind) {
            return Place::Again;
        }
        // Each t= may have lines of its own after it.
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

    /// What the lines before the first media description lack; nothing inside of one.
    pub(super) fn missing(&self) -> impl Iterator<Item = Kind> + use<> {
        let this = *self;
        // A version that is not there is told at the first line.
        [Kind::Origin, Kind::Name, Kind::Time].into_iter().filter(move |kind| !this.in_media && !this.has(*kind))
    }

    /// Whether this is a media description for which nothing says where it goes.
    pub(super) const fn is_unconnected(&self) -> bool {
        self.in_media && !self.session_is_connected && !self.has(Kind::Connection)
    }
}

const fn belongs_in_media(kind: Kind) -> bool {
    matches!(kind, Kind::Information | Kind::Connection | Kind::Bandwidth | Kind::Key | Kind::Attribute)
}

/// The order of the lines of a session, and among them those of a media description.
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
