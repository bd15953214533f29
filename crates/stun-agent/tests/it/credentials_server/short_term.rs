//! RFC 8489 §9.1.3: the short-term mechanism.

use super::*;
use portolan_stun::{IntegrityError, ResponseClass, Text};

const NAME: &str = "evtj:h6vY";
const SECRET: &str = "VOkJxbRl1RmTxUk/WvJxBt";

fn short_term() -> Authenticator {
    let mut users = Users::short_term();
    users.add(NAME, SECRET).unwrap();
    Authenticator::short_term(users)
}

fn draft(sign: Sign) -> Draft<'static> {
    Draft::new(&[Attribute::Username(NAME.into())], IntegrityKey::short_term(SECRET), sign)
}

/// Judges the message as a request, and as an indication.
fn both(mut draft: Draft<'_>) -> [JudgeResult; 2] {
    [Class::Request, Class::Indication].map(|class| {
        draft.class = class;
        judge(&short_term(), 0, &draft.bytes())
    })
}

fn rejected(code: u16, kind: RejectionKind) -> [JudgeResult; 2] {
    [Err((Some(code), kind)), Err((None, kind))]
}

#[test]
fn rfc8489_9_1_3_without_integrity_or_username_a_request_is_400_and_an_indication_is_discarded() {
    let incomplete = || rejected(400, RejectionKind::Incomplete);
    assert_eq!(both(draft(Sign::Nothing)), incomplete());
    for sign in [Sign::Nothing, Sign::Sha1, Sign::Sha256, Sign::Both] {
        assert_eq!(both(draft(sign).without(AttributeType::USERNAME)), incomplete(), "{sign:?}");
    }
}

#[test]
fn rfc8489_9_1_3_an_unknown_username_is_401_or_discarded() {
    let unknown = || rejected(401, RejectionKind::UnknownUser);
    for name in [Text::new("evtj:h6vZ"), Text::new(""), Text::from_wire(b"evtj:h6v\xff"), Text::new("evtj:h6vY\0")] {
        for sign in [Sign::Sha1, Sign::Sha256] {
            let draft = Draft::new(&[Attribute::Username(name)], IntegrityKey::short_term(SECRET), sign);
            assert_eq!(both(draft), unknown(), "{name:?}");
        }
    }
    // The dummy key of unknown users does not authenticate a user.
    let empty = Draft::new(&[Attribute::Username("mallory".into())], IntegrityKey::from_bytes(&[]), Sign::Sha256);
    assert_eq!(both(empty), unknown());
}

#[test]
fn rfc8489_9_1_3_a_wrong_integrity_is_401_or_discarded() {
    for sign in [Sign::Sha1, Sign::Sha256, Sign::Both] {
        let wrong = Draft { key: IntegrityKey::short_term("guess"), ..draft(sign) };
        let at = if sign == Sign::Both { 36 + 24 } else { 36 };
        assert_eq!(both(wrong), rejected(401, RejectionKind::Integrity(IntegrityError::Mismatch { at })));
        assert_eq!(both(draft(sign)), [Ok(NAME.into()), Ok(NAME.into())]);
    }
}

#[test]
fn rfc8489_9_1_3_of_both_integrity_attributes_sha256_counts() {
    let (right, wrong) = (IntegrityKey::short_term(SECRET), IntegrityKey::short_term("guess"));
    for (sha1, sha256, taken) in [(&wrong, &right, true), (&right, &wrong, false)] {
        let mut buffer = [0; 128];
        let mut writer = Writer::new(&mut buffer, Class::Request, Method::BINDING, ID.into()).unwrap();
        writer.add(&Attribute::Username(NAME.into())).unwrap();
        let signed = writer.message_integrity(sha1).unwrap().message_integrity_sha256(sha256).unwrap();
        assert_eq!(judge(&short_term(), 0, signed.finish()).is_ok(), taken);
    }
}

#[test]
fn rfc8489_9_1_3_a_response_has_the_integrity_of_its_request_and_no_username() {
    use AttributeType as A;
    for (sign, fingerprint, expected) in [
        (Sign::Sha1, false, vec![A::MESSAGE_INTEGRITY]),
        (Sign::Sha256, false, vec![A::MESSAGE_INTEGRITY_SHA256]),
        (Sign::Both, true, vec![A::MESSAGE_INTEGRITY_SHA256, A::FINGERPRINT]),
    ] {
        let bytes = Draft { fingerprint, ..draft(sign) }.bytes();
        let request = Message::decode(&bytes).unwrap();
        let judged = short_term().judge(at(0), addr(CLIENT), &request);
        let Judgement::Admitted(admitted) = judged else { panic!("{judged:?}") };
        let mut buffer = [0; 128];
        let writer = Writer::response(&mut buffer, &admitted.message, ResponseClass::Success).unwrap();
        let reply = admitted.signature.finish(writer, fingerprint).unwrap();
        assert_eq!(kinds(reply), expected, "{sign:?}");
        assert!(Message::decode(reply).unwrap().verify(&IntegrityKey::short_term(SECRET)).is_ok());
    }
}

#[test]
fn rfc8489_9_1_3_a_rejection_has_no_integrity_and_no_username() {
    let unknown = Draft::new(&[Attribute::Username("x".into())], IntegrityKey::short_term(SECRET), Sign::Sha1);
    let wrong = Draft { key: IntegrityKey::short_term("guess"), ..draft(Sign::Both) };
    for (draft, expected, length) in [(draft(Sign::Nothing), 400, 40), (unknown, 401, 44), (wrong, 401, 44)] {
        let reply = rejection(&short_term(), 0, CLIENT, &draft.bytes());
        assert_eq!((code(&reply), kinds(&reply)), (Some(expected), vec![AttributeType::ERROR_CODE]));
        assert_eq!(reply.len(), length);
        let sealed = rejection(&short_term(), 0, CLIENT, &Draft { fingerprint: true, ..draft }.bytes());
        assert_eq!(kinds(&sealed), [AttributeType::ERROR_CODE, AttributeType::FINGERPRINT], "§7");
        assert_eq!(Message::decode(&sealed).unwrap().check_fingerprint(), Ok(()));
    }
}

#[test]
fn rfc5769_2_1_the_sample_request_authenticates_its_user() {
    let sample = hex("
        00010058 2112a442 b7e7a701bc34d686fa87dfae
        80220010 5354554e 20746573 7420636c 69656e74
        00240004 6e0001ff
        80290008 932ff9b1 51263b36
        00060009 6576746a 3a683676 59202020
        00080014 9aeaa70c bfd8cb56 781ef2b5 b2d3f249 c1b571a2
        80280004 e57a3bcf");
    assert_eq!(judge(&short_term(), 0, &sample), Ok(NAME.into()));
    let mut other = Users::short_term();
    other.add(NAME, "another").unwrap();
    let mismatch = RejectionKind::Integrity(IntegrityError::Mismatch { at: 76 });
    assert_eq!(judge(&Authenticator::short_term(other), 0, &sample), Err((Some(401), mismatch)));
}

#[test]
fn responses_are_discarded() {
    for class in [Class::SuccessResponse, Class::ErrorResponse] {
        let bytes = Draft { class, ..draft(Sign::Sha256) }.bytes();
        assert_eq!(judge(&short_term(), 0, &bytes), Err((None, RejectionKind::NotARequest)));
    }
}
