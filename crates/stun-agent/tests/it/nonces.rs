//! Stateless nonces: their client, their lifetime, and changed nonces.

use crate::world::addr;
use core::time::Duration;
use portolan_machine::Instant;
use portolan_stun_agent::nonce::{Features, Nonce, NonceError, Nonces};
use proptest::prelude::*;

const CLIENT: &str = "198.51.100.7:40000";

fn nonces() -> Nonces {
    Nonces::new(&[7; 32], Duration::from_secs(600))
}

fn at(seconds: u64) -> Instant {
    Instant::from_origin(Duration::from_secs(seconds))
}

#[test]
fn rfc8489_9_2_4_a_nonce_is_valid_to_its_last_second_and_not_in_the_next() {
    let nonce = nonces().issue(at(100), addr(CLIENT), Features::NONE);
    let check = |seconds| nonces().check(at(seconds), addr(CLIENT), nonce.as_str().as_bytes());
    assert_eq!(
        [check(100), check(699), check(700), check(u64::MAX)],
        [Ok(()), Ok(()), Err(NonceError::Expired), Err(NonceError::Expired)]
    );
    assert_eq!(check(99), Err(NonceError::NotOurs), "the nonce is from the future: the clock was restarted");
}

#[test]
fn rfc8489_9_2_4_a_nonce_of_one_client_is_invalid_for_another() {
    for source in [CLIENT, "[2001:db8::7]:40000"] {
        let nonce = nonces().issue(at(0), addr(source), Features::USERNAME_ANONYMITY);
        let check = |source: &str| nonces().check(at(1), addr(source), nonce.as_str().as_bytes());
        assert_eq!(check(source), Ok(()));
        for other in ["198.51.100.8:40000", "198.51.100.7:40001", "[2001:db8::8]:40000", "[2001:db8::7]:1"] {
            assert_eq!(check(other), Err(NonceError::NotOurs), "{other}");
        }
    }
    let other_secret = Nonces::new(&[8; 32], Duration::from_secs(600));
    let nonce = other_secret.issue(at(0), addr(CLIENT), Features::NONE);
    assert_eq!(nonces().check(at(1), addr(CLIENT), nonce.as_str().as_bytes()), Err(NonceError::NotOurs));
}

#[test]
fn rfc8489_9_2_the_features_of_a_nonce_can_be_read_and_not_changed() {
    let both = Features::PASSWORD_ALGORITHMS.with(Features::USERNAME_ANONYMITY);
    for (features, front) in [
        (Features::NONE, "obMatJos2AAAA"),
        (Features::PASSWORD_ALGORITHMS, "obMatJos2gAAA"),
        (Features::USERNAME_ANONYMITY, "obMatJos2QAAA"),
        (both, "obMatJos2wAAA"),
    ] {
        let nonce = nonces().issue(at(0), addr(CLIENT), features);
        assert!(nonce.as_str().starts_with(front), "{nonce}");
        assert_eq!(Features::of(nonce.as_str().as_bytes()), Some(features));
        assert!(both.contains(features));
    }
    // A bid-down attack removes the feature bit. Then the nonce is invalid (RFC 8489 §9.2.1).
    let bid_down = nonces().issue(at(0), addr(CLIENT), both).as_str().replacen("2wAAA", "2AAAA", 1);
    assert_eq!(nonces().check(at(1), addr(CLIENT), bid_down.as_bytes()), Err(NonceError::NotOurs));
    for no_cookie in ["", "obMatJos2", "obMatJos2gAA", "xbMatJos2gAAA", "obMatJos2gA!A", "f//499k954d6OL34oL9FSTvy64sA"]
    {
        assert_eq!(Features::of(no_cookie.as_bytes()), None, "{no_cookie}");
    }
    assert!(!Features::NONE.contains(Features::PASSWORD_ALGORITHMS));
}

proptest! {
    /// An issued nonce is valid for any client and at any time within its lifetime.
    #[test]
    fn an_issued_nonce_is_valid(secret: [u8; 32], made in 0..u64::from(u32::MAX) - 600, age in 0..600_u64, ip: [u8; 4], port: u16) {
        let (nonces, source) = (Nonces::new(&secret, Duration::from_secs(600)), (ip, port).into());
        let nonce = nonces.issue(at(made), source, Features::PASSWORD_ALGORITHMS);
        prop_assert_eq!(nonce.as_str().len(), Nonce::LEN);
        prop_assert_eq!(nonces.check(at(made + age), source, nonce.as_str().as_bytes()), Ok(()));
    }

    /// Any other text is invalid: one changed character, a truncated or extended nonce, or random bytes.
    #[test]
    fn a_changed_nonce_is_invalid(place in 0..Nonce::LEN, character: u8, cut in 0..Nonce::LEN, any: Vec<u8>) {
        let nonce = nonces().issue(at(5), addr(CLIENT), Features::NONE);
        let good = nonce.as_str().as_bytes();
        let mut changed = good.to_vec();
        changed[place] = character;
        let longer = [good, b"A"].concat();
        for text in [changed.as_slice(), &good[..cut], &longer, &any] {
            let expected = if text == good { Ok(()) } else { Err(NonceError::NotOurs) };
            prop_assert_eq!(nonces().check(at(6), addr(CLIENT), text), expected);
        }
    }
}
