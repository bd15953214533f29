//! Properties of commands, credentials and schedules, with random values.

use crate::world::addr;
use core::net::SocketAddr;
use core::time::Duration;
use portolan_machine::{Script, SocketId};
use portolan_stun::{Integrity, Method, TransactionId};
use portolan_stun_agent::{AnswerFrom, AnswerOn, Credential, Request, Schedule, Seal, TransactionCommand};
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

/// Names and passwords of any characters, line breaks and separators included.
fn any_credential() -> impl Strategy<Value = Credential> {
    let only = prop_oneof![
        Just(Integrity::Sha1),
        Just(Integrity::SHA256),
        (16..=32_usize).prop_map(|least| Integrity::Sha256 { least })
    ];
    (any::<String>(), any::<String>(), only, 0..4_u8).prop_map(|(user, password, only, kind)| match kind {
        0 => Credential::short_term(&user, &password),
        1 => Credential::short_term_with(&user, &password, only),
        2 => Credential::long_term(&user, &password),
        _ => Credential::long_term_anonymous(&user, &password),
    })
}

fn any_command() -> impl Strategy<Value = TransactionCommand<String>> {
    prop_oneof![
        any_request().prop_map(TransactionCommand::Request),
        (any_request(), any_credential())
            .prop_map(|(request, credential)| TransactionCommand::RequestWith(request, credential)),
        any_credential().prop_map(TransactionCommand::Forget),
        any::<[u8; 12]>().prop_map(|id| TransactionCommand::Cancel(TransactionId::from(id))),
        any::<[u8; 12]>().prop_map(|id| TransactionCommand::GiveUp(TransactionId::from(id))),
        (any::<[u8; 12]>(), any_duration()).prop_map(|(id, tail)| TransactionCommand::SetTail(id.into(), tail)),
    ]
}

proptest! {
    #[test]
    fn a_command_is_parsed_from_its_text(command in any_command()) {
        let text = command.to_text();
        prop_assert_eq!(text.lines().count(), 1, "{}", text);
        prop_assert_eq!(TransactionCommand::read(&text), Ok(command));
    }

    #[test]
    fn a_credential_is_parsed_from_its_text(credential in any_credential()) {
        prop_assert_eq!(Credential::read(&credential.to_text()), Ok(credential));
    }

    #[test]
    fn no_text_panics(text in "(request|request-with|cancel|tail|forget)?[ -~]{0,80}") {
        let _parsed = TransactionCommand::<String>::read(&text);
        let _parsed = text.parse::<Schedule>();
    }

    #[test]
    fn offsets_are_sorted_and_finite(schedule in any_schedule()) {
        let offsets: Vec<_> = (0..2000).map_while(|n| schedule.offset(n)).collect();
        prop_assert!(!offsets.is_empty());
        prop_assert!(offsets.is_sorted());
        prop_assert_eq!(schedule.offset(u32::MAX), None);
    }
}

#[test]
fn the_text_of_a_command_is_readable() {
    let request = Request::binding(SocketId(1), addr("192.0.2.1:3478"), 7)
        .change(portolan_stun::ChangeRequest::IP_AND_PORT)
        .from(AnswerFrom::Exactly(addr("192.0.2.2:3479")))
        .schedule(Schedule::at_millis([0, 90]).jitter(Duration::from_millis(10)));
    assert_eq!(
        TransactionCommand::Request(request).to_text(),
        "request s1 192.0.2.1:3478 binding schedule=at:0ms,90ms/jitter:10ms/tail:500ms from=192.0.2.2:3479 \
         attributes=0003000400000006 tag=7"
    );
}

/// All texts of a command, a credential, and a machine with a credential.
#[test]
fn debug_and_display_show_no_secret() {
    let (user, password) = ("an-uncommon-user", "correct-horse-battery");
    let credentials = [
        Credential::short_term(user, password),
        Credential::short_term_with(user, password, Integrity::SHA256),
        Credential::long_term(user, password),
        Credential::long_term_anonymous(user, password),
    ];
    let hex = |text: &str| text.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
    for credential in credentials {
        let request = Request::binding(SocketId(1), addr("192.0.2.1:3478"), 7);
        let command = TransactionCommand::RequestWith(request.clone(), credential.clone());
        let forget = TransactionCommand::<u8>::Forget(credential.clone());
        let mut world = crate::world::World::new(portolan_stun_agent::Transactions::new());
        world.with(|machine, cx| machine.request_with(cx, request, credential.clone())).unwrap();
        let shown = [
            format!("{credential} {credential:?} {credential:#?}"),
            format!("{command} {command:?} {command:#?}"),
            format!("{forget} {forget:?}"),
            format!("{:?} {:?}", world.machine, world.notes.0),
        ];
        for text in shown {
            for secret in [password, &hex(password), &format!("{:?}", password.as_bytes())] {
                assert!(!text.contains(secret), "{text}");
            }
        }
        assert!(!format!("{command} {command:?} {credential} {credential:?}").contains(user));
        assert!(command.to_text().contains(&hex(password)), "the text of a recording replays");
    }
}

#[test]
fn the_error_of_an_invalid_command_names_the_expected_text() {
    let refused = |text: &str| TransactionCommand::<u8>::read(text).unwrap_err().to_string();
    for (text, expected) in [
        ("unknown s1", "expected `request`, `request-with`, `cancel`, `give-up`, `tail` or `forget`"),
        ("request s1 192.0.2.1:3478 binding", "expected `tag=` and a tag at the end of a request"),
        ("request 1 192.0.2.1:3478 binding tag=7", "expected a socket like `s1`"),
        ("request s1 192.0.2.1 binding tag=7", "expected an address like `192.0.2.1:3478` or `[2001:db8::1]:3478`"),
        ("request s1 192.0.2.1:3478 bind tag=7", "expected a method: `binding`, or a number from 0x0 to 0xfff"),
        (
            "request-with long-term:00 s1 192.0.2.1:3478 binding tag=7",
            "expected a credential like `long-term:USER:PASSWORD`, in hexadecimal",
        ),
        (
            "request-with long-term:ff:00 s1 192.0.2.1:3478 binding tag=7",
            "expected a credential like `long-term:USER:PASSWORD`, in hexadecimal",
        ),
        ("forget mid-term:00:00", "expected a credential like `long-term:USER:PASSWORD`, in hexadecimal"),
        ("forget long-term:0:00", "expected pairs of hexadecimal digits"),
        ("cancel 01", "expected a transaction id of 24 hexadecimal digits"),
        ("tail 010101010101010101010101", "expected a transaction id and a number of nanoseconds"),
    ] {
        assert_eq!(refused(text), expected, "{text}");
    }
}
