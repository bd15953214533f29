//! Offers and answers of browsers, from the corpus in `PORTOLAN_CORPUS`.

use super::endpoints::{AUDIO, CAMERA, browser, origin, ports, transports};
use portolan_sdp::Session;
use portolan_sdp::offer_answer::{Capabilities, Explanation, Refusal, SectionOutcome, answer, validate};
use std::io::{Write as _, stderr};
use std::path::{Path, PathBuf};
use std::{env, fs};

/// Returns the folder of the corpus, or `None` if the variable is not set.
fn corpus() -> Option<PathBuf> {
    let folder = env::var_os("PORTOLAN_CORPUS").map(PathBuf::from);
    if folder.is_none() {
        drop(writeln!(stderr(), "PORTOLAN_CORPUS is not set: the tests with its descriptions are skipped"));
    }
    folder
}

/// Returns all descriptions of the corpus.
fn descriptions() -> Vec<PathBuf> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "sdp") {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    if let Some(folder) = corpus() {
        walk(&folder.join("sdp"), &mut found);
        walk(&folder.join("browser"), &mut found);
    }
    found.sort();
    found
}

/// Returns the offers and the answers of browsers, by name.
fn pairs() -> Vec<(String, Vec<u8>, Vec<u8>)> {
    let Some(folder) = corpus() else { return Vec::new() };
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
fn answers_of_browsers_are_valid() {
    for (name, offer, answer) in pairs() {
        let (offer, answer) = (Session::read(&offer).unwrap(), Session::read(&answer).unwrap());
        let findings: Vec<String> = validate(&offer, &answer).iter().map(ToString::to_string).collect();
        assert!(findings.is_empty(), "{name}: {findings:#?}");
    }
}

/// Uses every description of the corpus as an offer.
#[test]
fn descriptions_of_the_corpus_are_answered() {
    let media = [AUDIO, CAMERA];
    let (transports, ports) = (transports(), ports());
    let browser = browser(&media, &transports);
    let phone = Capabilities { data: None, ..Capabilities::plain(origin(), &media, &ports) };
    let [mut offers, mut sections, mut accepted] = [0; 3];
    for path in descriptions() {
        let text = fs::read(&path).unwrap();
        let Ok(offer) = Session::read(&text) else { continue };
        offers += 1;
        for capabilities in [&browser, &phone] {
            let Ok(made) = answer(&offer, capabilities) else { continue };
            let findings: Vec<String> = validate(&offer, &made.session).iter().map(ToString::to_string).collect();
            assert!(findings.is_empty(), "{}: {findings:#?}\n{}", path.display(), made.session);
            sections += made.explanations.len();
            let is_accepted =
                |explanation: &&Explanation| matches!(explanation.outcome, SectionOutcome::Accepted { .. });
            accepted += made.explanations.iter().filter(is_accepted).count();
        }
    }
    if offers > 0 {
        let summary = format!("{offers} offers, {sections} sections, {accepted} accepted");
        assert!(offers > 400 && accepted > 300, "{summary}");
        drop(writeln!(stderr(), "{summary}"));
    }
}

/// An endpoint with the codecs of browsers accepts the whole offer of a browser, except for removed sections.
#[test]
fn offers_of_browsers_are_accepted() {
    let media = [AUDIO, CAMERA];
    let transports = transports();
    for (name, offer, _) in pairs() {
        let offer = Session::read(&offer).unwrap();
        let made = answer(&offer, &browser(&media, &transports)).unwrap();
        for explanation in &made.explanations {
            let is_accepted = matches!(
                explanation.outcome,
                SectionOutcome::Accepted { .. } | SectionOutcome::Refused(Refusal::Removed)
            );
            assert!(is_accepted, "{name}: {explanation}");
        }
    }
}
