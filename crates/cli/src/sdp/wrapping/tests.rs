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

/// Encodes base64 with the alphabet of RFC 4648 §4, with padding.
fn base64(text: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let group = |bytes: &[u8]| -> String {
        let all = (0..3).fold(0_usize, |all, index| all << 8 | usize::from(*bytes.get(index).unwrap_or(&0)));
        let digit = |index| if index > bytes.len() { '=' } else { char::from(ALPHABET[all >> (18 - 6 * index) & 63]) };
        (0..4).map(digit).collect()
    };
    text.chunks(3).map(group).collect()
}

/// The same with the alphabet of URLs, without padding.
fn base64url(text: &[u8]) -> String {
    base64(text).replace('+', "-").replace('/', "_").replace('=', "")
}

/// Encodes each byte except for those in `kept`, letters and digits.
fn percent(text: &str, kept: &str) -> String {
    let each = |byte: u8| match char::from(byte) {
        letter if letter.is_ascii_alphanumeric() || kept.contains(letter) => letter.to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(each).collect()
}

const UNRESERVED: &str = "-_.!~*'()";
const URI: &str = "-_.!~*'();/?:@&=+$,#";

/// Breaks a text after each `width` characters.
fn broken(text: &str, width: usize, start: &str, end: &str) -> String {
    let lines: Vec<&str> = text.as_bytes().chunks(width).map(|line| core::str::from_utf8(line).unwrap()).collect();
    lines.iter().map(|line| format!("{start}{line}{end}")).collect()
}

#[test]
fn base64_and_percent_encoding_are_decoded_in_every_form_in_which_they_are_pasted() {
    use Step::{Base64, Copies, Percent, String as Quoted, Utf16};
    let offer = json!({"type": "offer", "sdp": CLEAN}).to_string();
    let (plain, object) = (base64(CLEAN.as_bytes()), base64(offer.as_bytes()));
    let closed = Quoted { is_closed: true };
    let pretty = serde_json::to_string_pretty(&json!({"type": "offer", "sdp": CLEAN})).unwrap();
    let form = |text: &str| percent(text, UNRESERVED).replace("%20", "+").replace('~', "%7E");
    let wide: Vec<u8> = CLEAN.encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (name, text, expected) in [
        ("base64", plain.clone(), vec![Base64]),
        ("base64 of JSON", format!("{object}\n"), vec![Base64, closed]),
        ("base64 of JSON in lines", base64(pretty.as_bytes()), vec![Base64, closed]),
        ("base64 for URLs", base64url(offer.as_bytes()), vec![Base64, closed]),
        ("lines of 76 characters", broken(&object, 76, "", "\n"), vec![Base64, closed]),
        ("lines of 64 characters, CR LF", broken(&plain, 64, "", "\r\n"), vec![Base64]),
        ("quoted lines", broken(&plain, 76, "> ", "\n"), vec![Base64]),
        ("base64 after words", format!("12:00 offer={object}; sent\nAnswer: none\n"), vec![Base64, closed]),
        ("base64 in JSON", json!({"id": 7, "offer": object}).to_string(), vec![Base64, closed]),
        ("a data URL", format!("data:application/json;base64,{object}"), vec![Base64, closed]),
        ("base64 after a hash", format!("https://call.example/#{}", base64url(offer.as_bytes())), vec![Base64, closed]),
        ("base64 twice", base64(plain.as_bytes()), vec![Base64, Base64]),
        ("base64 of UTF-16", base64(&wide), vec![Base64, Utf16]),
        ("two copies", format!("{object}\n\n{object}\n"), vec![Base64, closed, Copies(1)]),
        ("encodeURIComponent", percent(CLEAN, UNRESERVED), vec![Percent]),
        ("encodeURI", percent(CLEAN, URI), vec![Percent]),
        ("encodeURI after words", format!("sdp: {}\n", percent(CLEAN, URI)), vec![Percent]),
        ("small letters", percent(CLEAN, UNRESERVED).replace("%0D%0A", "%0d%0a").replace("%3D", "%3d"), vec![Percent]),
        ("a form", format!("type=offer&sdp={}&id=7", form(CLEAN)), vec![Percent]),
        ("a form with the description first", format!("sdp={}", form(CLEAN)), vec![Percent]),
        ("a URL", format!("GET /call?sdp={}&id=%207 HTTP/1.1\r\n", percent(CLEAN, UNRESERVED)), vec![Percent]),
        ("JSON in a URL", format!("data={}", percent(&offer, UNRESERVED)), vec![Percent, closed]),
        ("JSON in a form", format!("data={}", form(&offer)), vec![Percent, closed]),
        (
            "base64 in a form",
            format!("x=%20&offer={}", percent(&object, "")).replace("ey", "%65y"),
            vec![Percent, Base64, closed],
        ),
        ("a form in base64", base64(format!("sdp={}", form(CLEAN)).as_bytes()), vec![Base64, Percent]),
        ("twice", percent(&percent(CLEAN, UNRESERVED), UNRESERVED), vec![Percent, Percent]),
        ("in JavaScript", format!("post({{sdp:'{}',id:7}});", percent(CLEAN, UNRESERVED)), vec![Percent]),
        ("encodeURI in JavaScript", format!("post('{}');", percent(CLEAN, URI)), vec![Percent]),
        ("in a string", format!("\"{}\"", percent(CLEAN, UNRESERVED)), vec![Percent]),
    ] {
        let found = extract(text.clone().into_bytes()).unwrap_or_else(|why| panic!("{name}: {why}: {text}"));
        assert_eq!(core::str::from_utf8(&found.text), Ok(CLEAN), "{name}: {text}");
        assert_eq!(found.steps, expected, "{name}: {text}");
    }
    // The quote is not part of a last line without an ending.
    for text in ["sdp='{}'", "sdp={}"] {
        let text = text.replace("{}", &percent(CLEAN.trim_end(), UNRESERVED));
        assert_eq!(steps(text.as_bytes()).0, CLEAN.trim_end(), "{text}");
    }
    assert_eq!(steps(plain.as_bytes()).1, ["decoded base64"]);
    assert_eq!(steps(percent(CLEAN, "").as_bytes()).1, ["decoded percent-encoding (URL)"]);
}

#[test]
fn damaged_base64_is_refused_with_its_place_and_different_descriptions_too() {
    let offer = json!({"type": "offer", "sdp": CLEAN}).to_string();
    let text = base64(CLEAN.as_bytes());
    let object = base64(offer.as_bytes());
    let full = text.trim_end_matches('=');
    let group = &full[..full.len() / 4 * 4];
    let lines = broken(&object, 76, "", "\n");
    let second = lines.find('\n').unwrap() + 1;
    let other = base64(CLEAN.replace("- 1 1", "- 2 1").as_bytes());
    let both = base64(json!([{"sdp": CLEAN}, {"sdp": CLEAN.replace("- 1 1", "- 2 1")}]).to_string().as_bytes());
    for (damaged, expected) in [
        (format!("{}!{}", &text[..40], &text[41..]), "1:41: damaged base64: '!' is no character of base64"),
        (format!("{}…", &object[..60]), "1:61: damaged base64: '…' is no character"),
        (format!("{}*{}", &lines[..second + 9], &lines[second + 10..]), "2:10: damaged base64: '*' is no"),
        (format!("{group}A"), &format!("1:{}: damaged base64: the last group of four", group.len() + 2)),
        (format!("offer: {}=", &group[..80]), "1:88: damaged base64: the number of = does not fit"),
        (format!("{text}\n{other}\n"), "2 different descriptions, at 1:1, 2:1"),
        (both, "decoded base64, and in the decoded text: 2 different descriptions, at 1:10, 1:"),
    ] {
        let why = extract(damaged.clone().into_bytes()).unwrap_err().to_string();
        assert!(why.starts_with(expected), "{why}: {damaged}");
    }
}

#[test]
fn the_depth_of_encodings_is_bounded_and_other_text_is_unchanged() {
    let mut text = CLEAN.to_owned();
    for _ in 0..DEEPEST {
        text = base64(text.as_bytes());
    }
    assert_eq!(steps(text.as_bytes()), (CLEAN.to_owned(), vec!["decoded base64".to_owned(); 4]));
    let deeper = base64(text.as_bytes());
    for text in [
        deeper.as_str(),
        "abcdefghijklmnopqrstuvwxyz0123456789",
        "%76%3D0",
        "100% of v=0 and %0D%0A",
        "https://example.org/a%20b?c=%2B",
        &base64(b"v=0 is no description"),
        &base64(&[0xff, 0xfe, 0x00, 0xd8, 0x00, 0x41, 0xff, 0xfe, 1, 2, 3, 4, 5, 6, 7, 8]),
        "sdp=%",
        "v=0%0D%0A",
        "================",
        "AAAAAAAAAAAAAAAAAAAAA",
    ] {
        assert_eq!(steps(text.as_bytes()), (text.to_owned(), vec![]), "{text:?}");
    }
}

/// Each prefix and each changed byte: no panic. Repeated parts of encodings: the time stays linear.
#[test]
fn no_encoded_text_panics_or_takes_long() {
    let offer = json!({"type": "offer", "sdp": CLEAN}).to_string();
    let forms = [
        broken(&base64(offer.as_bytes()), 76, "", "\n"),
        format!("a=%&sdp={}", percent(CLEAN, UNRESERVED)),
        percent(CLEAN, URI),
    ];
    for text in forms.map(String::into_bytes) {
        for at in 0..text.len() {
            let _ = extract(text[..at].to_vec());
            let mut bent = text.clone();
            bent[at] ^= 0x15;
            let _ = extract(bent);
        }
    }
    const SIZE: usize = 1 << 20;
    let line = "A".repeat(200);
    for part in [
        "%",
        "%25",
        "v=0%0D%0A",
        "A",
        "AAAAAAAAAAAAAAAA ",
        "AAAAAAAAAAAAAAAA\n",
        "AAAAAAAAAAAAAAAA\n> ",
        "dj0wDQo",
        &line,
        "a=%&",
    ] {
        for start in ["", "x\n", "v=0%0D%0A", "sdp=v%3D0%0D%0A"] {
            let text = format!("{start}{}", part.repeat(SIZE / part.len()));
            let _ = extract(text.into_bytes());
        }
    }
}
