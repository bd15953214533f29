//! Properties of typed values: a written value is parsed as the same value, and the position of an error is inside the
//! value.

use core::fmt::Display;
use core::net::IpAddr;
use portolan_sdp::attribute::{
    Extmap, Fingerprint, Fmtp, Group, IceOptions, IcePacing, IcePwd, IceUfrag, MaxMessageSize, Mid, Msid, MsidSemantic,
    RemoteCandidates, Rid, Rtcp, RtcpFb, Rtpmap, SctpPort, Sctpmap, Setup, Simulcast, Ssrc, SsrcGroup, TlsId,
};
use portolan_sdp::candidate::{
    CandidateAttribute, CandidateType, ConnectionAddress, Deviation, Extensions, TcpType, Transport,
};
use portolan_sdp::{Candidate, Value};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::string::string_regex;

/// Parses arbitrary bytes, and checks the position of the error.
fn check_parse<'a, T: Value<'a> + Display>(value: &'a [u8]) {
    match T::parse(value) {
        Ok(found) => drop(found.to_string()),
        Err(error) => {
            assert!(error.at <= value.len(), "{error}: {}", value.escape_ascii());
            let found = value.get(error.at).copied();
            // Spaces at the end are skipped; the end of the value is reported before them.
            assert!(error.found == found || found == Some(b' '), "{error}: {}", value.escape_ascii());
        }
    }
}

/// Generates valid values from a regular expression.
fn matching(pattern: String) -> impl Strategy<Value = String> {
    string_regex(&pattern).unwrap_or_else(|error| panic!("{pattern}: {error}"))
}

/// Generates bytes that occur in the grammars, and some other bytes.
fn noise() -> impl Strategy<Value = Vec<u8>> {
    let bytes = b" ,;:=~*/.-%0159aAfFxz{}\r\n\0\x7f\xff".to_vec();
    vec(select(bytes), 0..12)
}

macro_rules! laws {
    ($($name:ident: $type:ty, $($pattern:expr),+;)*) => {$(
        proptest! {
            #[test]
            fn $name(good in matching([$($pattern),+].concat()), noise in noise(), at in any::<Index>()) {
                let value = <$type>::parse(good.as_bytes());
                let value = value.unwrap_or_else(|error| panic!("{good:?}: {error}"));
                let written = value.to_string();
                assert_eq!(<$type>::parse(written.as_bytes()), Ok(value), "{good:?} was written as {written:?}");
                check_parse::<$type>(good.as_bytes());
                let mut damaged = good.clone().into_bytes();
                let at = at.index(damaged.len() + 1);
                damaged.splice(at..at, noise.clone());
                check_parse::<$type>(&damaged);
                damaged.truncate(at);
                check_parse::<$type>(&damaged);
                check_parse::<$type>(&noise);
            }
        }
    )*};
}

const TOKEN: &str = "[!#-'*+.0-9A-Z^-~-]";
const IP: &str = "(192\\.0\\.2\\.[1-9]|2001:db8::[0-9a-f]{1,4}|::|::ffff:192\\.0\\.2\\.1)";
const PORT: &str = "(0|9|[1-9][0-9]{0,3}|[1-5][0-9]{4}|65535)";
const PT: &str = "([0-9]|[1-9][0-9]|1[01][0-9]|12[0-7])";

laws! {
    candidate: Candidate<&str>,
        "[a-zA-Z0-9+/]{0,32} (0|1|2|256) (UDP|udp|Tcp|ssltcp|x) (0|1|2130706431|4294967295) (",
        IP, "|[a-z]{1,8}\\.local|fe80::1%eth0) ", PORT, " [tT]yp (host|srflx|prflx|RELAY|other)( raddr (",
        IP, "|192\\.168\\.0\\.274|a\\.b) rport ", PORT,
        ")?( generation [0-9]| ufrag [a-z]{0,3}){0,2}( tcptype (active|passive|so))?( x [!-~]{0,3}){0,2}( lone)?";
    ice_ufrag: IceUfrag<'_>, "[a-zA-Z0-9+/_=#-]{4,256}";
    ice_pwd: IcePwd<'_>, "[a-zA-Z0-9+/]{22,256}";
    ice_options: IceOptions<'_>, TOKEN, "{1,8}( ", TOKEN, "{1,8}){0,3} {0,2}";
    ice_pacing: IcePacing, "[0-9]{1,10}";
    remote_candidates: RemoteCandidates<'_>, "[1-9] ", IP, " ", PORT, "( (1|256) ", IP, " ", PORT, "){0,3}";
    fingerprint: Fingerprint<'_>,
        "((sha-1|SHA-1) [0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){19}|new [0-9A-F]{2}(:[0-9A-F]{2}){0,9})";
    setup: Setup, "(active|passive|actpass|holdconn)";
    tls_id: TlsId<'_>, "[a-zA-Z0-9+/_-]{20,255}";
    group: Group<'_>, TOKEN, "{1,8}( ", TOKEN, "{1,8}){0,4}";
    mid: Mid<'_>, TOKEN, "{1,8}";
    msid: Msid<'_>, TOKEN, "{1,64}( ", TOKEN, "{1,64})?";
    msid_semantic: MsidSemantic<'_>, " {0,2}WMS( \\*|( ", TOKEN, "{1,8}){0,3}) ?";
    rtpmap: Rtpmap<'_>, PT, " ", TOKEN, "{1,12}/[1-9][0-9]{0,5}(/[1-9])? ?";
    fmtp: Fmtp<'_>, "(", PT, "|", TOKEN, "{1,4})( [!-~]([ -~]{0,12}[!-~])?)? ?";
    extmap: Extmap<'_>,
        "[1-9][0-9]{0,3}(/(sendonly|recvonly|sendrecv|inactive))? [!-~]{1,20}( [ -~]{0,8}[!-~])?";
    rtcp: Rtcp<'_>, PORT, "( IN (IP4 192\\.0\\.2\\.1|IP6 2001:db8::1|IP4 a\\.example))?";
    rtcp_fb: RtcpFb<'_>, "(", PT, "|\\*) (nack|ccm|[a-z0-9_-]{5,9})( [a-z]{1,5}( [ -~]{0,5}[!-~])?)?";
    rtcp_fb_interval: RtcpFb<'_>, "\\* (trr-int [0-9]{1,9}|ack rpsi|ack app [!-~]{1,4})";
    ssrc: Ssrc<'_>, "(0|[1-9][0-9]{0,8})( ", TOKEN, "{1,8}(:[ -~]{1,8})?)? ?";
    ssrc_group: SsrcGroup<'_>, TOKEN, "{1,5}( (0|[1-9][0-9]{0,8})){0,4} ?";
    rid: Rid<'_>, "[a-zA-Z0-9_-]{1,5} (send|recv)( (pt=", PT, "(, ?", PT,
        ")?|max-width=[0-9]{1,4})(; ?(max-fps=30|max-bpp=0\\.5|[a-z]{1,3}(=[ -:<-~]{0,3}[!-:<-~])?)){0,3})?";
    simulcast: Simulcast<'_>, " ?(send (rid=)?~?[a-z]{1,3}([,;]~?[a-z0-9]){0,3}( recv ~?[a-z])?",
        "|recv [a-z]([,;]~?[a-z]){0,3}( send ~?[a-z])?)";
    sctp_port: SctpPort, PORT;
    max_message_size: MaxMessageSize, "(0|[1-9][0-9]{0,18})";
    sctpmap: Sctpmap<'_>, PORT, " ", TOKEN, "{1,20}( ", PORT, ")?";
}

prop_compose! {
    /// Generates candidates without a deviation.
    fn valid_candidate()(
        foundation in "[a-zA-Z0-9+/]{1,32}",
        component in 1..=256_u16,
        transport in select(vec![Transport::Udp, Transport::Tcp, Transport::Other("ssltcp".to_owned())]),
        priority in 1..=0x7fff_ffff_u32,
        address in any::<IpAddr>(),
        port in any::<u16>(),
        related in any::<(IpAddr, u16)>(),
        candidate_type in select(vec![
            CandidateType::Host,
            CandidateType::ServerReflexive,
            CandidateType::PeerReflexive,
            CandidateType::Relayed,
        ]),
        tcp_type in select(vec![TcpType::Active, TcpType::Passive, TcpType::SimultaneousOpen]),
        pairs in vec(("[a-z][a-z-]{0,9}", "[!-~]{0,9}"), 0..4),
    ) -> CandidateAttribute {
        let mut extensions = Extensions::new();
        for (name, value) in &pairs {
            extensions.push(name, value).unwrap();
        }
        let is_host = candidate_type == CandidateType::Host;
        let related = (!is_host).then(|| (related.0.into(), related.1));
        let tcp_type = (transport == Transport::Tcp).then_some(tcp_type);
        let address = address.into();
        CandidateAttribute {
            foundation, component, transport, priority, address, port, candidate_type, related, tcp_type, extensions,
        }
    }
}

proptest! {
    #[test]
    fn candidates_of_an_agent_are_parsed_unchanged(candidate in valid_candidate()) {
        let checked = candidate.clone().checked();
        prop_assert_eq!(checked.as_ref(), Ok(&candidate));
        prop_assert_eq!(candidate.to_string().parse(), Ok(candidate.clone()));
        prop_assert_eq!(candidate.borrowed().to_owned(), candidate);
    }

    #[test]
    fn a_single_deviation_is_reported_and_strict_parsing_refuses_it(candidate in valid_candidate(), which in 0..6_usize) {
        let (changed, deviation) = add_deviation(candidate, which);
        prop_assert_eq!(changed.deviations().collect::<Vec<_>>(), [deviation]);
        let text = changed.to_string();
        prop_assert_eq!(text.parse(), Ok(changed.clone()));
        let error = Candidate::strict(text.as_bytes()).unwrap_err();
        prop_assert!(error.at <= text.len());
        prop_assert_eq!(error.clause, deviation.clause());
        prop_assert_eq!(changed.checked(), Err(error));
    }
}

/// Adds one deviation to a candidate. Returns the candidate and the deviation.
fn add_deviation(mut candidate: CandidateAttribute, which: usize) -> (CandidateAttribute, Deviation) {
    let deviation = match which {
        0 => {
            candidate.foundation.clear();
            Deviation::NoFoundation
        }
        1 => {
            candidate.component = 0;
            Deviation::ComponentZero
        }
        2 => {
            candidate.priority = 0x8000_0000;
            Deviation::PriorityRange
        }
        3 => {
            candidate.address = ConnectionAddress::Zoned("fe80::1%2".to_owned());
            Deviation::Zone
        }
        4 => {
            candidate.candidate_type = CandidateType::Relayed;
            candidate.related = None;
            Deviation::NoRelated
        }
        _ => {
            candidate.transport = Transport::Tcp;
            candidate.tcp_type = None;
            Deviation::NoTcpType
        }
    };
    (candidate, deviation)
}
