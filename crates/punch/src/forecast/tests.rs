use super::*;
use alloc::format;
use alloc::string::ToString as _;

fn card(text: &str) -> Card {
    text.parse().unwrap()
}

fn found(own: &str, peer: &str) -> Forecast {
    let (own, peer) = (card(own), card(peer));
    let conditions = Conditions::default();
    let one = forecast(&own, &peer, &conditions);
    let other = forecast(&peer, &own, &conditions);
    let swapped = |side: Side| side.other();
    let mut strategy = other.strategy;
    if let Strategy::Predict { hard, .. } | Strategy::Birthday { hard, .. } = &mut strategy {
        *hard = swapped(*hard);
    }
    let mirrored = Forecast { strategy, own: other.peer, peer: other.own, ..other };
    assert_eq!(one, mirrored, "both sides compute the same forecast");
    one
}

/// The table of all pairs: `o` works, `w` works over an asymmetric path, `g` needs a guess, `-` needs a relay.
const TABLE: [&str; 9] = [
    "ooooooooo", // EIM/EIF
    "ooooooooo", // EIM/ADF
    "ooogggggg", // EIM/APDF
    "oogoo-oo-", // ADM/EIF
    "oogo--o--", // ADM/ADF
    "oog------", // ADM/APDF
    "oogoo-ww-", // APDM/EIF
    "oogo--w--", // APDM/ADF
    "oog------", // APDM/APDF
];

#[test]
fn every_pair_of_kinds_has_the_verdict_of_the_table() {
    let kinds: alloc::vec::Vec<_> = ["eim", "adm", "apdm"]
        .into_iter()
        .flat_map(|m| ["eif", "adf", "apdf"].map(|f| format!("nat1,4=nat,m={m},f={f},a=random")))
        .collect();
    for (row, own) in TABLE.iter().zip(&kinds) {
        for (expected, peer) in row.chars().zip(&kinds) {
            let found = found(own, peer);
            let letter = match (found.verdict, found.is_asymmetric) {
                (Verdict::Works, false) => 'o',
                (Verdict::Works, true) => 'w',
                (Verdict::WorksWithGuessing, false) => 'g',
                (Verdict::RelayOnly, false) => '-',
                other => panic!("{other:?}"),
            };
            assert_eq!(letter, expected, "{own} × {peer}: {found}");
        }
    }
}

#[test]
fn ipv6_is_first_and_its_filter_does_not_matter() {
    let hard = "nat1,4=nat,m=apdm,f=apdf,a=random";
    let found = found(&format!("{hard},6=apdf"), &format!("{hard},6=present"));
    assert_eq!((found.verdict, found.strategy), (Verdict::Works, Strategy::Ipv6));
}

#[test]
fn without_ipv4_on_one_side_only_ipv6_decides() {
    let check = |own: &str, peer: &str| {
        let found = found(own, peer);
        (found.verdict, found.reason)
    };
    assert_eq!(check("nat1,4=absent,6=adf", "nat1,4=open,6=absent"), (Verdict::RelayOnly, Reason::NoCommonFamily));
    assert_eq!(check("nat1,4=blocked,6=absent", "nat1,4=open,6=apdf"), (Verdict::RelayOnly, Reason::NoCommonFamily));
    assert_eq!(check("nat1,4=absent,6=adf", "nat1,4=open"), (Verdict::Unknown, Reason::Ipv6Unknown));
}

#[test]
fn an_open_side_works_with_an_unknown_one_and_two_unknown_sides_are_unknown() {
    let open = found("nat1,4=open", "nat1");
    assert_eq!((open.verdict, open.strategy), (Verdict::Works, Strategy::Reversal));
    let unknown = found("nat1", "nat1");
    assert_eq!((unknown.verdict, unknown.probability), (Verdict::Unknown, None));
    assert_eq!(
        found("nat1,m=eim", "nat1,m=eim,f=apdf").verdict,
        Verdict::Unknown,
        "the unknown filter may be open: another strategy, not another verdict"
    );
}

#[test]
fn two_hosts_with_one_public_address_try_the_local_network_first() {
    let home = "nat1,4=nat,m=eim,f=apdf,e=5000@198.51.100.7";
    let plain = found(home, home);
    assert_eq!((plain.verdict, plain.strategy), (Verdict::Unknown, Strategy::LocalNetwork));
    let turns = format!("{home},h=external");
    assert_eq!(found(&turns, &turns).verdict, Verdict::Works);
}

#[test]
fn a_cost_is_written_in_the_singular_and_in_the_plural() {
    let cost = |mappings, sessions, probes| Cost { mappings, sessions, probes }.to_string();
    assert_eq!(cost(1, 1, 1), "1 probe, 1 mapping, 1 session");
    assert_eq!(cost(2, 0, 1210), "1210 probes, 2 mappings, 0 sessions");
}

#[test]
fn the_window_follows_from_step_and_cross_traffic() {
    let (own, peer) = (card("nat1,4=nat,m=eim,f=apdf"), card("nat1,4=nat,m=apdm,f=apdf,a=seq-2"));
    let at = |cross_traffic| forecast(&own, &peer, &Conditions { cross_traffic, ..Conditions::default() });
    let windows = [0, 1, 10, 50].map(|flows| {
        let Strategy::Predict { step, window, hard } = at(flows).strategy else { panic!("{}", at(flows)) };
        (step, window, hard)
    });
    assert_eq!(windows, [(-2, 1, Side::Peer), (-2, 5, Side::Peer), (-2, 14, Side::Peer), (-2, 40, Side::Peer)]);
    assert!(at(50).probability.unwrap() > 0.99);
    assert!(matches!(at(500).strategy, Strategy::Birthday { sockets: 256, .. }), "the counter is too fast to predict");
}

#[test]
fn a_guess_stays_in_its_budget_and_says_both_counts() {
    let (easy, hard) = ("nat1,4=nat,m=eim,f=apdf", "nat1,4=nat,m=apdm,f=apdf,a=random");
    let full = found(easy, hard);
    assert_eq!(
        full.strategy,
        Strategy::Birthday { hard: Side::Peer, sockets: 256, probes: 1200, first: 1024, last: 65_535 }
    );
    assert_eq!((full.own.mappings, full.own.sessions, full.peer.mappings, full.peer.sessions), (1, 1201, 257, 257));
    assert!((0.99..0.993).contains(&full.probability.unwrap()), "{full}");
    let block = found(easy, "nat1,4=nat,m=apdm,f=apdf,a=block2048@34816");
    let Strategy::Birthday { sockets, probes, first: 34_816, last: 36_863, .. } = block.strategy else {
        panic!("{block}")
    };
    assert!(sockets == probes && sockets <= 100, "{block}");
    let small = Budget { mappings: 40, sessions: 400, rate: 100 };
    let little = forecast(&card(easy), &card(hard), &Conditions { budget: small, ..Conditions::default() });
    assert!(little.peer.mappings <= 40 && little.own.sessions <= 400 && little.probability.unwrap() < 0.2, "{little}");
    let none = Budget { mappings: 1, sessions: 1, rate: 100 };
    let none = forecast(&card(easy), &card(hard), &Conditions { budget: none, ..Conditions::default() });
    assert_eq!((none.verdict, none.reason), (Verdict::RelayOnly, Reason::BudgetTooSmall));
}

#[test]
fn an_address_pool_and_an_unknown_allocator_are_no_guess() {
    let easy = "nat1,4=nat,m=eim,f=apdf";
    assert_eq!(found(easy, "nat1,4=nat,m=apdm,f=apdf,a=random,o=arbitrary").reason, Reason::AddressPool);
    assert_eq!(found(easy, "nat1,4=nat,m=apdm,f=apdf").reason, Reason::AllocationUnknown);
    let by_address = "nat1,4=nat,m=eim,f=adf";
    assert_eq!(found(by_address, "nat1,4=nat,m=apdm,f=apdf,a=random,o=arbitrary").reason, Reason::AddressPool);
}

#[test]
fn doubt_in_a_card_lowers_the_probability() {
    let found = found("nat1,4=nat,m=eim,f=apdf,w=100", "nat1,4=nat,m=eim,f=adf,w=200");
    assert!((found.probability.unwrap() - 0.72).abs() < 1e-9);
    assert_eq!(
        found.to_string().lines().next().unwrap(),
        "works (72.0 %): both NATs keep one endpoint for all destinations"
    );
}
