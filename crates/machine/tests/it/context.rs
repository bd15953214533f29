//! Saturating time, random numbers below a bound, and the scopes of notes.

use core::fmt;
use core::time::Duration;
use portolan_machine::{Clause, Cx, Deadline, Entropy, Explain, Instant, Never, Scope, Script, SocketIds, Trace};

/// A linear congruential generator, whose numbers are evenly distributed.
struct Linear(u64);
impl Entropy for Linear {
    fn fill(&mut self, out: &mut [u8]) {
        for byte in out {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *byte = self.0.to_be_bytes()[0];
        }
    }
}

#[test]
fn time_saturates_at_its_maximum_and_at_its_origin() {
    let end = Instant::from_origin(Duration::MAX);
    assert_eq!(end + Duration::from_secs(1), end);
    assert_eq!(Instant::ORIGIN - Duration::from_secs(1), Instant::ORIGIN);
    assert_eq!(Instant::ORIGIN - end, Duration::ZERO);
    assert_eq!(end - Instant::ORIGIN, Duration::MAX);
    assert_eq!(end.to_string(), "18446744073709551615.999s");
}

#[test]
fn of_two_equal_deadlines_the_first_is_returned() {
    let at = Instant::from_millis(5);
    let (a, b) = (Deadline::new(at, "a"), Deadline::new(at, "b"));
    assert_eq!(Deadline::earliest(Some(a), Some(b)), Some(a));
    assert_eq!(Deadline::earliest(None, None), None);
    assert_eq!(a.to_string(), "0.005s (a)");
}

#[test]
fn random_numbers_are_below_their_bound_and_evenly_distributed() {
    let (mut rng, mut ids) = (Linear(1), SocketIds::new());
    let mut cx = Cx::new(Instant::ORIGIN, &mut rng, &mut ids);
    assert_eq!(cx.random_below(0), 0);
    assert_eq!(cx.random_below(1), 0);
    let mut seen = [0_u32; 7];
    for _ in 0..7_000 {
        seen[cx.random_below(7) as usize] += 1;
    }
    assert!(seen.iter().all(|count| (800..1200).contains(count)), "{seen:?}");
}

#[test]
fn socket_ids_are_unique_across_scopes() {
    let (mut rng, mut ids) = (Linear(1), SocketIds::new());
    let mut cx = Cx::new(Instant::ORIGIN, &mut rng, &mut ids);
    let first = cx.next_socket();
    let second = cx.within("child", 0, |cx| cx.next_socket());
    assert_eq!([first.to_string(), second.to_string(), cx.next_socket().to_string()], ["s1", "s2", "s3"]);
}

#[derive(Debug)]
struct Remark(&'static str);
impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}
impl Explain for Remark {
    fn code(&self) -> &'static str {
        "remark"
    }

    fn rfc(&self) -> Option<Clause> {
        None
    }
}

struct Lines(Vec<String>);
impl Trace for Lines {
    fn note(&mut self, _: Instant, scope: &Scope<'_>, note: &dyn Explain) {
        self.0.push(format!("[{scope}] {note}"));
    }
}

#[test]
fn notes_name_all_scopes_and_are_not_built_without_a_trace() {
    let (mut rng, mut ids, mut lines) = (Linear(1), SocketIds::new(), Lines(Vec::new()));
    let mut cx = Cx::new(Instant::ORIGIN, &mut rng, &mut ids).with_trace(&mut lines);
    cx.note(|| Remark("root"));
    cx.within("turn", 2, |cx| {
        cx.note(|| Remark("child"));
        cx.within("transactions", 0, |cx| cx.note(|| Remark("grandchild")));
    });
    assert_eq!(lines.0, ["[] root", "[turn 2] child", "[turn 2 > transactions 0] grandchild"]);

    let mut silent = Cx::new(Instant::ORIGIN, &mut rng, &mut ids);
    let mut built = false;
    silent.note(|| {
        built = true;
        Remark("never built")
    });
    assert!(!built, "without a trace no note is built");
}

#[test]
fn never_cannot_be_parsed() {
    let why = Never::read("anything").unwrap_err();
    assert_eq!(why.to_string(), "expected no command: this machine takes none");
}
