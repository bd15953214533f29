//! No address and no secret of a real description survives scrubbing, and its lines read as they did.
//!
//! What is a secret is told here by simple means that know nothing of how scrubbing works.

use crate::field;
use alloc::collections::{BTreeMap, BTreeSet};
use core::mem::discriminant;
use core::net::IpAddr;
use portolan_sdp::Session;
use portolan_sdp::scrub::scrub;

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.split(['\r', '\n']).filter(|line| !line.is_empty())
}

/// Whatever in a text reads as an address and says where somebody is.
fn addresses(text: &str) -> BTreeSet<IpAddr> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || ".:-_".contains(c)))
        .filter_map(|word| word.parse().ok())
        .filter(|ip: &IpAddr| !ip.is_unspecified() && !ip.is_loopback() && !is_of_documents(*ip))
        .collect()
}

/// RFC 5737, 3849, 5771, 6676: they are nobody's.
fn is_of_documents(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => {
            matches!(v4.octets(), [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] | [233, 252, 0, _])
        }
        IpAddr::V6(v6) => v6.segments()[..2] == [0x2001, 0xdb8] || v6.segments()[5] == 0xdb8 && v6.is_multicast(),
    }
}

const COMMON: [&str; 4] = ["mixed", "session", "prompt", "00000000"];

/// What says who somebody is, or lets in who knows it.
fn secrets(text: &str) -> BTreeSet<&str> {
    let mut found = BTreeSet::new();
    for line in lines(text) {
        let Some((kind, value)) = line.split_once('=') else { continue };
        let (name, value) = if kind == "a" { value.split_once(':').unwrap_or((value, "")) } else { (kind, value) };
        let after_space = || value.split_once(' ').map_or("", |(_, rest)| rest);
        match name {
            "o" => found.extend(value.split(' ').next()),
            "s" | "i" | "u" | "e" | "p" | "k" | "ice-ufrag" | "ice-pwd" | "tls-id" | "tool" | "identity" | "cname" => {
                found.insert(value);
            }
            "fingerprint" => {
                found.insert(after_space());
            }
            "crypto" => {
                found.extend(value.split("inline:").skip(1).filter_map(|key| key.split(['|', ' ', ';']).next()))
            }
            "msid" => found.extend(value.split(' ')),
            "ssrc" => {
                let (name, value) = after_space().split_once(':').unwrap_or_default();
                if ["cname", "msid", "mslabel", "label"].contains(&name) {
                    found.extend(value.split(' '));
                }
            }
            "candidate" => {
                let words: Vec<&str> = value.split(' ').collect();
                found.extend(words.iter().filter(|word| word.ends_with(".local")));
                found.extend(words.windows(2).filter(|pair| pair[0] == "ufrag").map(|pair| pair[1]));
            }
            _ => {}
        }
    }
    // What is as short as this tells nothing, nor do words that stand elsewhere in the same description, or in a stand-in.
    found.retain(|secret| secret.len() > 3 && !COMMON.contains(secret));
    found
}

#[test]
fn no_address_and_no_secret_of_the_corpus_survives() {
    let (mut all_addresses, mut all_secrets, mut leaked) = (0, 0, Vec::new());
    for (path, bytes) in field::descriptions() {
        let (Ok(session), Ok(text)) = (Session::read(&bytes), core::str::from_utf8(&bytes)) else { continue };
        let scrubbed = scrub(&session).to_string();
        let path = path.display();
        let (before, after) = (addresses(text), addresses(&scrubbed));
        assert_eq!(before.intersection(&after).collect::<Vec<_>>(), Vec::<&IpAddr>::new(), "{path}\n{scrubbed}");
        for secret in secrets(text) {
            if scrubbed.contains(secret) {
                leaked.push(format!("{path}: {secret}"));
            }
            all_secrets += 1;
        }
        all_addresses += before.len();
    }
    assert_eq!(leaked, Vec::<String>::new());
    if field::folder().is_some() {
        assert!(all_addresses > 500 && all_secrets > 2000, "{all_addresses} {all_secrets}");
    }
}

#[test]
fn lines_keep_their_kinds_and_what_could_be_read_still_can() {
    for (path, bytes) in field::descriptions() {
        let Ok(session) = Session::read(&bytes) else { continue };
        let scrubbed = scrub(&session);
        assert_eq!(session.line_count(), scrubbed.line_count(), "{}", path.display());
        for (was, is) in session.lines().zip(scrubbed.lines()) {
            let context = || format!("{}: {was} became {is}", path.display());
            assert_eq!((was.kind(), was.ending()), (is.kind(), is.ending()), "{}", context());
            if let Some(Ok(typed)) = was.typed() {
                let now = is.typed().and_then(Result::ok).unwrap_or_else(|| panic!("{}", context()));
                assert_eq!(discriminant(&typed), discriminant(&now), "{}", context());
            }
        }
    }
}

#[test]
fn the_same_is_replaced_by_the_same_and_different_things_stay_different() {
    for (path, bytes) in field::descriptions() {
        let Ok(session) = Session::read(&bytes) else { continue };
        let scrubbed = scrub(&session);
        let (mut forth, mut back) = (BTreeMap::new(), BTreeMap::new());
        for (was, is) in session.lines().zip(scrubbed.lines()) {
            let Some((b"candidate", Some(value))) = was.attribute() else { continue };
            let now = is.attribute().and_then(|(_, value)| value).unwrap_or_default();
            // The foundation, a number, counts by itself.
            let words = value.split(|byte| *byte == b' ').zip(now.split(|byte| *byte == b' ')).skip(1);
            for (word, replaced) in words {
                let (word, replaced) = (word.to_ascii_lowercase(), replaced.to_ascii_lowercase());
                assert_eq!(*forth.entry(word.clone()).or_insert(replaced.clone()), replaced, "{}", path.display());
                assert_eq!(*back.entry(replaced).or_insert(word.clone()), word, "{}: {was} {is}", path.display());
            }
        }
    }
}
