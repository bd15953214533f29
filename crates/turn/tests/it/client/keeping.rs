//! Refresh requests, keepalives, changes of the mapped address, and silent servers.

use super::world::{PEER, RELAYED, Reply, SERVER, World, addr, config};
use alloc::rc::Rc;
use core::cell::{Cell, RefCell};
use core::net::SocketAddr;
use core::time::Duration;
use portolan_machine::{Machine as _, Script as _};
use portolan_stun::{Attribute, Method};
use portolan_turn::{ClientCommand, ClientConfig, ClientError, ClientEvent, ClientFailure, ClientState, LossReason};
use proptest::prelude::*;

fn sent_after(world: &World, method: Method, from: u64) -> Vec<u64> {
    world.sent.iter().filter(|seen| seen.at >= from && seen.method() == Some(method)).map(|seen| seen.at).collect()
}

#[test]
fn a_keepalive_is_sent_every_15_s_from_the_allocation_on() {
    let mut world = World::allocated(config());
    world.run(60_100);
    assert_eq!(sent_after(&world, Method::BINDING, 0), [15_040, 30_040, 45_040, 60_040]);
}

#[test]
fn an_allocation_is_refreshed_a_minute_before_its_end() {
    let mut world = World::allocated(config());
    world.run(1_800_000);
    assert_eq!(sent_after(&world, Method::REFRESH, 0), [540_040, 1_080_060, 1_620_080]);
    assert_eq!(world.events.len(), 1, "{:?}", world.events);
}

/// The command, as a recording holds it.
fn refresh(world: &mut World) -> Result<(), ClientError> {
    let command = ClientCommand::read("refresh").unwrap();
    assert_eq!(command, ClientCommand::Refresh);
    world.with(|client, cx| client.command(cx, command))
}

fn refreshed(at: u64, seconds: u64) -> (u64, ClientEvent) {
    (at, ClientEvent::Refreshed { lifetime: Duration::from_secs(seconds) })
}

#[test]
fn the_command_refreshes_at_once_and_reports_the_new_lifetime_once() {
    let mut world = World::allocated(config().lifetime(Duration::from_secs(900)));
    world.script = Box::new(|message, _| match message.method() {
        Method::REFRESH => {
            assert_eq!(message.lifetime(), Some(900), "the lifetime that the owner wants");
            Reply::With(vec![Attribute::Lifetime(900)])
        }
        _ => Reply::Success,
    });
    world.take_events();
    world.run(100_000);
    assert_eq!(refresh(&mut world), Ok(()));
    world.run(839_999);
    assert_eq!(sent_after(&world, Method::REFRESH, 0), [100_000], "the scheduled Refresh is canceled");
    world.run(2_000_000);
    assert_eq!(sent_after(&world, Method::REFRESH, 0), [100_000, 940_020, 1_780_040]);
    assert_eq!(world.events, [refreshed(100_020, 900)], "the client's own Refresh is not reported");
}

#[test]
fn a_refused_refresh_is_reported_by_its_step_and_the_next_command_asks_again() {
    let mut world = World::allocated(config());
    world.take_events();
    world.script = Box::new(|message, _| match message.method() {
        Method::REFRESH => Reply::Error(403),
        _ => Reply::Success,
    });
    world.run(1_000);
    assert_eq!(refresh(&mut world), Ok(()));
    world.run(2_000);
    let events = world.take_events();
    let [ClientEvent::RefreshFailed { step }] = &events[..] else { panic!("{events:?}") };
    assert_eq!((step.method, step.sends), (Method::REFRESH, 1));
    assert_eq!(step.outcome.code(), Some(403), "{step:?}");
    assert_eq!((world.client.state(), world.client.relayed()), (ClientState::Allocated, &[addr(RELAYED)][..]));

    world.script = Box::new(|_, _| Reply::Success);
    world.events.clear();
    assert_eq!(refresh(&mut world), Ok(()));
    world.run(3_000);
    assert_eq!(world.events, [refreshed(2_020, 600)]);
}

#[test]
fn a_refresh_that_the_server_loses_is_sent_again_and_reported_when_it_succeeds() {
    let mut world = World::allocated(config());
    world.take_events();
    world.run(1_000);
    let mut lost = 0;
    world.script = Box::new(move |message, _| match message.method() {
        // One whole schedule, seven sends, is lost, and the first send of the next one.
        Method::REFRESH if lost < 8 => {
            lost += 1;
            Reply::Silence
        }
        _ => Reply::Success,
    });
    assert_eq!(refresh(&mut world), Ok(()));
    world.run(100_000);
    assert_eq!(sent_after(&world, Method::REFRESH, 0).len(), 9);
    assert_eq!(world.events, [refreshed(1_000 + 39_500 + 500 + 20, 600)]);
}

#[test]
fn a_refresh_of_an_allocation_that_the_server_does_not_know_is_a_loss() {
    let mut world = World::allocated(config());
    world.take_events();
    world.run(60_000);
    world.script = Box::new(|message, _| match message.method() {
        Method::REFRESH => Reply::Error(437),
        _ => Reply::Success,
    });
    assert_eq!(refresh(&mut world), Ok(()));
    world.run(61_000);
    let events = world.take_events();
    let [ClientEvent::Lost { why: LossReason::Mismatch, .. }, ClientEvent::Replaced { .. }] = &events[..] else {
        panic!("{events:?}")
    };
    world.script = Box::new(|_, _| Reply::Success);
    world.run(1_000_000);
    assert!(world.take_events().is_empty(), "the Refresh of the new allocation was not ordered");
}

#[test]
fn a_refresh_without_an_allocation_is_an_error_and_sends_nothing() {
    let mut world = World::new();
    assert_eq!(refresh(&mut world), Err(ClientError::NotRunning));
    world.with(|client, cx| client.start(cx, config())).unwrap();
    assert_eq!(refresh(&mut world), Err(ClientError::NotAllocated));
    world.run(1_000);
    assert_eq!(world.take_events().len(), 1);
    world.with(|client, cx| client.close(cx)).unwrap();
    let sent = world.sent.len();
    assert_eq!(refresh(&mut world), Err(ClientError::NotRunning));
    world.run(100_000);
    assert_eq!((refresh(&mut world), world.sent.len()), (Err(ClientError::NotRunning), sent));
}

#[test]
fn the_idle_traffic_is_below_its_stated_bound() {
    let mut world = World::allocated(config());
    for n in 1..=20_u8 {
        world.with(|client, cx| client.add_channel(cx, ([203, 0, 113, n], 5000).into())).unwrap();
    }
    world.run(1_000);
    let before = world.sent.len();
    world.run(1_000 + 1_800_000);
    let minutes = 30.0;
    let per_minute = (world.sent.len() - before) as f64 / minutes;
    assert!(per_minute <= 5.0 + 0.25 * 20.0, "{per_minute} packets per minute");
    let idle = World::allocated(config());
    let (mut idle, before) = (idle, 2);
    idle.run(100 + 1_800_000);
    assert!((idle.sent.len() - before) as f64 / minutes <= 5.0, "{}", idle.sent.len());
}

#[test]
fn a_refresh_that_times_out_is_repeated_while_keepalives_are_answered() {
    let mut world = World::allocated(config().lifetime(Duration::from_secs(600)));
    let mut lost = 0;
    world.script = Box::new(move |message, _| match message.method() {
        // One whole schedule, seven sends, is lost.
        Method::REFRESH if lost < 7 => {
            lost += 1;
            Reply::Silence
        }
        _ => Reply::Success,
    });
    world.run(1_000_000);
    assert_eq!(world.events.len(), 1, "{:?}", world.events);
    assert!(world.has_note("client-request-repeated"));
}

#[test]
fn a_changed_mapped_address_is_an_event_and_causes_a_refresh_at_once() {
    let mut world = World::allocated(config());
    world.take_events();
    world.run(50_000);
    let (old, new) = (world.mapped, addr("198.51.100.7:40001"));
    world.mapped = new;
    world.run(70_000);
    assert_eq!(world.events, [(60_060, ClientEvent::MappedChanged { old, new })]);
    assert_eq!(sent_after(&world, Method::REFRESH, 0), [60_060]);
    assert_eq!(world.client.mapped(), Some(new));
    // The next Refresh is a whole interval later.
    world.run(600_079);
    assert_eq!(sent_after(&world, Method::REFRESH, 60_061), []);
}

/// A server with a table by mapped address, as behind a NAT that changes the port.
fn table_server(world: &mut World) -> Rc<RefCell<Vec<(SocketAddr, u16)>>> {
    let table = Rc::new(RefCell::new(vec![(world.mapped, 50_000)]));
    let shared = Rc::clone(&table);
    let mapped = Rc::new(Cell::new(world.mapped));
    world.tuple = Some(Rc::clone(&mapped));
    world.script = Box::new(move |message, _| {
        let mut table = shared.borrow_mut();
        let known = table.iter().any(|(tuple, _)| *tuple == mapped.get());
        match message.method() {
            Method::ALLOCATE if known => Reply::Error(437),
            Method::ALLOCATE => {
                let port = 50_000 + u16::try_from(table.len()).unwrap();
                table.push((mapped.get(), port));
                Reply::With(vec![
                    Attribute::XorRelayedAddress(([192, 0, 2, 1], port).into()),
                    Attribute::XorMappedAddress(mapped.get()),
                    Attribute::Lifetime(600),
                ])
            }
            Method::BINDING => Reply::Success,
            _ if known => Reply::Success,
            _ => Reply::Error(437),
        }
    });
    table
}

#[test]
fn a_port_that_changes_and_changes_back_needs_two_allocations() {
    let mut world = World::allocated(config());
    world.with(|client, cx| client.add_permission(cx, addr(PEER).ip())).unwrap();
    world.run(1_000);
    let table = table_server(&mut world);
    let first = world.mapped;
    world.run(100_000);
    world.set_mapped(addr("198.51.100.7:40001"));
    world.run(120_000);
    assert_eq!(world.client.relayed(), [addr("192.0.2.1:50001")]);
    world.set_mapped(first);
    world.run(140_000);
    assert_eq!(world.client.relayed(), [addr(RELAYED)], "the first allocation is used again");
    assert!(world.client.is_permitted(addr(PEER).ip()));
    world.run(1_400_000);
    assert_eq!(table.borrow().len(), 2, "never a third allocation");
    let replaced = |(_, event): &&(u64, ClientEvent)| matches!(event, ClientEvent::Replaced { .. });
    assert_eq!(world.events.iter().filter(replaced).count(), 2);
}

#[test]
fn a_silent_server_is_a_loss_and_then_the_end() {
    let mut world = World::allocated(config());
    world.take_events();
    world.run(20_000);
    world.is_dead = true;
    world.run(300_000);
    let lost = ClientEvent::Lost { relayed: vec![addr(RELAYED)], why: LossReason::Silent };
    assert_eq!(world.events[0], (30_040 + 39_500, lost));
    let [_, (at, ClientEvent::Failed { why: ClientFailure::NoServer, .. })] = world.events[..] else {
        panic!("{:?}", world.events)
    };
    assert_eq!(at, 30_040 + 39_500 + 39_500);
    assert!(Duration::from_millis(at - 20_000) <= config().silence_limit());
}

#[test]
fn data_of_the_server_counts_as_a_sign_of_life() {
    let mut world = World::allocated(config());
    world.with(|client, cx| client.add_permission(cx, addr(PEER).ip())).unwrap();
    world.run(1_000);
    world.script = Box::new(|message, _| match message.method() {
        Method::BINDING => Reply::Silence,
        _ => Reply::Success,
    });
    for second in 1..200 {
        world.run(second * 1_000);
        world.datagram(&super::world::data_indication(addr(PEER), b"media"));
    }
    assert_eq!(world.client.state(), ClientState::Allocated);
    assert!(!world.events.iter().any(|(_, event)| matches!(event, ClientEvent::Lost { .. })));
}

#[test]
fn a_server_that_grants_one_second_does_not_cause_a_flood() {
    let mut world = World::new().script(|message, _| match message.method() {
        Method::ALLOCATE => Reply::With(vec![
            Attribute::XorRelayedAddress(addr(RELAYED)),
            Attribute::XorMappedAddress(addr("198.51.100.7:40000")),
            Attribute::Lifetime(1),
        ]),
        Method::REFRESH => Reply::With(vec![Attribute::Lifetime(1)]),
        _ => Reply::Success,
    });
    world.with(|client, cx| client.start(cx, config())).unwrap();
    world.run(600_000);
    assert!(world.sent.len() < 20, "{}", world.sent.len());
    let Some((_, ClientEvent::Failed { why: ClientFailure::Unstable, .. })) = world.events.last() else { panic!() };
}

/// What a random run does before the network dies.
#[derive(Clone, Debug)]
enum Act {
    Run(u64),
    Permission(u8),
    Channel(u8),
    Remove(u8),
    Credential,
    Remap(u16),
    Refuse(u16),
    Answer,
    Close,
}

fn any_act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (0..100_000_u64).prop_map(Act::Run),
        4 => (0..50_u64).prop_map(Act::Run),
        2 => (1..5_u8).prop_map(Act::Permission),
        2 => (1..5_u8).prop_map(Act::Channel),
        1 => (1..5_u8).prop_map(Act::Remove),
        1 => Just(Act::Credential),
        1 => (1..3_u16).prop_map(Act::Remap),
        2 => prop_oneof![Just(437), Just(403), Just(508), Just(441), Just(420), Just(300)].prop_map(Act::Refuse),
        2 => Just(Act::Answer),
        1 => Just(Act::Close),
    ]
}

fn perform(world: &mut World, act: Act) {
    let peer = |n: u8| SocketAddr::from(([203, 0, 113, n], 5000));
    match act {
        Act::Run(millis) => {
            let until = world.now + millis;
            world.run(until);
        }
        Act::Permission(n) => {
            let _refused = world.with(|client, cx| client.add_permission(cx, peer(n).ip()));
        }
        Act::Channel(n) => {
            let _refused = world.with(|client, cx| client.add_channel(cx, peer(n)));
        }
        Act::Remove(n) => {
            let _refused = world.with(|client, cx| client.remove_permission(cx, peer(n).ip()));
        }
        Act::Credential => {
            let credential = portolan_stun_agent::Credential::long_term("ann", "secret");
            let expires = Some(Duration::from_secs(100));
            let _refused = world.with(|client, cx| client.set_credential(cx, credential, expires));
        }
        Act::Remap(n) => world.mapped = ([198, 51, 100, 7], 40_000 + n).into(),
        Act::Refuse(code) => world.script = Box::new(move |_, _| Reply::Error(code)),
        Act::Answer => world.script = Box::new(|_, _| Reply::Success),
        Act::Close => {
            let _refused = world.with(|client, cx| client.close(cx));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn from_any_state_a_dead_network_ends_the_client_within_the_stated_time(
        acts in proptest::collection::vec(any_act(), 0..20),
        servers in 1..4_u8,
    ) {
        let config = (2..=servers).fold(config(), |config: ClientConfig, n| {
            config.or_server(([192, 0, 2, n], 3478).into())
        });
        let limit = config.silence_limit();
        let mut world = World::new();
        world.with(|client, cx| client.start(cx, config)).unwrap();
        for act in acts {
            perform(&mut world, act);
        }
        world.kill();
        let end = world.now + u64::try_from(limit.as_millis()).unwrap();
        world.run(end);
        prop_assert_eq!(world.client.state(), ClientState::Ended);
        let terminal = world.events.iter().filter(|(_, event)| event.is_terminal()).count();
        prop_assert_eq!(terminal, 1);
        prop_assert!(world.events.last().unwrap().1.is_terminal());
        prop_assert_eq!(world.wait, None, "no deadline is left");
        prop_assert_eq!(world.client.server(), None);
        let _ = SERVER;
    }
}

#[test]
fn a_clock_that_leaps_over_all_deadlines_gives_a_new_allocation() {
    let mut world = World::allocated(config());
    world.with(|client, cx| client.add_channel(cx, addr(PEER))).unwrap();
    world.run(10_000);
    world.take_events();
    // The host was suspended for two hours.
    world.now += 7_200_000;
    let now = world.now;
    world.run(now + 1_000);
    let events = world.take_events();
    let [
        ClientEvent::Lost { why: LossReason::Expired, .. },
        ClientEvent::Replaced { .. },
        ClientEvent::ChannelAdded { number: 0x4000, .. },
    ] = &events[..]
    else {
        panic!("{events:?}")
    };
    assert_eq!(world.client.state(), ClientState::Allocated);
}

#[test]
fn timers_of_the_same_time_as_the_end_cause_nothing_after_it() {
    // The end of the attempt, and the notice of the expiry of the credential, are due at 39.5 s.
    let mut world = World::new();
    world.opens = false;
    world.with(|client, cx| client.start(cx, config().expires(Duration::from_millis(79_000)))).unwrap();
    world.run(200_000);
    let terminal = world.events.iter().position(|(_, event)| event.is_terminal());
    assert_eq!(terminal, Some(world.events.len() - 1), "{:?}", world.events);
    // A keepalive and the end of the lifetime are due at the same time: the lost allocation has no keepalive any more.
    let mut world = World::allocated(config().lifetime(Duration::from_secs(600)));
    world.script = Box::new(|message, _| match message.method() {
        Method::REFRESH => Reply::Error(441),
        Method::ALLOCATE => Reply::Error(403),
        _ => Reply::Success,
    });
    world.run(1_000_000);
    let Some((_, ClientEvent::Failed { .. })) = world.events.last() else { panic!("{:?}", world.events) };
    assert_eq!(world.wait, None);
}

#[test]
fn a_clock_that_runs_backwards_causes_nothing() {
    let mut world = World::allocated(config());
    world.run(100_000);
    let sent = world.sent.len();
    world.now = 5_000;
    world.with(|client, cx| client.add_permission(cx, addr(PEER).ip())).unwrap();
    world.run(90_000);
    assert_eq!(world.client.state(), ClientState::Allocated);
    assert!(world.sent.len() <= sent + 2);
}
