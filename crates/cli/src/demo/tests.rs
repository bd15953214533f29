use super::changes::{Change, presets};
use super::packets::Counts;
use super::session::{Session, Side};
use super::*;
use clap::Parser;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    args: DemoArgs,
}

fn args(line: &str) -> DemoArgs {
    Line::try_parse_from(["portolan"].into_iter().chain(line.split_whitespace())).unwrap().args
}

fn session(line: &str) -> Session {
    session::run(&args(line).plan(), true).unwrap()
}

fn screen(line: &str, width: usize) -> String {
    let page = text(&args(line), &session(line), width).unwrap();
    anstream::adapter::strip_str(&page).to_string()
}

/// The initials of the verdicts for each left preset (rows) and each right preset (columns).
fn table(options: &str) -> String {
    let row = |left: Preset| {
        let verdict = |right: Preset| match session(&format!("--left {left} --right {right} {options}")).verdict() {
            Verdict::Direct => " D",
            Verdict::Relayed => " R",
            Verdict::NotConnected => " -",
        };
        format!("{left:<10}{}\n", presets().map(verdict).collect::<String>())
    };
    presets().map(row).collect()
}

/// The columns are: open, home, cgnat, symmetric, full-cone, restricted, firewall, blocked.
#[test]
fn the_verdict_of_each_pair_of_presets() {
    assert_eq!(
        table(""),
        "\
open       D D D D D D D R
home       D D D R D D D R
cgnat      D D D R D D D R
symmetric  D R R R D D R R
full-cone  D D D D D D D R
restricted D D D R D D D R
firewall   D D D R D D D R
blocked    R R R R R R R R
"
    );
    assert_eq!(
        table("--no-relay"),
        "\
open       D D D D D D D -
home       D D D - D D D -
cgnat      D D D - D D D -
symmetric  D - - - D D - -
full-cone  D D D D D D D -
restricted D D D D D D D -
firewall   D D D - D D D -
blocked    - - - - - - - -
",
        "a direct check of restricted and symmetric passes late: with a relay, the relayed pair is nominated before"
    );
}

/// The listing has a line for each count of the simulator's ledger, and no other line of a packet.
#[test]
fn the_listing_has_each_packet_of_the_ledger() {
    for options in ["", "--loss 10 --seed 5", "--policy browser --loss 20 --seed 2"] {
        for left in presets() {
            for right in presets() {
                let line = format!("--left {left} --right {right} {options}");
                let session = session(&line);
                let listing = packets::page(&session);
                let count = |word: &str| {
                    let lines = listing.lines().filter(|line| line.split_whitespace().nth(2) == Some(word));
                    lines.count() as u64
                };
                let listed = Counts {
                    sent: count("sends"),
                    doubled: count("doubles"),
                    delivered: count("receives"),
                    lost: count("loses"),
                    dropped: count("drops"),
                    stranded: count("strands"),
                };
                let ledger = &session.ledger;
                let expected = Counts {
                    sent: ledger.sent,
                    doubled: ledger.doubled,
                    delivered: ledger.delivered + ledger.served,
                    lost: ledger.lost,
                    dropped: ledger.dropped,
                    stranded: ledger.stranded,
                };
                assert_eq!(listed, expected, "{line}");
                assert!(listed.sent > 0 || line.contains("blocked"), "{line}");
                let (writes, reads) = (count("writes"), count("reads"));
                let is_blocked = line.contains("blocked");
                assert_eq!((writes > 0, reads > 0), (is_blocked, is_blocked), "TCP is used only without UDP: {line}");
                let others = count("maps") + writes + reads + 2 + u64::from(is_blocked);
                let all = listed.sent + listed.delivered + listed.lost + listed.dropped + listed.stranded;
                assert_eq!(listing.lines().count() as u64, all + others, "no other line: {line}");
                if !options.is_empty() && session.verdict() != Verdict::NotConnected {
                    assert!(listed.delivered > 0, "{line}");
                }
            }
        }
    }
}

#[test]
fn a_lossy_session_has_lost_packets() {
    let session = session("--loss 20 --seed 1");
    assert!(session.ledger.lost > 0);
    assert!(packets::page(&session).contains(" loses "));
}

#[test]
fn one_screen_has_at_most_30_lines() {
    for left in presets() {
        for right in presets() {
            let line = format!("--left {left} --right {right}");
            let page = screen(&line, 100);
            assert!(page.lines().count() <= 30, "{line}: {}\n{page}", page.lines().count());
        }
    }
}

/// The time of the command is the time of these sessions: each takes some milliseconds.
#[test]
fn the_screen_needs_sixteen_sessions() {
    assert_eq!(1 + changes::compute(&session("")).unwrap().len(), 16);
}

#[test]
fn the_screen_is_pinned_at_three_widths() {
    for (width, pinned) in [
        (100, include_str!("screens/home-100.txt")),
        (80, include_str!("screens/home-80.txt")),
        (40, include_str!("screens/home-40.txt")),
    ] {
        assert_eq!(screen("", width), pinned, "{width}");
    }
    let symmetric = "--left symmetric --right symmetric";
    assert_eq!(screen(symmetric, 100), include_str!("screens/symmetric-100.txt"));
    assert_eq!(screen(&format!("{symmetric} --no-relay"), 100), include_str!("screens/no-relay-100.txt"));
    assert_eq!(screen("--explain", 100), include_str!("screens/explain-100.txt"));
    assert_eq!(screen("--left blocked", 100), include_str!("screens/blocked-100.txt"));
}

#[test]
fn no_line_is_longer_than_the_width() {
    for options in ["", "--explain", "--explain=packets", "--left cgnat --right cgnat", "--left blocked"] {
        for width in [40, 80, 100] {
            let has_one_word = |line: &str| line.split_whitespace().count() == 1;
            let fits = |line: &str| line.chars().count() <= width || has_one_word(line);
            let page = screen(options, width);
            assert!(page.lines().all(fits), "{width} {options}: {page}");
        }
    }
}

#[test]
fn home_and_home_show_a_dropped_check_and_one_that_passes_because_of_it() {
    let page = screen("", 200);
    assert!(page.contains("dropped by the left NAT: the host has not contacted the source (RFC 4787 §5)"), "{page}");
    assert!(page.contains("passes the right NAT, because right sent to its source at "), "{page}");
}

#[test]
fn two_symmetric_nats_without_a_relay_have_their_reason() {
    let page = screen("--left symmetric --right symmetric --no-relay", 200);
    assert!(page.contains("Both NATs map per destination"), "{page}");
    assert!(page.contains("there is no relay"), "{page}");
    assert!(page.contains("Not connected"), "{page}");
}

/// Each change on the screen is the verdict of a session with exactly this change.
#[test]
fn the_changes_are_the_verdicts_of_sessions() {
    let base = session("--left symmetric");
    for (change, verdict) in changes::compute(&base).unwrap() {
        let line = match change {
            Change::Preset(Side::Left, preset) => format!("--left {preset}"),
            Change::Preset(Side::Right, preset) => format!("--left symmetric --right {preset}"),
            Change::Relay(has_relay) => {
                assert!(!has_relay);
                "--left symmetric --no-relay".to_owned()
            }
        };
        assert_eq!(session(&line).verdict(), verdict, "{line}");
    }
}

#[test]
fn a_dozen_decisions_have_a_clause() {
    // Without UDP on both sides there are no mapped addresses to learn.
    for (options, least) in [("", 10), ("--left blocked", 10), ("--left blocked --right blocked", 8)] {
        let page = screen(&format!("--explain {options}"), 200);
        let decisions: Vec<&str> = page.lines().skip_while(|line| !line.starts_with("Decisions")).skip(1).collect();
        let decisions: Vec<&&str> = decisions.iter().take_while(|line| line.starts_with("  ")).collect();
        assert!((least..=18).contains(&decisions.len()), "{options}: {decisions:#?}");
        assert!(decisions.iter().all(|line| line.contains("[RFC ") && line.ends_with(']')), "{decisions:#?}");
    }
}

#[test]
fn a_peer_without_udp_reaches_the_relay_over_tcp() {
    for (line, place) in [
        ("--left blocked", "on the left"),
        ("--right blocked", "on the right"),
        ("--left blocked --right blocked", "on both sides"),
    ] {
        let page = screen(line, 200);
        assert!(page.contains(&format!("UDP is blocked {place}: the relay is reached over TCP.")), "{page}");
        let alone = screen(&format!("{line} --no-relay"), 200);
        assert!(alone.contains("Not connected") && alone.contains("there is no relay"), "{alone}");
    }
}

#[test]
fn the_listing_has_the_messages_of_each_stream() {
    let listing = packets::page(&session("--left blocked --right blocked"));
    let has = |actor: &str, word: &str, what: &str| {
        listing.lines().any(|line| {
            let mut words = line.split_whitespace().skip(1);
            words.next() == Some(actor) && words.next() == Some(word) && line.contains(what)
        })
    };
    for side in ["left", "right"] {
        assert!(has(side, "writes", " TCP Allocate request"), "{side}: {listing}");
        assert!(has(side, "reads", " TCP Allocate success response"), "{side}: {listing}");
    }
    assert!(has("server", "reads", " TCP Allocate request") && has("server", "writes", " TCP Allocate"), "{listing}");
}

#[test]
fn a_seed_gives_the_same_output_again() {
    let line = "--left symmetric --loss 20 --explain=packets --seed";
    assert_eq!(screen(&format!("{line} 3"), 100), screen(&format!("{line} 3"), 100));
    assert_ne!(screen(&format!("{line} 3"), 100), screen(&format!("{line} 4"), 100));
}

#[test]
fn a_relayed_datagram_takes_twice_the_round_trip() {
    let round_trip = |line: &str| session(line).exchange.unwrap().round_trip.as_millis();
    assert_eq!(round_trip("--rtt 80"), 80);
    assert_eq!(round_trip("--rtt 80 --left symmetric"), 160);
}
