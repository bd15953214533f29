//! The sentences of a report: the NAT or firewall, and its effect on direct connections.
//!
//! The effect follows from the mapping and the filtering. A peer reaches this host if the public endpoint is known
//! beforehand (mapping), and if its packet passes the filter or follows a packet to the peer (filtering). Between two
//! NATs a direct connection fails if the endpoint of one side depends on the destination and the filter of the other
//! side checks the exact port.

use crate::vantage::Vantage;
use core::net::SocketAddr;
use portolan_machine::Unreachability;
use portolan_nat::behavior::{ClassicType, Filtering, Mapping, NatKind};
use portolan_nat::profile::{Evidence, FamilyReport, Reachability, Unavailable, Unknown};

/// The sentences for one family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sentence {
    /// The NAT or firewall.
    pub(crate) is: String,
    /// The effect on direct connections.
    pub(crate) means: &'static str,
}

impl Sentence {
    /// Returns the sentences for a family.
    pub(crate) fn of(report: &FamilyReport) -> Self {
        let vantage = Vantage::of(report).unwrap_or(Vantage::Public);
        let (is, means) = match report.reach {
            Reachability::Unavailable(why) => (offline(why), "This family cannot be used."),
            Reachability::Blocked => (
                "UDP is blocked: TCP works, but no UDP response arrives.".to_owned(),
                "Direct connections over UDP will not work; peers need a relay over TCP or TLS.",
            ),
            Reachability::Unknown if report.mapping.reason() == Some(Unknown::ServerError) => {
                ("Servers respond, but no response can be used.".to_owned(), "Use other servers with --server.")
            }
            Reachability::Unknown => unanswered(report),
            Reachability::Available => available(report),
        };
        match report.reach {
            Reachability::Available | Reachability::Blocked => Self { is, means }.limited_to(vantage),
            Reachability::Unavailable(_) | Reachability::Unknown => Self { is, means },
        }
    }

    /// Returns the sentences for servers at this place. Only a public server shows the behaviour towards the Internet.
    fn limited_to(self, vantage: Vantage) -> Self {
        match vantage {
            Vantage::Public => self,
            Vantage::Loopback => Self {
                is: format!("Measured inside this host only (loopback). {}", self.is),
                means: "The result shows nothing about the Internet: no packet left this host. Name a public server \
                        with --server.",
            },
            Vantage::Private => Self {
                is: format!("Measured inside a private network only. {}", self.is),
                means: "The result shows nothing about the Internet: the servers have private addresses. Name a \
                        public server with --server.",
            },
        }
    }
}

/// Returns the sentences for servers that did not respond, with the ICMP errors that came instead.
fn unanswered(report: &FamilyReport) -> (String, &'static str) {
    let mut returned: Vec<(SocketAddr, Unreachability)> = Vec::new();
    for evidence in report.mapping.evidence.iter().chain(&report.filtering.evidence) {
        if let Evidence::Unreachable { to, why } = evidence
            && !returned.contains(&(*to, *why))
        {
            returned.push((*to, *why));
        }
    }
    if returned.is_empty() {
        return (
            "No server responded over UDP, for an unknown reason.".to_owned(),
            "Try again, or use other servers with --server.",
        );
    }
    let each: Vec<String> =
        returned.iter().map(|(to, why)| format!("requests to {to} were returned ({why})")).collect();
    let means = if returned.iter().any(|(_, why)| *why == Unreachability::Port) {
        "Check the port of the server, or use other servers with --server; a firewall that rejects UDP can send the \
         same error."
    } else {
        "Check the route to the server, or use other servers with --server."
    };
    (format!("No server responded over UDP: {}.", each.join(", ")), means)
}

fn offline(why: Unavailable) -> String {
    match why {
        Unavailable::Refused(why) => format!("offline: no socket could be opened ({why})."),
        Unavailable::Unreachable(why) => format!("offline: every datagram was rejected ({why})."),
        Unavailable::Silent => "offline: neither UDP nor TCP got a response.".to_owned(),
    }
}

fn available(report: &FamilyReport) -> (String, &'static str) {
    let (mapping, filtering) = (report.mapping.value().copied(), report.filtering.value().copied());
    match report.nat {
        Some(NatKind::Nat) => (behind_nat(report), means(mapping, filtering, report.mapping.reason())),
        Some(NatKind::Firewall) => (firewall(report), means(Some(Mapping::EndpointIndependent), filtering, None)),
        Some(NatKind::None) => open(report),
        None => (
            "Servers respond, but it is unknown whether a NAT translates the address.".to_owned(),
            means(mapping, filtering, report.mapping.reason()),
        ),
    }
}

fn behind_nat(report: &FamilyReport) -> String {
    let twice = report.details.double_nat.value() == Some(&true);
    let (who, gives, keeps, translates, lets) = if twice {
        ("Your router and your carrier's", "give", "keep", "translate", "let")
    } else {
        ("Your router", "gives", "keeps", "translates", "lets")
    };
    let maps = match (report.mapping.value(), report.mapping.reason()) {
        (Some(Mapping::EndpointIndependent), _) => format!("{keeps} one public port per socket"),
        (Some(Mapping::AddressDependent), _) => {
            format!("{gives} a socket another public port for each address it contacts")
        }
        (Some(Mapping::AddressAndPortDependent), _) => {
            format!("{gives} a socket another public port for each address and port it contacts")
        }
        (None, Some(Unknown::Dependent)) => format!("{gives} a socket different public ports for different peers"),
        (None, why) => format!("{translates} your address, by an unknown rule ({})", reason(why)),
    };
    let filters = match (report.filtering.value(), report.filtering.reason()) {
        (Some(Filtering::EndpointIndependent), _) => format!("{lets} any host send"),
        (Some(Filtering::AddressDependent), _) => format!("{lets} only the contacted address respond, from any port"),
        (Some(Filtering::AddressAndPortDependent), _) => {
            format!("{lets} only the contacted address and port respond")
        }
        (None, why) => format!("its filtering is unknown ({})", reason(why)),
    };
    let (joint, end) = (if report.filtering.value().is_some() { " and " } else { "; " }, named(report));
    format!("{who} {maps}{joint}{filters}{end}")
}

/// Returns the end of a sentence, with the classic name if there is one.
///
/// The classic names describe the access to the Internet.
fn named(report: &FamilyReport) -> String {
    let name = report.classic_type();
    if !Vantage::is_public(report) || matches!(name, ClassicType::Unknown | ClassicType::Other) {
        return ".".to_owned();
    }
    format!(": {}.", plain(name))
}

fn reason(why: Option<Unknown>) -> String {
    why.map_or_else(|| "no reason given".to_owned(), |why| why.to_string())
}

/// Returns the classic names of RFC 3489 in words.
pub(crate) const fn plain(name: ClassicType) -> &'static str {
    match name {
        ClassicType::Open => "open Internet",
        ClassicType::UdpFirewall => "symmetric UDP firewall",
        ClassicType::FullCone => "full cone",
        ClassicType::Restricted => "restricted cone",
        ClassicType::PortRestricted => "port-restricted cone",
        ClassicType::Symmetric => "symmetric",
        ClassicType::Other => "no classic name",
        ClassicType::Blocked => "UDP blocked",
        ClassicType::Unknown => "unknown",
        // A name that was added after this program.
        _ => "unknown",
    }
}

fn firewall(report: &FamilyReport) -> String {
    let lets = match report.filtering.value() {
        Some(Filtering::EndpointIndependent) => "lets any host send".to_owned(),
        Some(Filtering::AddressDependent) => "lets only the contacted address respond, from any port".to_owned(),
        Some(Filtering::AddressAndPortDependent) => "lets only the contacted address and port respond".to_owned(),
        None => format!("filters by an unknown rule ({})", reason(report.filtering.reason())),
    };
    format!("Nothing translates your address, but a firewall {lets}{}", named(report))
}

fn open(report: &FamilyReport) -> (String, &'static str) {
    match (report.filtering.value(), report.filtering.reason()) {
        (Some(_), _) => (
            if Vantage::is_public(report) {
                format!("Nothing translates your address and any host may send to it{}", named(report))
            } else {
                "Nothing translates your address or filters packets on the way to the servers.".to_owned()
            },
            ANYONE,
        ),
        (None, why) => (
            format!("Nothing translates your address; it is unknown whether a firewall filters ({}).", reason(why)),
            "Direct connections to most peers will work, at worst like behind a firewall.",
        ),
    }
}

const ANYONE: &str = "Direct connections to all peers will work.";
const LAX_ONLY: &str =
    "Direct connections will work only with peers that are open, full cone or restricted; others need a relay.";
const LAX_SURELY: &str = "Direct connections will certainly work with peers that are open, full cone or restricted; others may need a relay.";

/// Returns the effect of mapping and filtering on direct connections; the worst case if the filtering is unknown.
fn means(mapping: Option<Mapping>, filtering: Option<Filtering>, why: Option<Unknown>) -> &'static str {
    use Filtering::{AddressAndPortDependent, AddressDependent, EndpointIndependent};
    match (mapping, filtering) {
        (Some(Mapping::EndpointIndependent), Some(EndpointIndependent | AddressDependent)) => ANYONE,
        (Some(Mapping::EndpointIndependent), Some(AddressAndPortDependent)) => {
            "Direct connections to most peers will work."
        }
        (Some(Mapping::EndpointIndependent), None) => {
            "Direct connections to most peers will work, whatever the filter is."
        }
        (Some(Mapping::AddressDependent), Some(EndpointIndependent)) => {
            "Direct connections will work unless the peer's filter asks for the exact port; others need a relay."
        }
        (Some(Mapping::AddressAndPortDependent), Some(EndpointIndependent))
        | (Some(Mapping::AddressDependent | Mapping::AddressAndPortDependent), Some(AddressDependent)) => {
            "Direct connections will work with peers that are open, full cone or restricted, and few others; the rest \
             need a relay."
        }
        (Some(Mapping::AddressDependent | Mapping::AddressAndPortDependent), Some(AddressAndPortDependent)) => LAX_ONLY,
        (Some(Mapping::AddressDependent | Mapping::AddressAndPortDependent), None) => LAX_SURELY,
        (None, Some(AddressAndPortDependent)) if why == Some(Unknown::Dependent) => LAX_ONLY,
        (None, _) => LAX_SURELY,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;
    use portolan_nat::profile::{Conclusion, Family};

    fn sentence_of(nat: NatKind, mapping: Mapping, filtering: Filtering) -> (String, &'static str) {
        let mut report = sample::home().families.remove(0);
        report.nat = Some(nat);
        report.mapping = Conclusion::value_with(mapping, 0.0, vec![]);
        report.filtering = Conclusion::value_with(filtering, 0.0, vec![]);
        let sentence = Sentence::of(&report);
        (sentence.is, sentence.means)
    }

    #[test]
    fn a_home_router_has_an_independent_mapping_and_a_strict_filter() {
        let home = Sentence::of(&sample::home().families[0]);
        assert_eq!(
            home.is,
            "Your router keeps one public port per socket and lets only the contacted address and port respond: \
             port-restricted cone."
        );
        assert_eq!(home.means, "Direct connections to most peers will work.");
    }

    #[test]
    fn each_combination_has_its_own_sentence() {
        let mut all = Vec::new();
        for mapping in Mapping::ALL {
            for filtering in Filtering::ALL {
                let (is, means) = sentence_of(NatKind::Nat, mapping, filtering);
                assert!(is.starts_with("Your router ") && is.ends_with('.'), "{is}");
                assert!(means.ends_with('.'));
                // The table of pairs: only a strict filter or a dependent mapping excludes peers.
                let all_peers =
                    mapping == Mapping::EndpointIndependent && filtering != Filtering::AddressAndPortDependent;
                assert_eq!(means == ANYONE, all_peers, "{mapping} {filtering}");
                assert_eq!(is.ends_with(": symmetric."), mapping.is_destination_dependent());
                all.push(is);
            }
        }
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 9);
    }

    #[test]
    fn a_host_without_nat_is_open_or_behind_a_firewall() {
        let independent = Mapping::EndpointIndependent;
        let (open, means) = sentence_of(NatKind::None, independent, Filtering::EndpointIndependent);
        assert_eq!(open, "Nothing translates your address and any host may send to it: open Internet.");
        assert_eq!(means, ANYONE);
        let (wall, means) = sentence_of(NatKind::Firewall, independent, Filtering::AddressAndPortDependent);
        assert_eq!(
            wall,
            "Nothing translates your address, but a firewall lets only the contacted address and port respond: \
             symmetric UDP firewall."
        );
        assert_eq!(means, "Direct connections to most peers will work.");
    }

    #[test]
    fn an_unknown_result_is_named_with_its_reason() {
        let mut report = sample::home().families.remove(0);
        report.filtering = Conclusion::unknown(Unknown::NoOtherAddress, vec![]);
        assert_eq!(
            Sentence::of(&report).is,
            "Your router keeps one public port per socket; its filtering is unknown (no server in use has \
             the second address that the test needs)."
        );
        report.mapping = Conclusion::unknown(Unknown::Dependent, vec![]);
        assert!(Sentence::of(&report).is.starts_with("Your router gives a socket different public ports"));
        assert!(Sentence::of(&report).means.starts_with("Direct connections will certainly work with"));
        report.mapping = Conclusion::unknown(Unknown::SingleServer, vec![]);
        assert!(Sentence::of(&report).is.contains("(one plain server alone cannot show it)"));
        report.details.double_nat = Conclusion::value_with(true, 0.0, vec![]);
        assert!(Sentence::of(&report).is.starts_with("Your router and your carrier's translate "));
    }

    #[test]
    fn no_sentence_about_a_private_or_loopback_server_describes_the_internet() {
        for (address, scope) in [
            ("127.0.0.1:1", "Measured inside this host only (loopback). "),
            ("[::1]:1", "Measured inside this host only (loopback). "),
            ("192.168.1.1:1", "Measured inside a private network only. "),
            ("[fd00::1]:1", "Measured inside a private network only. "),
        ] {
            for nat in [NatKind::None, NatKind::Firewall, NatKind::Nat] {
                for filtering in Filtering::ALL {
                    let mut report = sample::home().families.remove(0);
                    report.nat = Some(nat);
                    report.filtering = Conclusion::value_with(filtering, 0.0, vec![]);
                    report.servers.iter_mut().for_each(|server| server.address = address.parse().unwrap());
                    let Sentence { is, means } = Sentence::of(&report);
                    assert!(is.starts_with(scope) && is.ends_with('.'), "{is}");
                    let name = plain(report.classic_type());
                    assert!(!is.contains(name) && !is.contains("any host may send to it"), "{is}");
                    assert!(means.starts_with("The result shows nothing about the Internet"), "{means}");
                }
            }
        }
    }

    #[test]
    fn an_icmp_error_is_named_in_the_sentence() {
        for (why, words, advice) in [
            (Unreachability::Port, "no socket listens on the port", "Check the port"),
            (Unreachability::Host, "host unreachable", "Check the route"),
            (Unreachability::Prohibited, "forbidden by a filter", "Check the route"),
        ] {
            let mut report = FamilyReport::new(Family::V4, Unknown::ServerSilent);
            let evidence = Evidence::Unreachable { to: "192.0.2.1:9".parse().unwrap(), why };
            report.mapping.evidence = vec![evidence];
            report.filtering.evidence = vec![evidence];
            let Sentence { is, means } = Sentence::of(&report);
            assert_eq!(is, format!("No server responded over UDP: requests to 192.0.2.1:9 were returned ({words})."));
            assert!(means.starts_with(advice), "{means}");
        }
    }

    #[test]
    fn a_family_without_a_route_has_a_sentence() {
        assert!(Sentence::of(&sample::blocked().families[0]).is.starts_with("UDP is blocked"));
        for family in sample::offline().families {
            assert!(Sentence::of(&family).is.starts_with("offline: "));
        }
        let silent = FamilyReport::new(Family::V4, Unknown::ServerSilent);
        assert!(Sentence::of(&silent).is.starts_with("No server responded"));
    }
}
