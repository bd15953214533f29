//! The context of one call of a machine.
//!
//! A [`Cx`] carries the time, the RNG, the socket ids and the trace into a machine. The owner makes one `Cx` for each
//! call. A run therefore depends on five lists: inputs, commands, times, random bytes and socket ids.
//!
//! ```
//! use core::fmt;
//! use portolan_machine::{Clause, Cx, Entropy, Explain, Instant, Scope, SocketIds, Trace};
//!
//! /// An RNG that counts, so that a trace is easy to read.
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
//!         f.write_str("the server's nonce is stale: the request is sent again with the new one")
//!     }
//! }
//! impl Explain for NonceStale {
//!     fn code(&self) -> &'static str {
//!         "stale-nonce"
//!     }
//!     fn rfc(&self) -> Option<Clause> {
//!         Some(Clause::new(8489, "9.2.5"))
//!     }
//! }
//!
//! struct Lines(Vec<String>);
//! impl Trace for Lines {
//!     fn note(&mut self, at: Instant, scope: &Scope<'_>, note: &dyn Explain) {
//!         self.0.push(format!("{at} {scope}: {note} [{}] ({})", note.rfc().unwrap(), note.code()));
//!     }
//! }
//!
//! let (mut rng, mut ids, mut lines) = (Counting(0), SocketIds::new(), Lines(Vec::new()));
//! let mut cx = Cx::new(Instant::from_millis(20), &mut rng, &mut ids).with_trace(&mut lines);
//! assert_eq!(cx.random::<4>(), [1, 1, 1, 1]);
//! cx.within("turn", 2, |cx| cx.note(|| NonceStale));
//! assert_eq!(
//!     lines.0,
//!     [concat!(
//!         "0.020s turn 2: the server's nonce is stale: the request is sent again with the new one ",
//!         "[RFC 8489 §9.2.5] (stale-nonce)"
//!     )]
//! );
//! ```

use crate::{Instant, SocketId, SocketIds};
use core::fmt;

/// An RNG: the system's CSPRNG in a driver, a seeded or counting one in a test.
pub trait Entropy {
    /// Fills `out` with random bytes. Transaction ids and nonces are only as unpredictable as these bytes.
    fn fill(&mut self, out: &mut [u8]);
}

impl<E: Entropy + ?Sized> Entropy for &mut E {
    fn fill(&mut self, out: &mut [u8]) {
        (**self).fill(out);
    }
}

/// A section of an RFC: the source of a rule.
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

/// A note: a diagnostic message in plain English (`Display`), with a code for programs and an RFC clause.
pub trait Explain: fmt::Display + fmt::Debug {
    /// The note's code for metrics, traces and tests: `stale-nonce`.
    ///
    /// The code is in kebab-case, unique in its crate, and stays the same when the text changes. Where a note carries a
    /// reason, the code names the reason (`dropped-late`), so that each reason can be counted.
    fn code(&self) -> &'static str;

    /// The clause that the note follows, where there is one.
    fn rfc(&self) -> Option<Clause>;

    /// Whether the note reports a step of every transaction, such as a request that was sent. A short log omits such
    /// notes.
    fn is_routine(&self) -> bool {
        false
    }
}

/// A listener for notes. Removing the listener changes no output.
pub trait Trace {
    /// Takes one note: the time, the machine that made it, and the note.
    fn note(&mut self, at: Instant, scope: &Scope<'_>, note: &dyn Explain);
}

/// The machine that makes a note, as a chain on the stack: `turn 2 > transactions 0`.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    name: &'static str,
    index: u32,
    parent: Option<&'a Self>,
}

impl Scope<'_> {
    /// The outermost scope, without a name.
    pub const ROOT: Self = Scope { name: "", index: 0, parent: None };

    /// The machine's name; empty at the root.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The machine's number among those of its name.
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

/// The context of one call of a machine.
pub struct Cx<'a> {
    now: Instant,
    entropy: &'a mut dyn Entropy,
    sockets: &'a mut SocketIds,
    trace: Option<&'a mut dyn Trace>,
    scope: Scope<'a>,
}

impl<'a> Cx<'a> {
    /// A context at `now` without a trace.
    #[must_use]
    pub fn new(now: Instant, entropy: &'a mut dyn Entropy, sockets: &'a mut SocketIds) -> Self {
        Self { now, entropy, sockets, trace: None, scope: Scope::ROOT }
    }

    /// Returns the same context with a trace.
    #[must_use]
    pub fn with_trace(mut self, trace: &'a mut dyn Trace) -> Self {
        self.trace = Some(trace);
        self
    }

    /// The time of this call. It stays the same during the call.
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

    /// A random number in `0..bound`; 0 where `bound` is 0. The bias is below 2⁻³² × `bound`.
    pub fn random_below(&mut self, bound: u32) -> u32 {
        let wide = u64::from(u32::from_be_bytes(self.random())) * u64::from(bound);
        u32::try_from(wide >> 32).unwrap_or(0)
    }

    /// The id for a new socket. No two sockets of a driver have the same id.
    pub fn next_socket(&mut self) -> SocketId {
        self.sockets.next_socket()
    }

    /// Passes a note to the trace. `make` runs only where there is a trace.
    pub fn note<N: Explain>(&mut self, make: impl FnOnce() -> N) {
        if let Some(trace) = &mut self.trace {
            trace.note(self.now, &self.scope, &make());
        }
    }

    /// Runs `call` with the child's name in the scope, so that its notes name the child.
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
