//! Laws of this crate's own, under random values.

use crate::world::addr;
use core::net::SocketAddr;
use core::time::Duration;
use portolan_machine::SocketId;
use portolan_stun::{Method, TransactionId};
use portolan_stun_agent::{AnswerFrom, AnswerOn, Request, Schedule, Seal, TransactionCommand};
use proptest::prelude::*;

fn any_addr() -> impl Strategy<Value = SocketAddr> {
    (any::<core::net::IpAddr>(), any::<u16>()).prop_map(|(ip, port)| SocketAddr::new(ip, port))
}

fn any_duration() -> impl Strategy<Value = Duration> + Clone {
    prop_oneof![
        (0..10_000_u64).prop_map(Duration::from_millis),
        any::<u32>().prop_map(|micros| Duration::from_micros(micros.into())),
        (any::<u64>(), 0..1_000_000_000_u32).prop_map(|(secs, nanos)| Duration::new(secs, nanos)),
    ]
}

fn any_schedule() -> impl Strategy<Value = Schedule> {
    let sends = prop_oneof![
        any::<[u32; 1]>().prop_map(Schedule::at_millis),
        any::<[u16; 8]>().prop_map(|offsets| Schedule::at_millis(offsets.map(u32::from))),
        (any_duration(), any::<u8>(), any::<u8>()).prop_map(|(rto, rc, rm)| Schedule::doubling(rto, rc, rm)),
    ];
    let options = proptest::option::of(any_duration());
    (sends, options.clone(), options.clone(), any_duration(), options, any::<bool>()).prop_map(
        |(mut schedule, every, until, jitter, tail, repeat)| {
            if let Some(every) = every {
                schedule = schedule.every(every);
            }
            if let Some(until) = until {
                schedule = schedule.until(until);
            }
            if let Some(tail) = tail {
                schedule = schedule.tail(tail);
            }
            schedule.jitter(jitter).repeat(repeat)
        },
    )
}

prop_compose! {
    fn any_request()(
        socket in any::<u64>(),
        remote in any_addr(),
        tag in ".*",
        method in 0..=0xfff_u16,
        attributes in proptest::collection::vec(any::<u8>(), 0..40),
        schedule in any_schedule(),
        from in prop_oneof![
            Just(AnswerFrom::SameAsDestination),
            any_addr().prop_map(AnswerFrom::Exactly),
            Just(AnswerFrom::AnyReported),
        ],
        on in prop_oneof![Just(AnswerOn::SameSocket), Just(AnswerOn::AnySocket)],
        hop_limit in any::<Option<u8>>(),
        seal in prop_oneof![Just(Seal::None), Just(Seal::Fingerprint)],
    ) -> Request<String> {
        let mut request = Request::new(Method::new(method).unwrap(), SocketId(socket), remote, tag);
        request = request.schedule(schedule).from(from).on(on);
        request.attributes = attributes.into();
        request.hop_limit = hop_limit;
        request.seal = seal;
        request
    }
}

fn any_command() -> impl Strategy<Value = TransactionCommand<String>> {
    prop_oneof![
        any_request().prop_map(TransactionCommand::Request),
        any::<[u8; 12]>().prop_map(|id| TransactionCommand::Cancel(TransactionId::from(id))),
        (any::<[u8; 12]>(), any_duration()).prop_map(|(id, tail)| TransactionCommand::SetTail(id.into(), tail)),
    ]
}

proptest! {
    #[test]
    fn a_command_is_its_text(command in any_command()) {
        prop_assert_eq!(command.to_string().parse(), Ok(command));
    }

    #[test]
    fn no_text_panics(text in "(request|cancel|tail)?[ -~]{0,80}") {
        let _parsed = text.parse::<TransactionCommand<String>>();
        let _parsed = text.parse::<Schedule>();
    }

    #[test]
    fn offsets_rise_and_end(schedule in any_schedule()) {
        let offsets: Vec<_> = (0..2000).map_while(|n| schedule.offset(n)).collect();
        prop_assert!(!offsets.is_empty());
        prop_assert!(offsets.is_sorted());
        prop_assert_eq!(schedule.offset(u32::MAX), None);
    }
}

#[test]
fn a_command_reads_like_a_sentence() {
    let request = Request::binding(SocketId(1), addr("192.0.2.1:3478"), 7)
        .change(portolan_stun::ChangeRequest::IP_AND_PORT)
        .from(AnswerFrom::Exactly(addr("192.0.2.2:3479")))
        .schedule(Schedule::at_millis([0, 90]).jitter(Duration::from_millis(10)));
    assert_eq!(
        TransactionCommand::Request(request).to_string(),
        "request s1 192.0.2.1:3478 binding schedule=at:0ms,90ms/jitter:10ms/tail:500ms from=192.0.2.2:3479 \
         attributes=0003000400000006 tag=7"
    );
}
