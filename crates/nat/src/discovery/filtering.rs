//! Filtering, judged from the three requests of one socket to one server (RFC 4787 §5, RFC 5780 §4.4).
//!
//! Rules of this file: an [`Attempt`] holds the outcomes of its three requests. [`judge`] is a pure function of the
//! attempt and of the state of the server; it neither waits nor sends. A response to a CHANGE-REQUEST counts only if
//! its source is the requested address and port. Silence counts only if the server answers a CHANGE-REQUEST without a
//! filter.

use crate::behavior::Filtering;
use crate::profile::{Evidence, Flaw, Question, Unknown};
use core::net::SocketAddr;
use portolan_machine::{Instant, SocketId};
use portolan_stun::TransactionId;

use super::doubt::{self, Tally};
use super::series::Series;

/// The outcome of a request so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Not sent, or not answered yet.
    #[default]
    Waiting,
    /// A success response from this address.
    Answered(SocketAddr),
    /// An error response with this code.
    Refused(u16),
    /// No response, after this many sends and the time of a round trip.
    Silence(u32),
}

/// The other address of the server (RFC 5780 §7.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Other {
    /// The server has not answered yet.
    #[default]
    Unknown,
    /// The response holds no other address.
    None,
    /// The response holds an invalid other address.
    Invalid,
    /// The response holds this other address.
    Valid(SocketAddr),
}

/// A fresh socket, its server, and the outcomes of its requests.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    /// The server's number.
    pub(super) server: u8,
    pub(super) primary: SocketAddr,
    pub(super) socket: SocketId,
    pub(super) local: Option<SocketAddr>,
    /// The time of the first send.
    pub(super) sent_at: Option<Instant>,
    pub(super) control: Control,
    pub(super) both: Outcome,
    pub(super) port: Outcome,
    pub(super) earlier: Earlier,
    /// The transactions to cancel when the attempt ends: control, both, port.
    pub(super) running: [Option<TransactionId>; 3],
}

/// The outcome of the plain request from the filtering socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Control {
    pub(super) sends: u32,
    pub(super) answers: u32,
    /// The mapped addresses of the filtering socket.
    pub(super) seen: Series,
    pub(super) over: bool,
}

/// The sends and responses of the requests before they were repeated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Earlier {
    /// How many times they were repeated.
    pub(super) repeats: u8,
    /// Of the control.
    pub(super) sends: u32,
    pub(super) answers: u32,
    /// Of the request for a response from the other address and port.
    pub(super) both: u32,
    /// Of the request for a response from the other port.
    pub(super) port: u32,
}

/// The responses to the seven sends of a control without which the three requests are repeated. An interruption of the
/// path loses the sends of all three requests at the same time, so they are not independent. With four responses at
/// least two sends of each request did not coincide with the interruption.
const ENOUGH_ANSWERS: u32 = 4;

/// The responses of a repeated control without which silence is no evidence.
const FEWEST_ANSWERS: u32 = 3;

/// The most repeats: with them the requests are sent for 3.2 s.
const MOST_REPEATS: u8 = 3;

impl Attempt {
    pub(super) const fn new(server: u8, primary: SocketAddr, socket: SocketId) -> Self {
        Self {
            server,
            primary,
            socket,
            local: None,
            sent_at: None,
            control: Control { sends: 0, answers: 0, seen: Series::new(), over: false },
            both: Outcome::Waiting,
            port: Outcome::Waiting,
            earlier: Earlier { repeats: 0, sends: 0, answers: 0, both: 0, port: 0 },
            running: [None; 3],
        }
    }

    /// Adds the packets that had to be answered.
    pub(super) fn tally(&self, tally: &mut Tally) {
        tally.add(self.control.sends, self.control.answers);
    }
}

/// The proof that the server answers CHANGE-REQUEST, on a socket where no filter drops the response.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Proof {
    pub(super) outcome: Outcome,
    /// Whether the request was for the other address and port. Otherwise the CHANGE-REQUEST requested no change:
    /// where mappings depend on the destination, no mapping is open to the other address.
    pub(super) is_whole: bool,
}

/// The facts, besides the attempt, that decide whether silence is evidence.
#[derive(Clone, Copy, Debug)]
pub(super) struct Setting {
    pub(super) other: Other,
    /// Whether the server may still answer for the first time.
    pub(super) is_fresh: bool,
    /// The outcome of a plain request to the other address and port.
    pub(super) alternate: Outcome,
    /// Whether a datagram came from the other address and port.
    pub(super) alternate_is_heard: bool,
    pub(super) proof: Proof,
    pub(super) tally: Tally,
}

/// The judgement of an attempt.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Judgement {
    /// Not decided yet.
    Wait,
    /// This filtering, with the probability that it is wrong.
    Value(Filtering, f64),
    /// The path was interrupted during the test: the requests are repeated.
    Repeat,
    /// The server is capable, but too many packets were lost.
    TooLossy,
    /// This server cannot be used for the test, because of a flaw if there is one.
    Incapable(Unknown, Option<Flaw>),
}

/// Judges an attempt.
pub(super) fn judge(attempt: &Attempt, setting: &Setting) -> Judgement {
    if let Some(flaw) = incapable(attempt, setting) {
        return flaw;
    }
    let Other::Valid(other) = setting.other else { return Judgement::Wait };
    // A response from the wrong address is no evidence for any filtering: the server may not support CHANGE-REQUEST.
    match attempt.both {
        Outcome::Answered(from) if from == other => {
            return Judgement::Value(Filtering::EndpointIndependent, doubt::MIN_P_WRONG);
        }
        Outcome::Answered(from) => return misplaced(attempt.primary, from),
        Outcome::Waiting | Outcome::Refused(_) | Outcome::Silence(_) => {}
    }
    match attempt.port {
        Outcome::Answered(from) if from != SocketAddr::new(attempt.primary.ip(), other.port()) => {
            return misplaced(attempt.primary, from);
        }
        Outcome::Answered(_) | Outcome::Waiting | Outcome::Refused(_) | Outcome::Silence(_) => {}
    }
    let Outcome::Silence(sends) = attempt.both else { return Judgement::Wait };
    if let Some(interrupted) = interrupted(attempt) {
        return interrupted;
    }
    if let Some(unproved) = silence_is_no_evidence(attempt, setting) {
        return unproved;
    }
    let lost_both = setting.tally.all_fail(sends);
    let (value, p_wrong) = match attempt.port {
        Outcome::Answered(_) => (Filtering::AddressDependent, lost_both),
        Outcome::Silence(sends) => (Filtering::AddressAndPortDependent, lost_both + setting.tally.all_fail(sends)),
        Outcome::Waiting | Outcome::Refused(_) => return Judgement::Wait,
    };
    if p_wrong > doubt::MAX_P_WRONG {
        return Judgement::TooLossy;
    }
    Judgement::Value(value, p_wrong.max(doubt::MIN_P_WRONG))
}

/// The judgement if too few responses to the control show that the path worked; `None` if there were enough.
fn interrupted(attempt: &Attempt) -> Option<Judgement> {
    let Attempt { control, earlier, port, .. } = attempt;
    let needed = if earlier.repeats > 0 { FEWEST_ANSWERS } else { ENOUGH_ANSWERS };
    if control.answers >= needed {
        return None;
    }
    Some(if !control.over || *port == Outcome::Waiting {
        Judgement::Wait
    } else if earlier.repeats < MOST_REPEATS {
        Judgement::Repeat
    } else {
        Judgement::TooLossy
    })
}

/// Returns [`Judgement::Incapable`] if a response or its absence shows that the server cannot be used.
fn incapable(attempt: &Attempt, setting: &Setting) -> Option<Judgement> {
    if let (Outcome::Refused(code), _) | (_, Outcome::Refused(code)) = (attempt.both, attempt.port) {
        let flaw = Flaw::ChangeRequestRefused(code);
        return Some(Judgement::Incapable(Unknown::ChangeRequestRefused, Some(flaw)));
    }
    match setting.other {
        Other::None => Some(Judgement::Incapable(Unknown::NoOtherAddress, Some(Flaw::NoOtherAddress))),
        Other::Invalid => Some(Judgement::Incapable(Unknown::OtherAddressInvalid, Some(Flaw::OtherAddressInvalid))),
        Other::Unknown if attempt.control.over && !setting.is_fresh => {
            Some(Judgement::Incapable(Unknown::ServerSilent, None))
        }
        Other::Unknown | Other::Valid(_) => None,
    }
}

/// The judgement where silence is no evidence for a filter; `None` where silence is evidence.
fn silence_is_no_evidence(attempt: &Attempt, setting: &Setting) -> Option<Judgement> {
    match setting.alternate {
        _ if setting.alternate_is_heard => {}
        Outcome::Answered(_) => {}
        Outcome::Waiting => return Some(Judgement::Wait),
        Outcome::Silence(sends) if setting.tally.all_fail(sends) > doubt::MAX_BLAME => {
            return Some(Judgement::Incapable(Unknown::HighLoss, None));
        }
        Outcome::Refused(_) | Outcome::Silence(_) => {
            return Some(Judgement::Incapable(Unknown::AlternateUnreachable, Some(Flaw::OtherAddressSilent)));
        }
    }
    let expected = if setting.proof.is_whole { setting.other } else { Other::Valid(attempt.primary) };
    match setting.proof.outcome {
        Outcome::Waiting => Some(Judgement::Wait),
        Outcome::Answered(from) if Other::Valid(from) == expected => None,
        Outcome::Answered(from) => Some(misplaced(attempt.primary, from)),
        Outcome::Refused(code) => {
            Some(Judgement::Incapable(Unknown::ChangeRequestRefused, Some(Flaw::ChangeRequestRefused(code))))
        }
        Outcome::Silence(sends) if setting.tally.all_fail(sends) > doubt::MAX_BLAME => {
            Some(Judgement::Incapable(Unknown::HighLoss, None))
        }
        Outcome::Silence(_) => {
            Some(Judgement::Incapable(Unknown::ChangeRequestUnanswered, Some(Flaw::ChangeRequestUnanswered)))
        }
    }
}

fn misplaced(primary: SocketAddr, from: SocketAddr) -> Judgement {
    if from == primary {
        Judgement::Incapable(Unknown::ChangeRequestIgnored, Some(Flaw::ChangeRequestIgnored))
    } else {
        Judgement::Incapable(Unknown::AnswersFromElsewhere, Some(Flaw::AnswersFromElsewhere))
    }
}

/// The outcomes of an attempt, as evidence.
pub(super) fn evidence(attempt: &Attempt, proof: Option<Proof>) -> impl Iterator<Item = Evidence> {
    let of = |question, outcome| match outcome {
        Outcome::Waiting => None,
        Outcome::Answered(from) => Some(Evidence::Answered { question, from }),
        Outcome::Refused(code) => {
            Some(Evidence::Server { address: attempt.primary, flaw: Flaw::ChangeRequestRefused(code) })
        }
        Outcome::Silence(sends) => Some(Evidence::Silence { question, sends }),
    };
    let Control { sends: sent, answers, .. } = attempt.control;
    let control = (sent > 0).then_some(Evidence::Loss { sent, answered: answers.min(sent) });
    let both = of(Question::ChangeBoth, attempt.both);
    let port = of(Question::ChangePort, attempt.port);
    let proof = proof.and_then(|proof| {
        let question = if proof.is_whole { Question::Proof } else { Question::PlainProof };
        of(question, proof.outcome)
    });
    [both, port, control, proof].into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRIMARY: &str = "203.0.113.10:3478";
    const OTHER: &str = "203.0.113.11:3479";
    const OTHER_PORT: &str = "203.0.113.10:3479";

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn from(text: &str) -> Outcome {
        Outcome::Answered(at(text))
    }

    /// Returns an attempt with a response to each control request, at a server that supports CHANGE-REQUEST.
    fn case(both: Outcome, port: Outcome) -> (Attempt, Setting) {
        let mut attempt = Attempt::new(0, at(PRIMARY), SocketId(1));
        attempt.control = Control { sends: 7, answers: 7, seen: Series::new(), over: true };
        (attempt.both, attempt.port) = (both, port);
        let mut tally = Tally::default();
        tally.add(7, 7);
        let proof = Proof { outcome: from(OTHER), is_whole: true };
        let setting = Setting {
            other: Other::Valid(at(OTHER)),
            is_fresh: false,
            alternate: from(OTHER),
            alternate_is_heard: false,
            proof,
            tally,
        };
        (attempt, setting)
    }

    fn value(both: Outcome, port: Outcome) -> Option<Filtering> {
        let (attempt, setting) = case(both, port);
        match judge(&attempt, &setting) {
            Judgement::Value(value, p_wrong) => {
                assert!(p_wrong > 0.0 && p_wrong < 0.01, "{p_wrong}");
                Some(value)
            }
            Judgement::Wait | Judgement::Repeat | Judgement::TooLossy | Judgement::Incapable(..) => None,
        }
    }

    fn why(attempt: &Attempt, setting: &Setting) -> Unknown {
        match judge(attempt, setting) {
            Judgement::Incapable(why, _) => why,
            other @ (Judgement::Wait | Judgement::Repeat | Judgement::Value(..) | Judgement::TooLossy) => {
                panic!("{other:?}")
            }
        }
    }

    #[test]
    fn each_filtering_has_its_own_outcome() {
        let silence = Outcome::Silence(7);
        assert_eq!(value(from(OTHER), Outcome::Waiting), Some(Filtering::EndpointIndependent));
        assert_eq!(value(silence, from(OTHER_PORT)), Some(Filtering::AddressDependent));
        assert_eq!(value(silence, silence), Some(Filtering::AddressAndPortDependent));
        assert_eq!(value(Outcome::Waiting, from(OTHER_PORT)), None, "the other response can still arrive");
        assert_eq!(value(silence, Outcome::Waiting), None);
    }

    #[test]
    fn a_response_from_the_request_address_is_no_evidence_of_endpoint_independence() {
        for (both, port) in
            [(from(PRIMARY), Outcome::Waiting), (Outcome::Waiting, from(PRIMARY)), (Outcome::Silence(7), from(PRIMARY))]
        {
            let (attempt, setting) = case(both, port);
            assert_eq!(why(&attempt, &setting), Unknown::ChangeRequestIgnored);
        }
        let (attempt, setting) = case(from("198.51.100.1:9"), Outcome::Waiting);
        assert_eq!(why(&attempt, &setting), Unknown::AnswersFromElsewhere);
        let (attempt, setting) = case(from(OTHER_PORT), Outcome::Waiting);
        assert_eq!(why(&attempt, &setting), Unknown::AnswersFromElsewhere, "only the port was changed");
    }

    #[test]
    fn a_refusal_ends_the_attempt_at_once() {
        let (attempt, setting) = case(Outcome::Refused(420), Outcome::Waiting);
        assert_eq!(why(&attempt, &setting), Unknown::ChangeRequestRefused);
    }

    #[test]
    fn silence_of_an_unreachable_alternate_is_no_evidence_of_filtering() {
        let (attempt, mut setting) = case(Outcome::Silence(7), Outcome::Silence(7));
        setting.alternate = Outcome::Silence(9);
        assert_eq!(why(&attempt, &setting), Unknown::AlternateUnreachable);
        setting.alternate = Outcome::Waiting;
        assert_eq!(judge(&attempt, &setting), Judgement::Wait);
    }

    #[test]
    fn silence_of_a_server_that_drops_change_requests_is_no_evidence_of_filtering() {
        let (attempt, mut setting) = case(Outcome::Silence(7), Outcome::Silence(7));
        setting.proof.outcome = Outcome::Silence(7);
        assert_eq!(why(&attempt, &setting), Unknown::ChangeRequestUnanswered);
        setting.proof.outcome = Outcome::Waiting;
        assert_eq!(judge(&attempt, &setting), Judgement::Wait);
        setting.proof = Proof { outcome: from(PRIMARY), is_whole: false };
        assert!(
            matches!(judge(&attempt, &setting), Judgement::Value(..)),
            "a response to a request without a change is no fault"
        );
        setting.proof.is_whole = true;
        assert_eq!(why(&attempt, &setting), Unknown::ChangeRequestIgnored);
    }

    #[test]
    fn silence_with_a_silent_control_is_no_evidence_of_filtering() {
        let (mut attempt, mut setting) = case(Outcome::Silence(7), Outcome::Silence(7));
        attempt.control.answers = 0;
        assert_eq!(judge(&attempt, &setting), Judgement::Repeat, "the server answered another socket");
        attempt.earlier.repeats = MOST_REPEATS;
        assert_eq!(judge(&attempt, &setting), Judgement::TooLossy);
        setting.other = Other::Unknown;
        assert_eq!(why(&attempt, &setting), Unknown::ServerSilent);
    }

    #[test]
    fn silence_under_heavy_loss_is_no_evidence_of_filtering() {
        let (attempt, mut setting) = case(Outcome::Silence(7), Outcome::Silence(7));
        setting.tally = Tally::default();
        setting.tally.add(14, 2);
        assert_eq!(judge(&attempt, &setting), Judgement::TooLossy);
    }

    #[test]
    fn servers_without_a_valid_other_address_are_rejected_at_once() {
        let (attempt, mut setting) = case(Outcome::Waiting, Outcome::Waiting);
        setting.other = Other::None;
        assert_eq!(why(&attempt, &setting), Unknown::NoOtherAddress);
        setting.other = Other::Invalid;
        assert_eq!(why(&attempt, &setting), Unknown::OtherAddressInvalid);
        setting.other = Other::Unknown;
        assert_eq!(why(&attempt, &setting), Unknown::ServerSilent, "its control is over");
    }
}
