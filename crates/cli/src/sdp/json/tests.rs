use super::*;
use std::path::Path;

fn there_and_back(text: &[u8]) -> Vec<u8> {
    let session = input::session(None, text).unwrap();
    let json = serde_json::to_vec(&Document::of(&session)).unwrap();
    to_sdp(&Source::of(None), &json).unwrap()
}

#[test]
fn every_line_round_trips_with_its_bytes_and_its_ending() {
    for text in [
        &b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\na=x:\r\na=\r\na=:\r\na=y\r\n"[..],
        b"v=0\ns=\xff\xfe\r\n\r\nstray\r=x\r=y=\nx=\"\\\n\xe9=2\nm=\n m=\nb=\0",
        b"v=0\r\r\n\r\ns=caf\xc3\xa9",
    ] {
        assert_eq!(there_and_back(text), text, "{}", text.escape_ascii());
    }
}

/// Tests the descriptions in the folder `PORTOLAN_CORPUS`, if the variable is set.
#[test]
fn every_corpus_description_round_trips() {
    let Some(folder) = std::env::var_os("PORTOLAN_CORPUS") else { return };
    let (mut folders, mut count) = (vec![Path::new(&folder).join("sdp"), Path::new(&folder).join("browser")], 0);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "sdp") {
                let text = std::fs::read(&path).unwrap();
                if input::session(None, &text).is_ok() {
                    assert_eq!(there_and_back(&text), text, "{}", path.display());
                    count += 1;
                }
            }
        }
    }
    assert!(count > 500, "only {count}");
}

#[test]
fn json_that_would_change_other_lines_is_refused_at_its_place() {
    let refused = |lines: &str, media: &str| {
        let json = format!(r#"{{"schema":"portolan.sdp/1","ending":"crlf","lines":[{lines}],"media":[{media}]}}"#);
        to_sdp(&Source::of(None), json.as_bytes()).unwrap_err().to_string()
    };
    let v = r#"{"kind":"v","value":"0"}"#;
    for (lines, media, place) in [
        (r#"{"kind":"v","value":"0\r\na=x"}"#, "", "lines[0] does not end where it should"),
        (&format!(r#"{v},{{"kind":"vv","value":"0"}}"#), "", "lines[1] must have"),
        (&format!(r#"{v},{{"kind":"b","name":"x"}}"#), "", "lines[1] must have"),
        (&format!(r#"{v},{{"hex":"0g"}}"#), "", "lines[1] has a hex"),
        (&format!(r#"{v},{{"hex":"0"}}"#), "", "lines[1] has a hex"),
        (&format!(r#"{{"kind":"v","value":"0","ending":"none"}},{v}"#), "", "lines[0] does not end"),
        (r#"{"kind":"v","value":"0","ending":"cr"},{"text":"","ending":"lf"}"#, "", "lines[1] does not end"),
        (&format!(r#"{v},{{"kind":"m","value":"x"}}"#), "", "lines[1] stands in the wrong list"),
        (v, &format!(r#"{{"lines":[{v}]}}"#), "media[0].lines[0] stands in the wrong list"),
        (r#"{"text":"x"}"#, "", "<stdin>:1:1: this is no session description"),
    ] {
        let message = refused(lines, media);
        assert!(message.contains(place), "{message}");
    }
    assert!(to_sdp(&Source::of(None), b"{").unwrap_err().to_string().contains("EOF"));
    let other = br#"{"schema":"x","ending":"lf","lines":[],"media":[]}"#;
    assert!(to_sdp(&Source::of(None), other).unwrap_err().to_string().contains("another schema"));
    // A deeply nested document is rejected, not followed.
    assert!(to_sdp(&Source::of(None), "[".repeat(1 << 20).as_bytes()).is_err());
}
