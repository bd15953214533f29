use super::*;
use serde_json::{Value, json};

/// A description with quotes, backslashes, and characters beyond ASCII and beyond 16 bits.
const CLEAN: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=Bob's \"call\" ü 📞\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\n\
                     c=IN IP4 192.0.2.1\r\na=x-path:C:\\new\\r\\temp\r\na=x-json:{\"a\":[1,2]}\r\na=mid:0\r\n";

fn steps(text: &[u8]) -> (String, Vec<String>) {
    let found = extract(text.to_vec()).unwrap_or_else(|why| panic!("{why}: {}", String::from_utf8_lossy(text)));
    (String::from_utf8(found.text).unwrap(), found.steps.iter().map(ToString::to_string).collect())
}

fn utf16(text: &str, order: fn(u16) -> [u8; 2]) -> Vec<u8> {
    text.encode_utf16().flat_map(order).collect()
}

/// Puts a text around each line.
fn each_line(text: &str, before: &str, after: &str) -> String {
    text.lines().map(|line| format!("{before}{line}{after}\n")).collect()
}

/// What JSON writes, without the quotes around it.
fn escaped(text: &str) -> String {
    let json = Value::from(text).to_string();
    json[1..json.len() - 1].to_owned()
}

/// Forms in which the ends of lines are CR LF after the extraction.
fn forms_with_crlf() -> Vec<(&'static str, Vec<u8>)> {
    let (offer, inner) = (json!({"type": "offer", "sdp": CLEAN}), escaped(CLEAN));
    let ascii: String = offer.to_string().encode_utf16().fold(String::new(), |out, unit| match u8::try_from(unit) {
        Ok(b'=') => out + "\\u003d",
        Ok(byte) if byte.is_ascii() => out + &char::from(byte).to_string(),
        _ => out + &format!("\\u{unit:04X}"),
    });
    let python = CLEAN.replace('\\', "\\\\").replace('\'', "\\'").replace("\r\n", "\\r\\n");
    let lines: Vec<&str> = CLEAN.lines().collect();
    let code =
        |each: fn(String) -> String| lines.iter().map(|line| each(Value::from(*line).to_string())).collect::<String>();
    let texts = [
        ("JSON", offer.to_string()),
        ("JSON in lines", serde_json::to_string_pretty(&offer).unwrap()),
        ("JSON in ASCII", ascii),
        ("deep JSON", json!({"id": 7, "jsep": {"body": [null, {"sdp": CLEAN}], "type": "v=0"}}).to_string()),
        ("an array", json!([{"candidate": "candidate:1 1 udp 1 192.0.2.1 9 typ host"}, offer]).to_string()),
        ("JSON in JSON", json!({"data": offer.to_string()}).to_string()),
        ("JSON in JSON in JSON", Value::from(json!({"data": offer.to_string()}).to_string()).to_string()),
        ("a JSON string", Value::from(CLEAN).to_string()),
        ("a log line", format!("2026-01-02T03:04:05Z INFO peer[7]: it's v=2 sending {offer} to 192.0.2.7\n")),
        ("a log line between others", format!("12:00 start\n12:01 got {offer}\n12:02 a=1 done\n")),
        ("a log of JSON lines", format!("{}\n{offer}\n", json!({"type": "ready", "sdp": null}))),
        (
            "JavaScript with JSON in quotes",
            format!(
                "const offer = JSON.parse('{}');",
                escaped(&offer.to_string()).replace('\'', "\\'").replace("\\\"", "\"")
            ),
        ),
        ("a Python dictionary", format!("{{'type': 'offer', 'sdp': '{python}'}}")),
        (
            "Python bytes",
            format!("sdp = b'{}'", python.replace('ü', "\\xc3\\xbc").replace('📞', "\\xf0\\x9f\\x93\\x9e")),
        ),
        ("Rust Debug", format!("Description {{ kind: Offer, sdp: {:?} }}", CLEAN)),
        ("a string from inside JSON", format!("{inner}\",\"type\":\"offer\"}}")),
        ("escape sequences alone", inner.clone()),
        ("escape sequences after words", format!("SDP: {inner}")),
        ("doubled escape sequences", escaped(&inner)),
        ("a string without its end", format!("{{\"sdp\":\"{inner}")),
        ("lines of C", format!("char sdp[] =\n{};\n", code(|line| format!("  {}\\r\\n\"\n", &line[..line.len() - 1])))),
        ("lines of JavaScript", code(|line| format!("  {}\\r\\n\" +\n", &line[..line.len() - 1]))),
        ("a list of lines", Value::from(lines.clone()).to_string()),
        ("two equal copies", json!({"localDescription": offer, "currentLocalDescription": offer}).to_string()),
        ("a byte order mark and JSON", format!("\u{feff}{offer}")),
    ];
    let mut forms: Vec<(&str, Vec<u8>)> = texts.into_iter().map(|(name, text)| (name, text.into_bytes())).collect();
    forms.extend([
        ("a byte order mark", format!("\u{feff}{CLEAN}").into_bytes()),
        ("UTF-16 LE with a mark", utf16(&format!("\u{feff}{CLEAN}"), u16::to_le_bytes)),
        ("UTF-16 BE with a mark", utf16(&format!("\u{feff}{CLEAN}"), u16::to_be_bytes)),
        ("UTF-16 LE", utf16(CLEAN, u16::to_le_bytes)),
        ("UTF-16 BE", utf16(CLEAN, u16::to_be_bytes)),
        ("JSON in UTF-16", utf16(&format!("\u{feff}{offer}"), u16::to_le_bytes)),
        ("a SIP message", format!("INVITE sip:bob@example.com SIP/2.0\r\nCSeq: 1 INVITE\r\n\r\n{CLEAN}").into_bytes()),
    ]);
    forms
}

/// Forms in which the ends of lines are LF after the extraction.
fn forms_with_lf() -> Vec<(&'static str, String)> {
    let text = CLEAN.replace("\r\n", "\n");
    vec![
        ("indentation", each_line(CLEAN, "    ", "")),
        ("indentation by tabs", each_line(CLEAN, "\t", "")),
        ("indentation of all lines but the first", each_line(CLEAN, "  ", "").trim_start().to_owned()),
        ("quoted mail", format!("Hello,\n\nBob wrote:\n{}\nRegards\n", each_line(CLEAN, "> ", ""))),
        ("mail quoted twice", each_line(CLEAN, ">> ", "")),
        ("a Markdown fence", format!("My offer:\n\n```sdp\n{text}```\nand a=b is strange\n")),
        ("a fence in a list", format!("* offer\n{}", each_line(&format!("~~~\n{text}~~~\nt=1"), "  ", ""))),
        ("a log with times", each_line(CLEAN, "[12:00:01.5] sdp: ", "")),
        ("a template literal", format!("const sdp = `{}`;", text.replace('\\', "\\\\"))),
        (
            "an indented template literal",
            format!("sdp = `{}`", each_line(&text.replace('\\', "\\\\"), "    ", "").trim_start()),
        ),
        ("escape sequences at the end of each line", each_line(CLEAN, "", "\\r\\n")),
        ("a block of YAML", format!("type: offer\nsdp: |\n{}", each_line(CLEAN, "  ", ""))),
    ]
}

#[test]
fn every_pasted_form_gives_the_description_and_names_its_steps() {
    let lf = CLEAN.replace("\r\n", "\n");
    let with_lf = forms_with_lf().into_iter().map(|(name, text)| (name, text.into_bytes(), lf.as_str()));
    let forms: Vec<_> = forms_with_crlf().into_iter().map(|(name, text)| (name, text, CLEAN)).chain(with_lf).collect();
    assert!(forms.len() >= 40);
    for (name, text, expected) in forms {
        let (found, steps) = steps(&text);
        assert_eq!(found, expected, "{name}: {}", String::from_utf8_lossy(&text));
        assert!(!steps.is_empty(), "{name}");
        assert_eq!(self::steps(found.as_bytes()), (found, vec![]), "{name}: a second extraction changes nothing");
    }
}

#[test]
fn each_step_is_named() {
    let quoted = format!("Hi,\n{}bye\n", each_line(CLEAN, "> ", ""));
    for (text, expected) in [
        (
            format!("\u{feff}{}", json!([CLEAN, CLEAN])),
            vec![Step::ByteOrderMark, Step::String { is_closed: true }, Step::Copies(1)],
        ),
        (quoted, vec![Step::Around { before: 1, after: 1 }, Step::Prefix]),
        (escaped(CLEAN), vec![Step::Escapes]),
        (format!("\"{}", escaped(CLEAN)), vec![Step::String { is_closed: false }]),
        (each_line(CLEAN, " ", "\\n"), vec![Step::Prefix, Step::Escapes]),
    ] {
        assert_eq!(extract(text.into_bytes()).unwrap().steps, expected);
    }
    assert_eq!(extract(utf16(CLEAN, u16::to_le_bytes)).unwrap().steps, [Step::Utf16]);
}

#[test]
fn two_different_descriptions_are_refused_with_their_places() {
    let other = CLEAN.replace("- 1 1", "- 2 1");
    for (text, places) in [
        (json!([{"sdp": CLEAN}, {"sdp": other}]).to_string(), "1:10, 1:"),
        (format!("{}\n{}\n", json!({"sdp": CLEAN}), json!({"sdp": other})), "1:9, 2:9"),
        (format!("offer:\n{CLEAN}\nanswer:\n{other}"), "2:1, 13:1"),
        (format!("{}{}", each_line(CLEAN, "> ", ""), each_line(&other, "> ", "")), "1:3, 10:3"),
        (format!("{}\n{}", escaped(CLEAN), escaped(&other)), "1:1, 2:1"),
        (format!("{}{}", escaped(CLEAN), escaped(&other)), "1:1, 1:"),
    ] {
        let refused = extract(text.into_bytes()).unwrap_err().to_string();
        assert!(refused.starts_with(&format!("2 different descriptions, at {places}")), "{refused}");
    }
    let many: Vec<String> = (0..10).map(|id| CLEAN.replace("- 1 1", &format!("- {id} 1"))).collect();
    let refused = extract(json!(many).to_string().into_bytes()).unwrap_err().to_string();
    assert!(refused.starts_with("10 different descriptions") && refused.contains(", …; give one"), "{refused}");
}

/// Descriptions with deviations, parts of descriptions, and texts without a description.
#[test]
fn a_description_without_wrapping_and_a_text_without_a_description_are_unchanged() {
    let swapped = "o=- 1 1 IN IP4 192.0.2.1\r\nv=0\r\ns=-\r\nt=0 0\r\n";
    let quoting = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=\"v=0\\r\\no=-\"\r\nv=0\r\no=- 2 2 IN IP4 192.0.2.1\r\n";
    for text in [
        CLEAN,
        "v=0",
        "v=0\n",
        "v=1\r\ns=-\r\n",
        "v=x\no=y\n",
        "\r\n\r\nv=0\r\no=-\r\n",
        "v=0 \r\no=-\r\n",
        swapped,
        quoting,
        "",
        "v=0\r\n o=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\n",
        "m=audio 9 RTP/AVP 0\r\na=mid:0\r\n",
        "the \"v=0\" line",
        "{\"sdp\":\"\"}",
        "{\"type\":\"rollback\"}",
        "GET / HTTP/1.1\r\n\r\n",
        "\"v=0\\r\\n\"",
        "rev=0\no=1\n",
        "{\"sdp\":\"v=0 o=\"}",
        "\\",
        "v=0\\",
    ] {
        assert_eq!(steps(text.as_bytes()), (text.to_owned(), vec![]), "{text:?}");
    }
    assert_eq!(extract(vec![0xff, 0, 0xfe]).unwrap().text, [0xff, 0, 0xfe]);
}

#[test]
fn invalid_utf_16_is_refused_with_its_offset() {
    let mut torn = utf16(&format!("\u{feff}{CLEAN}"), u16::to_le_bytes);
    torn.pop();
    assert_eq!(extract(torn.clone()), Err(WrappingError::Utf16 { at: torn.len() - 1 }));
    let half = [0xff, 0xfe, b'v', 0, 0, 0xd8, b'0', 0];
    assert_eq!(extract(half.to_vec()), Err(WrappingError::Utf16 { at: 4 }));
}

/// The one description of the corpus with indentation, from the source code of a test.
const INDENTED: &str = "lib_tests-L563-test_mask_sdp.sdp";

/// The descriptions of other projects and of browsers are unchanged, and JSON of each gives its bytes.
#[test]
fn every_description_of_the_corpus_is_unchanged_and_comes_out_of_json() {
    let Some(corpus) = std::env::var_os("PORTOLAN_CORPUS") else {
        return eprintln!("PORTOLAN_CORPUS is not set: the test with its descriptions is skipped");
    };
    let mut folders = vec![std::path::PathBuf::from(corpus)];
    let mut count = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                folders.push(entry);
            } else if entry.extension().is_some_and(|kind| kind == "sdp") {
                let text = std::fs::read(&entry).unwrap();
                let found = extract(text.clone()).unwrap();
                if entry.ends_with(INDENTED) {
                    assert_eq!(found.steps, [Step::Prefix]);
                } else if text.starts_with(b"v=") {
                    assert_eq!(found, Extracted { text: text.clone(), steps: vec![] }, "{entry:?}");
                }
                let Ok(text) = String::from_utf8(text) else { continue };
                if is_description(text.as_bytes()) {
                    let json = json!({"sdp": text, "type": "offer"}).to_string();
                    let expected = if entry.ends_with(INDENTED) { found.text } else { text.into_bytes() };
                    assert_eq!(steps(json.as_bytes()).0.into_bytes(), expected, "{entry:?}");
                    count += 1;
                }
            }
        }
    }
    assert!(count > 500, "{count}");
}

/// Each prefix and each changed byte: no panic. Repeated parts of wrappings: the time stays linear.
#[test]
fn no_text_panics_or_takes_long() {
    for (_, text) in forms_with_crlf() {
        for at in (0..text.len()).step_by(3) {
            let _ = extract(text[..at].to_vec());
            let mut bent = text.clone();
            bent[at] ^= 0x5c;
            let _ = extract(bent);
        }
    }
    const SIZE: usize = 1 << 20;
    for part in [
        "v=0",
        "\"v=0",
        "\\\"v=0",
        "'v=0 \"v=0 `v=0 \\\"v=0 \\\\\\'v=0",
        "x\nv=0\no=1\n",
        " v=0\\n",
        "\\",
        "\"v=0\\r\\no=1\"+",
        "v",
        "> v=0\n> o=1\n",
    ] {
        for start in ["", "x\n", "\"v=0\\n"] {
            let text = format!("{start}{}", part.repeat(SIZE / part.len()));
            let _ = extract(text.into_bytes());
        }
    }
}
