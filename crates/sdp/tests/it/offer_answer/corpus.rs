//! Offers and answers that browsers made, where `PORTOLAN_CORPUS` tells the folder of the shared corpus.

use portolan_sdp::Session;
use portolan_sdp::offer_answer::validate;
use std::path::PathBuf;
use std::{env, fs};

/// The offers and the answers of browsers, by name.
fn pairs() -> Vec<(String, Vec<u8>, Vec<u8>)> {
    let Some(folder) = env::var_os("PORTOLAN_CORPUS").map(PathBuf::from) else {
        eprintln!("PORTOLAN_CORPUS is not set: no browser's descriptions are looked at");
        return Vec::new();
    };
    let mut pairs = Vec::new();
    for entry in fs::read_dir(folder.join("browser")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let Some(exchange) = name.strip_suffix("-offer.sdp") else { continue };
        let answer = path.with_file_name(format!("{exchange}-answer.sdp"));
        if answer.exists() {
            pairs.push((exchange.to_owned(), fs::read(&path).unwrap(), fs::read(answer).unwrap()));
        }
    }
    assert!(pairs.len() >= 20, "{} pairs", pairs.len());
    pairs
}

#[test]
fn what_browsers_answer_is_an_answer() {
    for (name, offer, answer) in pairs() {
        let (offer, answer) = (Session::read(&offer).unwrap(), Session::read(&answer).unwrap());
        let told: Vec<String> = validate(&offer, &answer).iter().map(ToString::to_string).collect();
        assert!(told.is_empty(), "{name}: {told:#?}");
    }
}
