//! Priorities of candidates.

use crate::lab::{Lab, ONE, Side, ms};
use portolan_ice::candidate::priority;
use portolan_ice::{AgentConfig, Credentials, LocalCandidate, RemoteDescription};
use portolan_machine::SocketId;

/// The values that deployed endpoints send for the recommended preferences.
#[test]
fn rfc8445_5_1_2_1_the_priority_formula() {
    let cases = [
        ((126, 65535, 1), 2_130_706_431),
        ((126, 65535, 2), 2_130_706_430),
        ((100, 65535, 1), 1_694_498_815),
        ((110, 65535, 1), 1_862_270_975),
        ((0, 0, 256), 0),
        ((0, 65535, 1), 16_777_215),
    ];
    for ((kind, local, component), expected) in cases {
        assert_eq!(priority(kind, local, component), expected, "{kind} {local} {component}");
    }
}

/// 2¹³ × direction preference + other preference, with a type preference below that of UDP.
#[test]
fn rfc6544_4_2_the_local_preference_begins_with_the_direction() {
    let address = "192.0.2.7:5000".parse().unwrap();
    let udp = LocalCandidate::host(ONE, SocketId(1), address);
    let reflexive = udp.server_reflexive(address, address.ip());
    let active = LocalCandidate::tcp_active(ONE, SocketId(2), address.ip());
    let passive = LocalCandidate::tcp_passive(ONE, SocketId(3), address);
    assert_eq!((active.address.port(), passive.address.port()), (9, 5000));
    assert_eq!(active.priority(), priority(90, 6 * 8_192 + 8_191, 1));
    assert_eq!(passive.priority(), priority(90, 4 * 8_192 + 8_191, 1));
    assert_eq!(active.reflexive_priority(), priority(80, 4 * 8_192 + 8_191, 1));
    assert!(reflexive.priority() > active.priority() && active.priority() > passive.priority());
    // The preferences of two addresses differ by 32 or more (`preference::STEP`).
    let next = active.with_preference(u16::MAX - 32);
    assert_eq!(next.priority(), priority(90, 6 * 8_192 + 8_187, 1));
}

#[test]
fn rfc6544_5_2_tcp_candidates_of_the_peer_are_skipped() {
    let mut lab = Lab::direct(1, AgentConfig::new(), AgentConfig::new());
    lab.net.record_story();
    lab.start();
    lab.add_host(Side::Left, ONE, "50.0.0.1");
    let credentials = Credentials::new("8hhYabcd", "asd88fgpdd777uzjYhagZg").unwrap();
    let candidates =
        ["1 1 TCP 2105458943 50.0.0.2 9 typ host tcptype active", "2 1 UDP 2130706431 50.0.0.2 5000 typ host"];
    let candidates = candidates.map(|text| text.parse().unwrap()).to_vec();
    let description = RemoteDescription::new(credentials).with_candidates(candidates);
    lab.net.with(lab.host(Side::Left), |agent, cx| agent.set_remote(cx, 0, description)).unwrap().unwrap();
    lab.run(ms(10));
    assert_eq!(lab.agent(Side::Left).pairs().count(), 1);
    assert!(lab.net.story().contains("the transport protocol is not supported"), "{}", lab.net.story());
}
