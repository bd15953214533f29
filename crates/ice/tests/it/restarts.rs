//! Restarts of one or both agents, with data on the way (RFC 8445 §9, RFC 7675 §5.1).

use crate::lab::{Lab, ONE, Side, ms};
use crate::system::POLICIES;
use alloc::collections::VecDeque;
use core::time::Duration;
use portolan_ice::{AgentConfig, AgentEvent, AgentState, Policy, RemoteDescription};
use portolan_machine::Instant;

/// Random numbers for delays.
struct Delays(u64);

impl Delays {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// Two agents whose owners signal the descriptions after a delay: after their own restart, and after a restart of the peer.
struct Session {
    lab: Lab,
    delays: Delays,
    seen: usize,
    longest: u64,
    /// Whether the descriptions say what they answer.
    says_answers: bool,
    /// Whether the descriptions of one side keep their order.
    keeps_order: bool,
    generations: [usize; 2],
    /// The arrival of the last description of each side.
    arrival: [Instant; 2],
}

impl Session {
    fn new(seed: u64, policy: Policy, longest: u64, says_answers: bool) -> Self {
        let config = || AgentConfig::new().policy(policy);
        let mut lab = Lab::direct(seed, config(), config());
        lab.start();
        lab.add_host(Side::Left, ONE, "50.0.0.1");
        lab.add_host(Side::Right, ONE, "50.0.0.2");
        lab.exchange();
        lab.run(ms(1_000));
        assert!(lab.agrees());
        for side in Side::BOTH {
            lab.with(side, |shim, cx| shim.send_data(cx, ms(20)));
        }
        let seen = lab.events.len();
        Self {
            lab,
            delays: Delays(seed),
            seen,
            longest,
            says_answers,
            keeps_order: true,
            generations: [0; 2],
            arrival: [Instant::ORIGIN; 2],
        }
    }

    fn signal(&mut self, from: Side) {
        self.generations[from as usize] += 1;
        let mut description = self.lab.agent(from).description(0).unwrap().ended();
        if !self.says_answers {
            (description.answers, description.generation) = (None, None);
        }
        let now = self.lab.net.now();
        let mut arrival = now + ms(self.delays.below(self.longest + 1));
        if self.keeps_order {
            arrival = arrival.max(self.arrival[from as usize]);
            self.arrival[from as usize] = arrival;
        }
        let delay = arrival.since(now);
        let to = self.lab.host(from.other());
        self.lab.net.after(to, delay, move |agent, cx| agent.set_remote(cx, 0, description).unwrap());
    }

    fn restart(&mut self, side: Side) {
        self.lab.with(side, |agent, cx| agent.restart(cx)).unwrap();
        self.signal(side);
    }

    fn run(&mut self, time: Duration) {
        let end = self.lab.net.now() + time;
        self.lab.net.after(self.lab.host(Side::Left), time, |_, _| {});
        while self.lab.step(end) {
            let new: Vec<Side> = self.lab.events[self.seen..]
                .iter()
                .filter(|(_, _, event)| matches!(event, AgentEvent::Restarted(_)))
                .map(|(_, side, _)| *side)
                .collect();
            self.seen = self.lab.events.len();
            new.into_iter().for_each(|side| self.signal(side));
        }
    }

    /// No data was lost since the beginning.
    fn assert_no_loss(&mut self, context: &str) {
        for side in Side::BOTH {
            self.lab.with(side, |shim, _| shim.stop_data());
        }
        self.run(ms(1_000));
        for side in Side::BOTH {
            let (sender, receiver) = (self.lab.shim(side), self.lab.shim(side.other()));
            assert_eq!(sender.unsent, 0, "{context} {side:?}: data without a path");
            assert_eq!(receiver.foreign, 0, "{context} {side:?}: data from an unknown source");
            assert_eq!(receiver.received.len(), sender.data as usize, "{context} {side:?}");
        }
    }
}

#[test]
fn rfc8445_9_twenty_restarts_of_one_side_lose_no_data() {
    for policy in POLICIES {
        for seed in 0..4 {
            let mut session = Session::new(seed, policy, 5_000, seed % 2 == 0);
            for nth in 0..20 {
                let side = if session.delays.below(2) == 0 { Side::Left } else { Side::Right };
                session.restart(side);
                session.run(Duration::from_secs(13));
                let context = format!("{policy:?} seed {seed} restart {nth}");
                assert!(session.lab.agrees(), "{context}");
                assert_eq!(session.generations, [nth + 1; 2], "{context}");
            }
            session.assert_no_loss(&format!("{policy:?} seed {seed}"));
        }
    }
}

#[test]
fn rfc8445_9_simultaneous_restarts_end_in_one_generation_and_lose_no_data() {
    for policy in POLICIES {
        for seed in 0..4 {
            let mut session = Session::new(seed, policy, 5_000, seed % 2 == 0);
            for nth in 0..20 {
                session.restart(Side::Left);
                // The other side restarts before the description arrives.
                session.restart(Side::Right);
                session.run(Duration::from_secs(13));
                let context = format!("{policy:?} seed {seed} restart {nth}");
                assert!(session.lab.agrees(), "{context}");
                assert_eq!(session.generations, [nth + 1; 2], "{context}");
            }
            session.assert_no_loss(&format!("{policy:?} seed {seed}"));
        }
    }
}

/// A side restarts again before the answer has arrived, so the descriptions of both sides cross.
#[test]
fn rfc8445_9_restarts_that_cross_come_to_an_end() {
    for policy in POLICIES {
        for seed in 0..30 {
            let mut session = Session::new(seed, policy, 2_000, true);
            for _ in 0..4 {
                let side = if session.delays.below(2) == 0 { Side::Left } else { Side::Right };
                session.restart(side);
                let pause = ms(session.delays.below(1_500));
                session.run(pause);
            }
            session.run(Duration::from_secs(40));
            let context = format!("{policy:?} seed {seed} {:?}", session.generations);
            assert!(session.generations.iter().all(|count| *count <= 2 * 4), "{context}");
            let states = Side::BOTH.map(|side| session.lab.agent(side).state());
            assert_eq!(states, [AgentState::Completed; 2], "{context}");
            assert!(session.lab.agrees(), "{context}");
            session.assert_no_loss(&context);
        }
    }
}

/// The descriptions of one side overtake each other. Their order tells which one is old.
#[test]
fn rfc8445_9_descriptions_that_overtake_each_other_end_in_one_session() {
    for policy in POLICIES {
        for seed in 0..100 {
            let mut session = Session::new(seed, policy, 3_000, true);
            session.keeps_order = false;
            for _ in 0..4 {
                let side = if session.delays.below(2) == 0 { Side::Left } else { Side::Right };
                session.restart(side);
                let pause = ms(session.delays.below(1_000));
                session.run(pause);
            }
            session.run(Duration::from_secs(60));
            let context = format!("{policy:?} seed {seed} {:?}", session.generations);
            assert!(session.generations.iter().all(|count| *count <= 2 * 4), "{context}");
            let states = Side::BOTH.map(|side| session.lab.agent(side).state());
            assert_eq!(states, [AgentState::Completed; 2], "{context}");
            assert!(session.lab.agrees(), "{context}");
            session.assert_no_loss(&context);
        }
    }
}

/// The peer answers, restarts, and its answer is overtaken by the description of its restart. So the peer waits for a
/// description of a new session.
#[test]
fn rfc8445_9_an_overtaken_answer_of_a_peer_that_restarted_is_a_restart() {
    let mut session = Session::new(1, Policy::Textbook, 0, true);
    session.lab.with(Side::Left, |agent, cx| agent.restart(cx)).unwrap();
    let offer = session.lab.agent(Side::Left).description(0).unwrap().ended();
    session.lab.with(Side::Right, |agent, cx| agent.set_remote(cx, 0, offer)).unwrap();
    let answer = session.lab.agent(Side::Right).description(0).unwrap().ended();
    session.lab.with(Side::Right, |agent, cx| agent.restart(cx)).unwrap();
    let newer = session.lab.agent(Side::Right).description(0).unwrap().ended();
    session.seen = session.lab.events.len();
    for description in [newer, answer] {
        session.lab.with(Side::Left, |agent, cx| agent.set_remote(cx, 0, description)).unwrap();
    }
    session.run(Duration::from_secs(5));
    assert_eq!(session.generations, [1, 0]);
    assert!(session.lab.agrees());
    session.assert_no_loss("overtaken answer");
}

/// Both agents restart twice before a description arrives. So the answers of both agents to the last restarts cross. Also
/// two agents of the same role end in one session: only the checks of a session show that their roles are in conflict.
#[test]
fn rfc8445_9_answers_that_cross_pair_up_for_each_pair_of_roles() {
    let roles = [[false, false], [true, true], [true, false]];
    let orders = [[Side::Left, Side::Right], [Side::Right, Side::Left]];
    for (roles, order) in roles.into_iter().flat_map(|roles| orders.map(|order| (roles, order))) {
        let mut lab = Lab::direct(1, AgentConfig::new(), AgentConfig::new());
        for (side, is_controlling) in Side::BOTH.into_iter().zip(roles) {
            lab.with(side, |agent, cx| agent.start(cx, is_controlling)).unwrap();
        }
        lab.add_host(Side::Left, ONE, "50.0.0.1");
        lab.add_host(Side::Right, ONE, "50.0.0.2");
        lab.end_local();
        let mut signals: [VecDeque<RemoteDescription>; 2] = Default::default();
        let describe = |lab: &Lab, side: Side| {
            let mut description = lab.agent(side).description(0).unwrap().ended();
            // SDP has no generation.
            description.generation = None;
            description
        };
        for side in Side::BOTH.into_iter().cycle().take(4) {
            lab.with(side, |agent, cx| agent.restart(cx)).unwrap();
            signals[side as usize].push_back(describe(&lab, side));
        }
        let mut delivered = 0;
        while signals.iter().any(|waiting| !waiting.is_empty()) {
            let context = format!("{roles:?}: the agents restart each other without end");
            assert!(delivered < 16, "{context}");
            for from in order {
                let Some(description) = signals[from as usize].pop_front() else { continue };
                delivered += 1;
                let (to, seen) = (from.other(), lab.events.len());
                lab.with(to, |agent, cx| agent.set_remote(cx, 0, description)).unwrap();
                if lab.events[seen..].iter().any(|(_, _, event)| matches!(event, AgentEvent::Restarted(_))) {
                    let answer = describe(&lab, to);
                    signals[to as usize].push_back(answer);
                }
            }
        }
        lab.run(Duration::from_secs(30));
        let states = Side::BOTH.map(|side| lab.agent(side).state());
        assert_eq!(states, [AgentState::Completed; 2], "{roles:?}");
        assert!(lab.agrees(), "{roles:?}");
    }
}

/// The answer of the first session arrives after a restart. It is old. If it does not say what it answers, the checks of the
/// peer tell it, or the next description does.
#[test]
fn rfc8445_9_an_old_answer_after_a_restart_does_not_cause_endless_restarts() {
    for says_answers in [true, false] {
        let mut lab = Lab::direct(1, AgentConfig::new(), AgentConfig::new());
        lab.start();
        lab.add_host(Side::Left, ONE, "50.0.0.1");
        lab.add_host(Side::Right, ONE, "50.0.0.2");
        lab.end_local();
        lab.signal(Side::Left, ms(0), true);
        lab.run(ms(1));
        // The first answer takes 2 s; the left agent restarts after 1 s.
        let mut answer = lab.agent(Side::Right).description(0).unwrap().ended();
        if !says_answers {
            (answer.answers, answer.generation) = (None, None);
        }
        let left = lab.host(Side::Left);
        lab.net.after(left, ms(2_000), move |agent, cx| agent.set_remote(cx, 0, answer).unwrap());
        let seen = lab.events.len();
        let mut session = Session {
            lab,
            delays: Delays(1),
            seen,
            longest: 1_500,
            says_answers,
            keeps_order: true,
            generations: [0; 2],
            arrival: [Instant::ORIGIN, Instant::from_millis(2_001)],
        };
        session.run(ms(1_000));
        session.restart(Side::Left);
        session.run(Duration::from_secs(30));
        assert!(session.lab.agrees(), "{says_answers}");
        let generations = session.generations;
        assert!(generations.iter().sum::<usize>() <= if says_answers { 2 } else { 4 }, "{generations:?}");
    }
}
