//! RFC 8489 §9.2 for a client.

use super::{
    ALGORITHMS, ANONYMITY, BEST_FIRST, BOTH, Challenge, MD5_ONLY, PASSWORD, PLAIN, REALM, SERVER, USER, authenticated,
    binding, challenge, error, event, id, integrity_of, kinds, last_note, long_term, md5, receive, requester, response,
    retried, send_request, sent, sent_request, sha256, stale, success, unusable,
};
use crate::world::addr;
use core::time::Duration;
use portolan_machine::{SocketId, Verdict};
use portolan_stun::{
    Attribute, AttributeType, Class, Integrity, IntegrityError, IntegrityKey, Message, Method, PasswordAlgorithm,
    Writer, userhash,
};
use portolan_stun_agent::{ChallengeError, Credential, Request, RequestError, Schedule, TransactionEvent, Unusable};

const CREDENTIALS: [AttributeType; 8] = [
    AttributeType::USERNAME,
    AttributeType::USERHASH,
    AttributeType::REALM,
    AttributeType::NONCE,
    AttributeType::PASSWORD_ALGORITHMS,
    AttributeType::PASSWORD_ALGORITHM,
    AttributeType::MESSAGE_INTEGRITY,
    AttributeType::MESSAGE_INTEGRITY_SHA256,
];

/// The reason for which a request ends after this challenge.
fn declined(credential: &Credential, challenge: Challenge<'_>) -> Unusable {
    let mut world = requester();
    let first = sent_request(&mut world, credential);
    receive(&mut world, &challenge.to(&first));
    assert_eq!(world.machine.len(), 0);
    unusable(&mut world)
}

#[test]
fn rfc8489_9_2_3_1_the_first_request_has_no_credentials() {
    let mut world = requester();
    send_request(&mut world, binding(7).attribute(&Attribute::Lifetime(600)).unwrap(), &long_term());
    let request = sent(&mut world);
    assert_eq!(kinds(&request), [AttributeType::LIFETIME]);
    assert!(kinds(&request).iter().all(|kind| !CREDENTIALS.contains(kind)));
    receive(&mut world, &success(&request, None));
    assert_eq!(
        integrity_of(&event(&mut world)),
        None,
        "a server that requires no credentials sends a success response"
    );
    assert_eq!(kinds(&sent_request(&mut world, &long_term())), [], "and the next request has no credentials");
}

#[test]
fn rfc8489_9_2_5_a_401_is_answered_with_username_realm_and_nonce_in_a_new_transaction() {
    for nonce in [PLAIN, "a nonce without a cookie"] {
        let mut world = requester();
        send_request(&mut world, binding(7).attribute(&Attribute::Lifetime(600)).unwrap(), &long_term());
        let first = sent(&mut world);
        let second = retried(&mut world, &first, challenge(nonce, None));
        assert_ne!(id(&second), id(&first));
        use AttributeType as A;
        assert_eq!(kinds(&second), [A::LIFETIME, A::USERNAME, A::NONCE, A::REALM, A::MESSAGE_INTEGRITY]);
        let message = Message::decode(&second).unwrap();
        let verified = message.verify_with(&md5(), Integrity::Sha1).unwrap();
        assert_eq!(verified.username().unwrap(), USER);
        assert_eq!((verified.realm().unwrap(), verified.nonce().unwrap()), (REALM.into(), nonce.into()));
    }
}

#[test]
fn the_schedule_restarts_with_the_new_transaction() {
    let mut world = requester();
    let first = sent_request(&mut world, &long_term());
    let mut lines = world.run(1600);
    receive(&mut world, &challenge(PLAIN, None).to(&first));
    lines.extend(world.run(60_000));
    let at: Vec<_> = lines.iter().map(|line| line[..6].trim().parse::<u64>().unwrap()).collect();
    assert_eq!(at, [500, 1500, 1600, 2100, 3100, 5100, 9100, 17_100, 33_100, 41_100]);
    assert_eq!(lines[9], " 41100 7 exhausted: 7 sends, 0 answers");
}

#[test]
fn rfc8489_9_2_5_the_first_supported_algorithm_is_chosen_and_the_list_is_returned_unchanged() {
    let odd = PasswordAlgorithm { number: 0x1234, parameters: &[1, 2, 3, 4, 5] };
    let marked = PasswordAlgorithm { number: 2, parameters: &[9] };
    let cases: [(&[PasswordAlgorithm<'_>], _, _); 4] = [
        (BEST_FIRST, PasswordAlgorithm::SHA256, sha256()),
        (&[PasswordAlgorithm::MD5, PasswordAlgorithm::SHA256], PasswordAlgorithm::MD5, md5()),
        (&[odd, PasswordAlgorithm::SHA256], PasswordAlgorithm::SHA256, sha256()),
        (&[marked, PasswordAlgorithm::MD5], PasswordAlgorithm::MD5, md5()),
    ];
    for (algorithms, chosen, key) in cases {
        let mut world = requester();
        let first = sent_request(&mut world, &long_term());
        let refusal = challenge(ALGORITHMS, Some(algorithms)).to(&first);
        receive(&mut world, &refusal);
        let second = sent(&mut world);
        let message = Message::decode(&second).unwrap();
        // RFC 8489 §9.2.5: MESSAGE-INTEGRITY-SHA256 only.
        assert!(!message.has(AttributeType::MESSAGE_INTEGRITY));
        let verified = message.verify_with(&key, Integrity::SHA256).unwrap();
        assert_eq!(verified.password_algorithm(), Some(chosen));
        let offered = Message::decode(&refusal).unwrap().password_algorithms().unwrap();
        assert_eq!(verified.password_algorithms().unwrap().as_bytes(), offered.as_bytes());
        receive(&mut world, &success(&second, Some((&key, Integrity::SHA256))));
        assert_eq!(integrity_of(&event(&mut world)), Some(Integrity::SHA256));
    }
}

#[test]
fn rfc8489_9_2_5_without_a_supported_algorithm_there_is_no_retry() {
    let odd = [PasswordAlgorithm { number: 0x1234, parameters: &[] }];
    for algorithms in [&odd[..], &[]] {
        let why = declined(&long_term(), challenge(ALGORITHMS, Some(algorithms)));
        assert_eq!(why, Unusable::Challenge(ChallengeError::NoAlgorithm));
    }
}

#[test]
fn rfc8489_9_2_5_userhash_is_sent_only_with_the_feature_bit_of_the_nonce() {
    for (nonce, algorithms) in
        [(ANONYMITY, None), (BOTH, Some(BEST_FIRST)), (PLAIN, None), (ALGORITHMS, Some(BEST_FIRST))]
    {
        let mut world = requester();
        let first = sent_request(&mut world, &long_term());
        let second = retried(&mut world, &first, challenge(nonce, algorithms));
        let message = Message::decode(&second).unwrap();
        let anonymous = nonce == ANONYMITY || nonce == BOTH;
        assert_eq!(message.userhash(), anonymous.then_some(&userhash(USER, REALM)));
        assert_eq!(message.has(AttributeType::USERNAME), !anonymous);
        assert_eq!(second.windows(USER.len()).any(|window| window == USER.as_bytes()), !anonymous);
    }
}

#[test]
fn an_anonymous_credential_never_sends_the_username() {
    let anonymous = Credential::long_term_anonymous(USER, PASSWORD);
    let why = declined(&anonymous, challenge(ALGORITHMS, Some(BEST_FIRST)));
    assert_eq!(why, Unusable::Challenge(ChallengeError::NoAnonymity));
    let mut world = requester();
    let first = sent_request(&mut world, &anonymous);
    let second = retried(&mut world, &first, challenge(ANONYMITY, None));
    assert!(Message::decode(&second).unwrap().verify(&md5()).unwrap().userhash().is_some());
}

#[test]
fn rfc8489_9_2_5_a_challenge_without_the_announced_algorithms_is_not_answered() {
    let why = Unusable::Challenge(ChallengeError::BidDown);
    assert_eq!(declined(&long_term(), challenge(ALGORITHMS, None)), why);
    assert_eq!(
        declined(&long_term(), challenge(PLAIN, Some(BEST_FIRST))),
        why,
        "nor algorithms without the feature bit"
    );
    assert_eq!(declined(&long_term(), challenge("no cookie", Some(MD5_ONLY))), why);

    let mut world = authenticated(challenge(ALGORITHMS, Some(BEST_FIRST)));
    let request = sent_request(&mut world, &long_term());
    receive(&mut world, &stale("obMatJos2gAAAn2", None).to(&request));
    assert_eq!(unusable(&mut world), why, "the same for a 438");
    assert!(last_note(&world).ends_with("[RFC 8489 §9.2.1]"), "{}", last_note(&world));
}

#[test]
fn rfc8489_9_2_1_a_challenge_with_less_security_than_before_is_not_answered() {
    let weaker = [
        stale("obMatJos2gAAAn2", Some(BEST_FIRST)),
        stale("obMatJos2wAAAn2", Some(MD5_ONLY)),
        stale("obMatJos2QAAAn2", None),
        stale("obMatJos2AAAAn2", None),
        stale("no cookie", None),
        challenge("no cookie", None).realm(Some("another realm")),
    ];
    for weaker_challenge in weaker {
        let mut world = authenticated(challenge(BOTH, Some(BEST_FIRST)));
        let request = sent_request(&mut world, &long_term());
        receive(&mut world, &weaker_challenge.to(&request));
        assert_eq!(unusable(&mut world), Unusable::Challenge(ChallengeError::Weaker), "{weaker_challenge:?}");
        // The session is kept: the next request is signed as before.
        let next = sent_request(&mut world, &long_term());
        assert!(Message::decode(&next).unwrap().verify_with(&sha256(), Integrity::SHA256).is_ok());
    }
    let mut world = authenticated(challenge(PLAIN, None));
    let request = sent_request(&mut world, &long_term());
    let stronger = retried(&mut world, &request, stale(BOTH, Some(BEST_FIRST)));
    assert!(Message::decode(&stronger).unwrap().verify(&sha256()).is_ok(), "a stronger challenge is answered");
}

#[test]
fn rfc8489_9_2_5_a_438_is_answered_with_its_nonce_and_the_same_realm() {
    for (before, after, algorithms, key) in
        [(PLAIN, "obMatJos2AAAAn2", None, md5()), (BOTH, "obMatJos2wAAAn2", Some(BEST_FIRST), sha256())]
    {
        let mut world = authenticated(challenge(before, algorithms));
        let request = sent_request(&mut world, &long_term());
        let again = retried(&mut world, &request, stale(after, algorithms).realm(Some("another realm")));
        let message = Message::decode(&again).unwrap();
        let verified = message.verify(&key).unwrap();
        assert_eq!((verified.realm().unwrap(), verified.nonce().unwrap()), (REALM.into(), after.into()));
        assert!(verified.username().is_some() != verified.userhash().is_some());
        let integrity = if algorithms.is_some() { Integrity::SHA256 } else { Integrity::Sha1 };
        receive(&mut world, &success(&again, Some((&key, integrity))));
        event(&mut world);
        let next = sent_request(&mut world, &long_term());
        assert_eq!(Message::decode(&next).unwrap().nonce().unwrap(), after, "the new nonce is kept");
    }
}

#[test]
fn a_stale_nonce_is_never_sent_again() {
    let mut world = authenticated(challenge(PLAIN, None));
    let request = sent_request(&mut world, &long_term());
    receive(&mut world, &stale(PLAIN, None).to(&request));
    assert_eq!(unusable(&mut world), Unusable::Challenge(ChallengeError::SameNonce));

    let request = sent_request(&mut world, &long_term());
    let again = retried(&mut world, &request, stale("obMatJos2AAAAn2", None));
    receive(&mut world, &stale("obMatJos2AAAAn3", None).to(&again));
    assert_eq!(
        unusable(&mut world),
        Unusable::Challenge(ChallengeError::TooMany),
        "one 438 is answered for each request"
    );
    assert_eq!(declined(&long_term(), stale(PLAIN, None)), Unusable::Challenge(ChallengeError::NothingStale));
}

#[test]
fn rfc8489_9_2_5_a_401_with_the_same_realm_is_not_answered() {
    let mut world = requester();
    let first = sent_request(&mut world, &long_term());
    let second = retried(&mut world, &first, challenge(ALGORITHMS, Some(BEST_FIRST)));
    receive(&mut world, &challenge("obMatJos2gAAAn2", Some(BEST_FIRST)).to(&second));
    assert_eq!(unusable(&mut world), Unusable::Challenge(ChallengeError::WrongCredentials));

    // After the refusal the session is removed: the next request has no credentials.
    let mut world = authenticated(challenge(PLAIN, None));
    let request = sent_request(&mut world, &long_term());
    assert!(kinds(&request).contains(&AttributeType::NONCE));
    receive(&mut world, &challenge("obMatJos2AAAAn2", None).to(&request));
    assert_eq!(unusable(&mut world), Unusable::Challenge(ChallengeError::WrongCredentials));
    assert_eq!(kinds(&sent_request(&mut world, &long_term())), []);
}

#[test]
fn at_most_three_challenges_of_different_realms_are_answered() {
    let mut world = requester();
    let mut request = sent_request(&mut world, &long_term());
    for realm in ["one", "two", "three"] {
        request = retried(&mut world, &request, challenge(PLAIN, None).realm(Some(realm)));
        let key = IntegrityKey::long_term_md5(USER, realm, PASSWORD);
        assert!(Message::decode(&request).unwrap().verify(&key).is_ok());
    }
    receive(&mut world, &challenge(PLAIN, None).realm(Some("four")).to(&request));
    assert_eq!(unusable(&mut world), Unusable::Challenge(ChallengeError::TooMany));
}

#[test]
fn an_incomplete_challenge_is_not_answered() {
    use AttributeType as A;
    let no_nonce = Challenge { nonce: None, ..challenge(PLAIN, None) };
    let cases = [
        (challenge(PLAIN, None).realm(None), ChallengeError::Lacks(A::REALM)),
        (no_nonce, ChallengeError::Lacks(A::NONCE)),
        (Challenge { nonce: Some(""), ..no_nonce }, ChallengeError::Lacks(A::NONCE)),
    ];
    for (challenge, why) in cases {
        assert_eq!(declined(&long_term(), challenge), Unusable::Challenge(why));
    }
    let many = [PasswordAlgorithm::SHA256; 65];
    let why = declined(&long_term(), challenge(ALGORITHMS, Some(&many)));
    assert_eq!(why, Unusable::Challenge(ChallengeError::TooLong(A::PASSWORD_ALGORITHMS)));
    let mut world = requester();
    let first = sent_request(&mut world, &long_term());
    retried(&mut world, &first, challenge(ALGORITHMS, Some(&many[..64])));

    let mut world = requester();
    let first = sent_request(&mut world, &long_term());
    let mut garbled = challenge(PLAIN, None).to(&first);
    let at = garbled.windows(REALM.len()).position(|window| window == REALM.as_bytes()).unwrap();
    garbled[at] = 0xff;
    receive(&mut world, &garbled);
    assert_eq!(unusable(&mut world), Unusable::Challenge(ChallengeError::Lacks(A::REALM)), "not UTF-8");
}

#[test]
fn a_request_that_is_too_long_with_its_credential_ends() {
    let mut world = requester();
    let full = vec![0; 65_400];
    send_request(&mut world, binding(7).attribute(&Attribute::Padding(&full)).unwrap(), &long_term());
    let first = sent(&mut world);
    let (nonce, realm) = ("n".repeat(120), "r".repeat(120));
    receive(&mut world, &challenge(&nonce, None).realm(Some(&realm)).to(&first));
    assert_eq!(unusable(&mut world), Unusable::Challenge(ChallengeError::Unwritable));
}

#[test]
fn rfc8489_9_2_3_2_later_requests_use_the_session() {
    let mut world = authenticated(challenge(BOTH, Some(BEST_FIRST)));
    let later = sent_request(&mut world, &long_term());
    use AttributeType as A;
    let expected =
        [A::USERHASH, A::NONCE, A::REALM, A::PASSWORD_ALGORITHMS, A::PASSWORD_ALGORITHM, A::MESSAGE_INTEGRITY_SHA256];
    assert_eq!(kinds(&later), expected);
    assert!(Message::decode(&later).unwrap().verify(&sha256()).is_ok());

    // The session is used only with this credential and this server.
    for other in [Credential::long_term(USER, "another"), Credential::long_term("another", PASSWORD)] {
        assert_eq!(kinds(&sent_request(&mut world, &other)), []);
    }
    send_request(&mut world, Request::binding(SocketId(1), addr("192.0.2.1:3479"), 8), &long_term());
    assert_eq!(kinds(&sent(&mut world)), []);
    world.machine.forget(&long_term());
    assert_eq!(kinds(&sent_request(&mut world, &long_term())), [], "the session was removed");
}

#[test]
fn only_a_verified_session_is_kept() {
    let mut world = requester();
    let first = sent_request(&mut world, &long_term());
    retried(&mut world, &first, challenge(PLAIN, None));
    assert_eq!(kinds(&sent_request(&mut world, &long_term())), [], "the retry was not answered yet");
}

#[test]
fn sessions_of_32_servers_are_kept() {
    let mut world = requester();
    let server = |n: u8| format!("192.0.2.{n}:3478");
    for n in 1..=33 {
        send_request(&mut world, Request::binding(SocketId(1), addr(&server(n)), 7), &long_term());
        let first = sent(&mut world);
        assert_eq!(world.datagram(1, &server(n), &challenge(PLAIN, None).to(&first)), Verdict::Mine);
        let second = sent(&mut world);
        assert_eq!(world.datagram(1, &server(n), &success(&second, Some((&md5(), Integrity::Sha1)))), Verdict::Mine);
        event(&mut world);
    }
    for (n, known) in [(1, false), (2, true), (33, true)] {
        send_request(&mut world, Request::binding(SocketId(1), addr(&server(n)), 7), &long_term());
        assert_eq!(!kinds(&sent(&mut world)).is_empty(), known, "server {n}");
    }
}

#[test]
fn rfc8489_9_2_5_an_unauthenticated_400_is_ignored() {
    let mut world = authenticated(challenge(PLAIN, None));
    let request = sent_request(&mut world, &long_term());
    receive(&mut world, &error(&request, 400, None));
    assert_eq!(
        last_note(&world),
        "message from 192.0.2.1:3478 dropped: its error 400 is not authenticated [RFC 8489 §9.2.5]"
    );
    let lines = world.run(60_000);
    assert_eq!(lines.last().unwrap(), " 39500 7 exhausted: 7 sends, 0 answers", "RFC 8489 §9.2.5: a timeout");

    let request = sent_request(&mut world, &long_term());
    receive(&mut world, &error(&request, 400, Some((&md5(), Integrity::Sha1))));
    assert_eq!(integrity_of(&event(&mut world)), Some(Integrity::Sha1));
}

#[test]
fn rfc8489_9_2_5_a_response_without_the_announced_algorithms_is_ignored() {
    let mut world = authenticated(challenge(ALGORITHMS, Some(BEST_FIRST)));
    let request = sent_request(&mut world, &long_term());
    let nonce = Attribute::Nonce(ALGORITHMS.into());
    let signed = Some((&sha256(), Integrity::SHA256));
    receive(&mut world, &response(&request, Class::SuccessResponse, &[nonce], None));
    receive(&mut world, &response(&request, Class::SuccessResponse, &[nonce], signed.as_ref().map(|&(k, i)| (k, i))));
    assert_eq!(world.lines(), [""; 0]);
    assert!(last_note(&world).contains("announces PASSWORD-ALGORITHMS, which is missing"));
    receive(&mut world, &success(&request, Some((&sha256(), Integrity::SHA256))));
    assert_eq!(integrity_of(&event(&mut world)), Some(Integrity::SHA256));
}

#[test]
fn rfc8489_9_2_5_over_udp_an_unverified_response_is_ignored() {
    let wrong = IntegrityKey::short_term("guess");
    let cases = [
        (None, IntegrityError::Missing),
        (Some((&wrong, Integrity::SHA256)), IntegrityError::Mismatch { at: 32 }),
        (Some((&wrong, Integrity::Sha1)), IntegrityError::Missing),
    ];
    for (signed, why) in cases {
        let mut world = authenticated(challenge(ALGORITHMS, Some(BEST_FIRST)));
        let request = sent_request(&mut world, &long_term());
        receive(&mut world, &success(&request, signed));
        receive(&mut world, &error(&request, 500, None));
        receive(&mut world, &success(&request, signed));
        let lines = world.run(60_000);
        assert_eq!(lines.len(), 7, "{lines:?}");
        assert!(lines[6].contains(&format!("{:?}", Unusable::Integrity(why))), "{}", lines[6]);
    }
}

#[test]
fn rfc8489_9_2_5_over_a_stream_an_unverified_response_ends_the_request() {
    let mut world = requester();
    let reliable = binding(7).schedule(Schedule::reliable(Duration::from_millis(39_500)));
    send_request(&mut world, reliable, &long_term());
    let first = sent(&mut world);
    let bytes = challenge(PLAIN, None).to(&first);
    let (front, back) = bytes.split_at(30);
    assert_eq!(world.stream(1, SERVER, front), Verdict::Mine);
    assert_eq!(world.lines(), [""; 0]);
    assert_eq!(world.stream(1, SERVER, back), Verdict::Mine);
    let second = sent(&mut world);
    assert_eq!(world.stream(1, SERVER, &success(&second, None)), Verdict::Mine);
    assert_eq!(unusable(&mut world), Unusable::Integrity(IntegrityError::Missing));
}

#[test]
fn an_unverified_response_to_an_earlier_transaction_is_not_the_reason_of_the_end() {
    let mut world = authenticated(challenge(PLAIN, None));
    let request = sent_request(&mut world, &long_term());
    receive(&mut world, &success(&request, None));
    retried(&mut world, &request, stale("obMatJos2AAAAn2", None));
    assert_eq!(world.run(60_000).last().unwrap(), " 39500 7 exhausted: 7 sends, 0 answers");
}

#[test]
fn rfc8489_9_2_5_after_a_response_with_algorithms_only_sha256_is_used() {
    let mut world = authenticated(challenge(PLAIN, None));
    let request = sent_request(&mut world, &long_term());
    let mut buffer = [0; 256];
    let mut writer = Writer::new(&mut buffer, Class::SuccessResponse, Method::BINDING, id(&request)).unwrap();
    writer.add_password_algorithms(BEST_FIRST).unwrap();
    let bytes = writer.message_integrity(&md5()).unwrap().finish().to_vec();
    receive(&mut world, &bytes);
    assert_eq!(integrity_of(&event(&mut world)), Some(Integrity::Sha1));
    let next = sent_request(&mut world, &long_term());
    assert_eq!(kinds(&next), [], "the request has no credentials, to get a challenge with algorithms");
    let retry = retried(&mut world, &next, challenge(ALGORITHMS, Some(BEST_FIRST)));
    assert!(Message::decode(&retry).unwrap().verify_with(&sha256(), Integrity::SHA256).is_ok());
}

#[test]
fn rfc8489_9_2_2_the_key_has_no_quotes_and_no_trailing_nulls() {
    let mut world = requester();
    let first = sent_request(&mut world, &Credential::long_term("\"user\"\0", "pass\0\0"));
    let second = retried(&mut world, &first, challenge(PLAIN, None).realm(Some("\"realm\"")));
    let key = IntegrityKey::long_term_md5("user", "realm", "pass");
    let verified = Message::decode(&second).unwrap();
    let verified = verified.verify(&key).unwrap();
    assert_eq!(verified.realm().unwrap(), "\"realm\"", "the realm is returned unchanged");
}

#[test]
fn the_first_id_still_names_the_request_after_a_challenge() {
    let mut world = requester();
    let known = send_request(&mut world, binding(7), &long_term());
    let first = sent(&mut world);
    let second = retried(&mut world, &first, challenge(PLAIN, None));
    world.with(|machine, cx| machine.set_tail(cx, known, Duration::from_secs(1))).unwrap();
    assert_eq!(world.machine.pending().map(|(id, ..)| id).collect::<Vec<_>>(), [id(&second)]);
    receive(&mut world, &challenge("late", None).to(&first));
    assert_eq!(world.lines(), [""; 0]);
    assert!(last_note(&world).contains("request 010101010101010101010101 was challenged already"));
    world.with(|machine, cx| machine.cancel(cx, known)).unwrap();
    assert!(world.machine.is_empty());
    let gone = world.with(|machine, cx| machine.cancel(cx, known));
    assert_eq!(gone, Err(RequestError::NotPending(known)));
}

#[test]
fn retries_after_a_challenge_never_fill_the_queue() {
    let mut world = requester();
    for tag in 0..255 {
        send_request(&mut world, binding(tag), &long_term());
    }
    let requests: Vec<_> = world.outputs();
    let mut retries = 0;
    for round in 0..2 {
        for output in &requests {
            let portolan_machine::Output::Transmit(sent) = output else { panic!("a request") };
            receive(&mut world, &challenge(PLAIN, None).to(&sent.payload));
        }
        let sent = world.outputs().len();
        assert!(sent <= 256 - 255, "round {round}: {sent}");
        retries += sent;
    }
    assert_eq!(retries, 2, "a retry without room is sent after a repeated challenge");
}

#[test]
fn the_notes_of_a_request_name_their_clauses() {
    let mut world = requester();
    let first = sent_request(&mut world, &long_term());
    let second = retried(&mut world, &first, challenge(BOTH, Some(BEST_FIRST)));
    let third = retried(&mut world, &second, stale("obMatJos2wAAAn2", Some(BEST_FIRST)));
    receive(&mut world, &success(&third, Some((&sha256(), Integrity::SHA256))));
    let TransactionEvent::Answered(answer) = event(&mut world) else { panic!("answered") };
    assert_eq!((answer.id, answer.sends, answer.nth), (id(&third), 1, 1));
    assert_eq!(
        world.notes.0,
        [
            "request 010101010101010101010101 to 192.0.2.1:3478, send 1 [RFC 8489 §6.2.1]",
            "request 010101010101010101010101 challenged by 192.0.2.1:3478 with 401, 020202020202020202020202 replaces \
             it [RFC 8489 §9.2.5]",
            "request 020202020202020202020202 is authenticated with password algorithm 2, USERHASH and \
             MESSAGE-INTEGRITY-SHA256 [RFC 8489 §9.2.5]",
            "request 020202020202020202020202 to 192.0.2.1:3478, send 1 [RFC 8489 §6.2.1]",
            "request 020202020202020202020202 has a stale nonce for 192.0.2.1:3478, 030303030303030303030303 replaces it \
             [RFC 8489 §9.2.5]",
            "request 030303030303030303030303 is authenticated with password algorithm 2, USERHASH and \
             MESSAGE-INTEGRITY-SHA256 [RFC 8489 §9.2.5]",
            "request 030303030303030303030303 to 192.0.2.1:3478, send 1 [RFC 8489 §6.2.1]",
            "request 030303030303030303030303 answered by 192.0.2.1:3478 [RFC 8489 §6.3.3]",
        ]
    );
}
