//! The steps of a measurement: for each a question, the answer, and the conclusion.
//!
//! The steps are derived from the evidence of the report, so they hold for a real and for a simulated network. Each
//! abbreviation is explained where it first occurs.

use super::human::yes_no;
use super::sentence::plain;
use crate::vantage::Vantage;
use core::fmt::{self, Write};
use portolan_nat::behavior::{ClassicType, Filtering, Mapping, NatKind};
use portolan_nat::profile::{Conclusion, Evidence, FamilyReport, Question, Reachability, Unknown};

/// The steps to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StepDetail {
    /// The steps that decide the verdict.
    Main,
    /// All steps, with their RFC sections.
    All,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Step {
    question: &'static str,
    answer: String,
    /// The conclusion from the answer; empty if there is none.
    follows: String,
    /// The RFC section of the test; empty if no RFC has it.
    clause: &'static str,
    is_main: bool,
}

impl Step {
    fn main(question: &'static str, clause: &'static str, answer: String, follows: String) -> Self {
        Self { question, answer, follows, clause, is_main: true }
    }

    fn extra(question: &'static str, clause: &'static str, answer: String) -> Self {
        Self { question, answer, follows: String::new(), clause, is_main: false }
    }
}

/// Writes the steps of a family, numbered.
pub(crate) fn write(out: &mut String, family: &FamilyReport, detail: StepDetail) -> fmt::Result {
    let shown = steps(family).into_iter().filter(|step| detail == StepDetail::All || step.is_main);
    for (number, step) in (1..).zip(shown) {
        write!(out, "{number:>2} {}", step.question)?;
        if detail == StepDetail::All && !step.clause.is_empty() {
            write!(out, " [{}]", step.clause)?;
        }
        write!(out, "\n     {}", step.answer)?;
        if !step.follows.is_empty() {
            write!(out, " → {}", step.follows)?;
        }
        writeln!(out)?;
    }
    Ok(())
}

fn steps(family: &FamilyReport) -> Vec<Step> {
    let mut steps = match family.reach {
        Reachability::Unavailable(why) => {
            vec![Step::main("Can this host send packets?", "", format!("No: {why}."), String::new())]
        }
        Reachability::Blocked | Reachability::Unknown => unanswered(family),
        Reachability::Available => {
            let mut steps = mapping(family);
            steps.extend(details(family));
            steps.extend(filtering(family));
            steps
        }
    };
    steps.extend(classic(family));
    steps
}

/// The steps where no UDP response came.
fn unanswered(family: &FamilyReport) -> Vec<Step> {
    let mut steps = vec![Step::main(
        "Does a server respond over UDP?",
        "RFC 8489 §6.2.1",
        match family.servers.len() {
            0 => "No server was asked.".to_owned(),
            1 => "No, although the request was repeated.".to_owned(),
            count => format!("No, none of {count} servers, although each request was repeated."),
        },
        "The packets are lost, or a device drops them.".to_owned(),
    )];
    let mut tcp = Vec::new();
    for evidence in &family.mapping.evidence {
        if matches!(evidence, Evidence::TcpConnected { .. } | Evidence::TcpFailed { .. }) {
            tcp.push(evidence.to_string());
        } else if matches!(evidence, Evidence::Unreachable { .. }) {
            let question = "Does an ICMP error name the reason?";
            steps.push(Step::main(question, "RFC 8489 §6.2.1", format!("Yes: {evidence}."), String::new()));
        }
    }
    if !tcp.is_empty() {
        let follows = match family.reach {
            Reachability::Blocked => "Packets leave and return over TCP, but not over UDP.",
            Reachability::Available | Reachability::Unavailable(_) | Reachability::Unknown => {
                "The reason for the silence is unknown."
            }
        };
        let answer = format!("{}.", tcp.join("; "));
        steps.push(Step::main("Does TCP work instead?", "RFC 3489 §10.1", answer, follows.to_owned()));
    }
    steps
}

/// The endpoints that the other destinations saw. Many destinations that saw the same endpoint are counted.
fn others(seen: &[&Evidence]) -> String {
    let mapped = |evidence: &Evidence| {
        let Evidence::Seen { mapped, .. } = evidence else { return None };
        Some(*mapped)
    };
    match seen {
        [] => "No other destination responded".to_owned(),
        [first, _, _, ..] if seen.iter().all(|other| mapped(other) == mapped(first)) => {
            let endpoint = mapped(first).map(|mapped| mapped.to_string()).unwrap_or_default();
            format!("{} other destinations saw {endpoint}", seen.len())
        }
        _ => seen.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "),
    }
}

/// The steps of the mapping test.
fn mapping(family: &FamilyReport) -> Vec<Step> {
    let mut seen = family.mapping.evidence.iter().filter(|evidence| matches!(evidence, Evidence::Seen { .. }));
    let first = seen.next().map_or_else(|| "No server reported an address".to_owned(), ToString::to_string);
    let local = family.local.map(|local| format!("; the socket's own address is {local}")).unwrap_or_default();
    let translates = match family.nat {
        Some(NatKind::Nat) => "A NAT (network address translator) changes the address.",
        Some(NatKind::Firewall | NatKind::None) => "Nothing changes the address: there is no NAT.",
        None => "It is unknown whether a NAT changes the address.",
    };
    let others = others(&seen.collect::<Vec<_>>());
    let follows = match family.mapping.value() {
        Some(Mapping::EndpointIndependent) => {
            "Endpoint-independent mapping (EIM): one public endpoint for all destinations.".to_owned()
        }
        Some(Mapping::AddressDependent) => {
            "Address-dependent mapping (ADM): another public endpoint for each destination address.".to_owned()
        }
        Some(Mapping::AddressAndPortDependent) => {
            "Address-and-port-dependent mapping (APDM): another public endpoint for each destination.".to_owned()
        }
        None => unknown("mapping", &family.mapping),
    };
    vec![
        Step::main(
            "Which address does a server see?",
            "RFC 8489 §14.2",
            format!("{first}{local}."),
            translates.to_owned(),
        ),
        Step::main("Do other destinations see the same endpoint?", "RFC 5780 §4.3", format!("{others}."), follows),
    ]
}

/// The steps about further properties. None of them decides the verdict.
fn details(family: &FamilyReport) -> Vec<Step> {
    let details = &family.details;
    let mut steps = Vec::new();
    if family.nat == Some(NatKind::Nat) {
        let kept = answer(&details.port_preservation, |kept| yes_no(*kept, "Yes", "No"));
        steps.push(Step::extra("Does the NAT keep the port number?", "RFC 4787 §4.2.1", kept));
        let ports = answer(&details.port_allocation, ToString::to_string);
        steps.push(Step::extra("By which rule does the NAT choose a port?", "RFC 4787 §4.2.1", ports));
        let pooling = answer(&details.pooling, |pooling| format!("{pooling} address pooling"));
        steps.push(Step::extra("Do all sockets get the same public address?", "RFC 4787 §4.1", pooling));
        let twice =
            answer(&details.double_nat, |two| yes_no(*two, "Yes, the NAT of a carrier", "There is no sign of it"));
        steps.push(Step::extra("Is there a second NAT?", "RFC 6598 §1", twice));
    }
    let alg = answer(&details.alg, |alg| yes_no(*alg, "Yes", "No"));
    steps.push(Step::extra("Does a device change addresses inside messages?", "RFC 5780 §3.6", alg));
    let routes = answer(&details.multi_homed, |many| yes_no(*many, "Yes, several", "No, one"));
    steps.push(Step::extra("Do packets leave from several local addresses?", "", routes));
    let hairpin = answer(&details.hairpin, ToString::to_string);
    steps.push(Step::extra("Do packets to the own public endpoint return (hairpinning)?", "RFC 4787 §6", hairpin));
    steps
}

/// The steps of the filtering test.
fn filtering(family: &FamilyReport) -> Vec<Step> {
    let mut steps = Vec::new();
    let path = family.path;
    if path.sent > 0 {
        let follows = if path.answered >= path.sent {
            "No packet was lost, so silence is evidence."
        } else {
            "Silence is evidence only after several requests."
        };
        let answer = format!("{} of {} control requests got a response.", path.answered, path.sent);
        steps.push(Step::main("Are packets lost on the way?", "RFC 8489 §6.2.1", answer, follows.to_owned()));
    }
    for evidence in &family.filtering.evidence {
        let (question, answer, is_silent) = if let Evidence::Answered { question, from } = evidence {
            (question, format!("Yes, a response came from {from}."), false)
        } else if let Evidence::Silence { question, sends } = evidence {
            (question, format!("No, {sends} requests got no response."), true)
        } else {
            continue;
        };
        let (asked, clause) = match question {
            Question::ChangeBoth => ("May an address that was not contacted send to the host?", "RFC 5780 §4.4"),
            Question::ChangePort => ("May another port of the contacted address send?", "RFC 5780 §4.4"),
            Question::Proof | Question::PlainProof => {
                ("Does the server send such responses where nothing filters?", "RFC 5780 §7.2")
            }
            Question::Control | Question::ResponsePort => continue,
        };
        let follows = match (question, is_silent) {
            (Question::ChangeBoth, false) => filter_words(Some(Filtering::EndpointIndependent)),
            (Question::ChangeBoth, true) => "A filter drops the packets, or the server sends none.",
            (Question::ChangePort, _) => filter_words(family.filtering.value().copied()),
            (_, false) => "The server is not the reason for the silence.",
            (_, true) => "The server may be the reason for the silence.",
        };
        steps.push(Step::main(asked, clause, answer, follows.to_owned()));
    }
    if family.filtering.value().is_none() {
        let answer = unknown("filtering", &family.filtering);
        let question = "Which hosts may send to the public endpoint?";
        steps.push(Step::main(question, "RFC 4787 §5", answer, String::new()));
    }
    steps
}

const fn filter_words(filtering: Option<Filtering>) -> &'static str {
    match filtering {
        Some(Filtering::EndpointIndependent) => "Endpoint-independent filtering (EIF): any host may send.",
        Some(Filtering::AddressDependent) => {
            "Address-dependent filtering (ADF): only a contacted address may send, from any port."
        }
        Some(Filtering::AddressAndPortDependent) => {
            "Address-and-port-dependent filtering (APDF): only a contacted address and port may send."
        }
        None => "",
    }
}

fn classic(family: &FamilyReport) -> Option<Step> {
    let name = family.classic_type();
    let answer = format!("{}.", plain(name));
    let question = "Which name does RFC 3489 give to this combination?";
    // The names of RFC 3489 describe the access to the Internet.
    (name != ClassicType::Unknown && Vantage::is_public(family)).then(|| Step::extra(question, "RFC 3489 §5", answer))
}

fn unknown<T>(axis: &str, conclusion: &Conclusion<T>) -> String {
    let why = conclusion.reason().unwrap_or(Unknown::NoEvidence);
    format!("The {axis} is unknown: {why}.")
}

/// Returns a value in words, or the reason why it is unknown.
fn answer<T>(conclusion: &Conclusion<T>, describe: impl Fn(&T) -> String) -> String {
    match (conclusion.value(), conclusion.reason()) {
        (Some(value), _) => format!("{}.", describe(value)),
        (None, Some(why)) => format!("Not known: {why}."),
        (None, None) => "Not known.".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    fn text(family: &FamilyReport, detail: StepDetail) -> String {
        let mut out = String::new();
        write(&mut out, family, detail).unwrap();
        out
    }

    #[test]
    fn each_step_of_a_home_router_has_its_answer_and_its_conclusion() {
        let home = sample::home().families.remove(0);
        assert_eq!(
            text(&home, StepDetail::Main),
            " 1 Which address does a server see?
     198.51.100.10:3478 saw 203.0.113.9:40000; the socket's own address is 192.168.1.7:40000. → A NAT (network address translator) changes the address.
 2 Do other destinations see the same endpoint?
     198.51.100.20:3478 saw 203.0.113.9:40000. → Endpoint-independent mapping (EIM): one public endpoint for all destinations.
 3 Are packets lost on the way?
     13 of 14 control requests got a response. → Silence is evidence only after several requests.
 4 May an address that was not contacted send to the host?
     No, 7 requests got no response. → A filter drops the packets, or the server sends none.
 5 May another port of the contacted address send?
     No, 7 requests got no response. → Address-and-port-dependent filtering (APDF): only a contacted address and port may send.
"
        );
        let all = text(&home, StepDetail::All);
        assert!(all.lines().count() > 20 && all.contains("[RFC 4787 §4.2.1]"), "{all}");
    }

    #[test]
    fn a_network_without_udp_has_its_steps_too() {
        let blocked = text(&sample::blocked().families[0], StepDetail::Main);
        assert!(
            blocked.contains("TCP to 198.51.100.10:443 connects. → Packets leave and return over TCP"),
            "{blocked}"
        );
        for family in sample::offline().families {
            assert!(text(&family, StepDetail::Main).starts_with(" 1 Can this host send packets?\n     No: "));
        }
        let silent =
            text(&FamilyReport::new(portolan_nat::profile::Family::V4, Unknown::ServerSilent), StepDetail::All);
        assert!(silent.contains("No server was asked."), "{silent}");
    }
}
