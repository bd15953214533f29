//! Tests with vectors of RFC 4568 and of deployed telephones, and with invalid values.

use super::*;
use crate::value::tests::refused;
use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;

#[test]
fn a_key_has_a_lifetime_and_an_identifier() {
    let text = b"1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz|2^20|1:4 FEC_ORDER=SRTP_FEC";
    let crypto = Crypto::parse(text).unwrap();
    assert_eq!((crypto.tag, crypto.suite), (1, "AES_CM_128_HMAC_SHA1_80"));
    let key = CryptoKey::Inline {
        key_salt: "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz",
        lifetime: Some(Lifetime::PowerOfTwo(20)),
        mki: Some(Mki { value: "1", length: 4 }),
    };
    assert_eq!(crypto.keys.iter().collect::<Vec<_>>(), [key]);
    let parameters: Vec<_> = crypto.session_parameters().collect();
    assert_eq!(parameters, [SessionParameter::FecOrder { is_fec_first: false }]);
    assert_eq!(crypto.to_string().as_bytes(), text);
}

#[test]
fn the_lifetime_and_the_identifier_are_independent() {
    let key = |text: &'static str| Crypto::parse(text.as_bytes()).unwrap().keys.iter().next();
    let (key_salt, mki) = ("YUJD", Some(Mki { value: "1066", length: 4 }));
    assert_eq!(key("1 A inline:YUJD|1066:4"), Some(CryptoKey::Inline { key_salt, lifetime: None, mki }));
    let lifetime = Some(Lifetime::Packets(1066));
    assert_eq!(key("1 A inline:YUJD|1066"), Some(CryptoKey::Inline { key_salt, lifetime, mki: None }));
    assert_eq!(key("1 A x_1:a|b"), Some(CryptoKey::Other { method: "x_1", info: "a|b" }));
}

#[test]
fn a_crypto_attribute_has_several_keys_and_parameters() {
    let text = "2 F8_128_HMAC_SHA1_80 inline:MTIz|2^20|1:4;inline:QUJj|2^20|2:4 KDR=1  UNENCRYPTED_SRTCP\tWSH=64 \
                FEC_KEY=inline:AAAA;inline:BBBB -new UNENCRYPTED_SRTP UNAUTHENTICATED_SRTP";
    let crypto = Crypto::parse(text.as_bytes()).unwrap();
    assert_eq!(crypto.keys.iter().count(), 2);
    let parameters: Vec<_> = crypto.session_parameters().collect();
    assert_eq!(
        parameters[..3],
        [SessionParameter::Kdr(1), SessionParameter::UnencryptedSrtcp, SessionParameter::Wsh(64)]
    );
    assert!(matches!(parameters[3], SessionParameter::FecKey(keys) if keys.iter().count() == 2));
    assert_eq!(parameters[4], SessionParameter::Other("-new"));
    assert_eq!(parameters[5..], [SessionParameter::UnencryptedSrtp, SessionParameter::UnauthenticatedSrtp]);
    assert_eq!(crypto.to_string(), text);
}

#[test]
fn the_debug_text_hides_the_keys() {
    let text = b"1 A inline:c2VjcmV0|2^20|1:4;other:c2VjcmV0 FEC_KEY=inline:c2VjcmV0";
    let crypto = Crypto::parse(text).unwrap();
    let keys: Vec<_> = crypto.keys.iter().collect();
    let parameters: Vec<_> = crypto.session_parameters().collect();
    let shown = format!("{crypto:?} {crypto:#?} {keys:?} {parameters:?} {:?}", crate::Attribute::Crypto(crypto));
    assert!(!shown.contains("c2Vj"), "{shown}");
    assert!(shown.contains("PowerOfTwo(20)"), "{shown}");
}

#[test]
fn an_invalid_value_is_refused_at_its_offset() {
    for (bad, at, expected) in [
        (&b""[..], 0, "a tag of at most nine digits"),
        (b"1000000000 A inline:AAAA", 0, "a tag of at most nine digits"),
        (b"1", 1, "a space"),
        (b"1 A-B inline:AAAA", 3, "a space"),
        (b"1 A ", 4, "a key method such as inline"),
        (b"1 A inline", 10, "a colon"),
        (b"1 A inline:", 11, "a key and its salt in base 64"),
        (b"1 A inline:AAAA|", 16, "a lifetime in packets, such as 2^20"),
        (b"1 A inline:AAAA|2^", 18, "a power of two"),
        (b"1 A inline:AAAA|2^20|", 21, "a master key identifier in digits"),
        (b"1 A inline:AAAA|2^20|1", 22, "a colon"),
        (b"1 A inline:AAAA|2^20|1:0", 23, "a length in bytes, 1 to 128"),
        (b"1 A inline:AAAA|2^20|1:129", 23, "a length in bytes, 1 to 128"),
        (b"1 A inline:AAAA|1:4|2^20", 19, "a space"),
        (b"1 A inline:AAAA;", 16, "a key method such as inline"),
        (b"1 A inline:AAAA ", 16, "a session parameter"),
        (b"1 A inline:AAAA KDR=25", 20, "a key derivation rate, 0 to 24"),
        (b"1 A inline:AAAA KDR=1x", 21, "a space"),
        (b"1 A inline:AAAA WSH=63", 20, "a window, at least 64"),
        (b"1 A inline:AAAA FEC_ORDER=x", 26, "FEC_SRTP or SRTP_FEC"),
        (b"1 A inline:AAAA FEC_KEY=", 24, "a key method such as inline"),
    ] {
        refused::<Crypto<'_>>(bad, at, expected);
    }
}
