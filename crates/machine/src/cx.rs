//! Everything that is not the machine's own memory, for one call.
//!
//! A [`Cx`] carries the time, the dice, the socket numbers and the listener of notes into a machine. Its owner makes one
//! for each call; the machine keeps nothing of it. What a run depends on is therefore five lists: inputs, commands,
//! times, entropy and socket numbers.
//!
//! ```
//! use core::fmt;
//! use portolan_machine::{Clause, Cx, Entropy, Explain, Instant, Scope, SocketIds, Trace};
//!
//! /// Dice that count, so that a person can read the trace.
//! struct Counting(u8);
//! impl Entropy for Counting {
//!     fn fill(&mut self, out: &mut [u8]) {
//!         self.0 += 1;
//!         out.fill(self.0);
//!     }
//! }
//!
//! #[derive(Debug)]
//! struct NonceStale;
//! impl fmt::Display for NonceStale {
//!     fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
//!         f.write_str("the server's nonce is stale, asking again with the new one")
//!     }
//! }
//! impl Explain for NonceStale {
//!     fn rfc(&self) -> Option<Clause> {
//!         Some(Clause::new(8489, "9.2.5"))
//!     }
//! }
//!
//! struct Lines(Vec<String>);
//! impl Trace for Lines {
//!     fn note(&mut self, at: Instant, scope: &Scope<'_>, note: &dyn Explain) {
//!         self.0.push(format!("{at} {scope}: {note} [{}]", note.rfc().unwrap()));
//!     }
//! }
//!
//! let (mut dice, mut ids, mut lines) = (Counting(0), SocketIds::new(), Lines(Vec::new()));
//! let mut cx = Cx::new(Instant::from_millis(20), &mut dice, &mut ids).with_trace(&mut lines);
//! assert_eq!(cx.random::<4>(), [1, 1, 1, 1]);
//! cx.within("turn", 2, |cx| cx.note(|| NonceStale));
//! assert_eq!(
//!     lines.0,
//!     ["0.020s turn 2: the server's nonce is stale, asking again with the new one [RFC 8489 §9.2.5]"]
//! );
//! ```

use crate::{Instant, SocketId, SocketIds};
use core::fmt;

/// A source of random bytes: the system's CSPRNG in a driver, a seeded or counting one in a test.
pub trait Entropy {
    /// Fills `out` with random bytes; transaction ids and nonces are only as unguessable as these.
    fn fill(&mut self, out: &mut [u8]);
}

impl<E: Entropy + ?Sized> Entropy for &mut E {
    fn fill(&mut self, out: &mut [u8]) {
        (**self).fill(out);
    }
}

/// A document and section, the source of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Clause {
    /// The RFC's number.
    pub rfc: u16,
    /// The section as the table of contents writes it, without a dot at the end: `"6.2.1"`.
    pub section: &'static str,
}

impl Clause {
    /// Section `section` of RFC `rfc`.
    #[must_use]
    pub const fn new(rfc: u16, section: &'static str) -> Self {
        Self { rfc, section }
    }
}

impl fmt::Display for Clause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RFC {} §{}", self.rfc, self.section)
    }
}

/// Something that a student may hear: plain English through `Display`, and the clause behind it.
pub trait Explain: fmt::Display + fmt::Debug {
    /// The document and section that the note follows, where there is one.
    fn rfc(&self) -> Option<Clause>;
}

/// Who listens to notes. Removing the listener changes no output.
pub trait Trace {
    /// Hears one note: when, which child of which machine spoke, and what it said.
    fn note(&mut self, at: Instant, scope: &Scope<'_>, note: &dyn Explain);
}

/// Which child speaks, as a chain on the stack: `turn 2 > transactions 0`.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    name: &'static str,
    index: u32,
    parent: Option<&'a Self>,
}

impl Scope<'_> {
    /// The outermost scope, without a name.
    pub const ROOT: Self = Scope { name: "", index: 0, parent: None };

    /// The speaking child's name, empty at the root.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The child's number among those of its name.
    #[must_use]
    pub const fn index(&self) -> u32 {
        self.index
    }
}

impl<'a> Scope<'a> {
    /// The scope around this one.
    #[must_use]
    pub const fn parent(&self) -> Option<&'a Self> {
        self.parent
    }
}

impl fmt::Display for Scope<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(parent) = self.parent else {
            return f.write_str(self.name);
        };
        if parent.parent.is_some() {
            write!(f, "{parent} > ")?;
        }
        write!(f, "{} {}", self.name, self.index)
    }
}

/// The world as one call of a machine sees it.
pub struct Cx<'a> {
    now: Instant,
    entropy: &'a mut dyn Entropy,
    sockets: &'a mut SocketIds,
    trace: Option<&'a mut dyn Trace>,
    scope: Scope<'a>,
}

impl<'a> Cx<'a> {
    /// The world at `now`, with nobody listening to notes.
    #[must_use]
    pub fn new(now: Instant, entropy: &'a mut dyn Entropy, sockets: &'a mut SocketIds) -> Self {
        Self { now, entropy, sockets, trace: None, scope: Scope::ROOT }
    }

    /// The same, with a listener.
    #[must_use]
    pub fn with_trace(mut self, trace: &'a mut dyn Trace) -> Self {
        self.trace = Some(trace);
        self
    }

    /// The time of this call. It does not move while the call lasts.
    #[must_use]
    pub const fn now(&self) -> Instant {
        self.now
    }

    /// `N` random bytes.
    pub fn random<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.entropy.fill(&mut bytes);
        bytes
    }

    /// A random number in `0..bound`, 0 where `bound` is 0; the bias is below 2⁻³² × `bound`.
    pub fn random_below(&mut self, bound: u32) -> u32 {
        let wide = u64::from(u32::from_be_bytes(self.random())) * u64::from(bound);
        u32::try_from(wide >> 32).unwrap_or(0)
    }

    /// A name for a new socket, never given before in this driver.
    pub fn next_socket(&mut self) -> SocketId {
        self.sockets.next_socket()
    }

    /// Says something to whoever listens; `make` runs only then.
    pub fn note<N: Explain>(&mut self, make: impl FnOnce() -> N) {
        if let Some(trace) = &mut self.trace {
            trace.note(self.now, &self.scope, &make());
        }
    }

    /// Runs `call` with the child's name on the scope, so that its notes say who speaks.
    pub fn within<R>(&mut self, name: &'static str, index: u32, call: impl FnOnce(&mut Cx<'_>) -> R) -> R {
        let mut child = Cx {
            now: self.now,
            entropy: &mut *self.entropy,
            sockets: &mut *self.sockets,
            trace: match &mut self.trace {
                Some(trace) => Some(&mut **trace),
                None => None,
            },
            scope: Scope { name, index, parent: Some(&self.scope) },
        };
        call(&mut child)
    }
}

impl fmt::Debug for Cx<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cx").field("now", &self.now).field("scope", &self.scope).finish_non_exhaustive()
    }
}
