//! An answerer: reads an offer, shows what each media section offers, and writes the answer with the reasons.
//!
//! `cargo run -p portolan-sdp --example answerer` answers the offer of a browser that is part of this file;
//! `… --example answerer offer.sdp` answers the offer in a file.

use core::error::Error;
use portolan_sdp::offer_answer::{Capabilities, Codec, Media, Transport, answer, validate};
use portolan_sdp::value::Origin;
use portolan_sdp::{Reader, Section, TypedError, Value};

const OFFER: &str = "v=0
o=- 4611731400430051336 2 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0 1
a=setup:actpass
a=fingerprint:sha-256 0A:34:B1:6C:4A:1F:2D:5B:7C:99:8E:D4:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44
m=audio 9 UDP/TLS/RTP/SAVPF 111 0
c=IN IP4 0.0.0.0
a=mid:0
a=ice-ufrag:8hhY
a=ice-pwd:asd88fgpdd777uzjYhagZg
a=candidate:1 1 UDP 2130706431 192.0.2.1 49170 typ host
a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid
a=rtcp-mux
a=rtpmap:111 opus/48000/2
a=fmtp:111 minptime=10;useinbandfec=1
m=video 9 UDP/TLS/RTP/SAVPF 96 97
c=IN IP4 0.0.0.0
a=mid:1
a=ice-ufrag:8hhY
a=ice-pwd:asd88fgpdd777uzjYhagZg
a=recvonly
a=rtcp-mux
a=rtpmap:96 VP8/90000
a=rtcp-fb:96 nack pli
a=rtpmap:97 AV1/90000
";

/// The endpoint: the codecs in order of preference, and the transport with its credentials.
const OPUS: Codec<'_> = Codec::new("opus", 48_000).with_channels(2).with_parameters("useinbandfec=1");
const VP8: Codec<'_> = Codec::new("VP8", 90_000).with_feedback(&["nack", "nack pli"]);
const FINGERPRINT: &str = "sha-256 19:E2:1C:3B:4B:9F:81:E6:B8:5C:F4:A5:A8:D8:73:04:BB:05:2F:70:9F:04:A9:0E:05:E9:26:33:\
    E8:70:88:A2";

/// Prints the effective values of a media section, with those that it inherits from the session.
fn show(section: &Section<'_>) -> Result<(), TypedError> {
    let transport = section.transport()?;
    println!("section {}: {}", section.mid()?.unwrap_or("without a name"), section.direction()?);
    for codec in section.codecs()? {
        let codec = codec?;
        let name = codec.rtpmap.map_or("an unknown encoding", |map| map.encoding);
        let feedback: Vec<_> =
            section.feedback(codec.payload_type).map(|line| Ok(line?.to_string())).collect::<Result<_, _>>()?;
        println!("  payload type {}: {name} {feedback:?}", codec.payload_type);
    }
    for extension in section.extensions() {
        println!("  extension {}", extension?);
    }
    let user = transport.ice_credentials()?.map_or("none", |credentials| credentials.ufrag);
    println!(
        "  transport of section {}: ICE user {user}, {} candidates, setup {}, {} fingerprints, rtcp-mux {}",
        transport.mid()?.unwrap_or("without a name"),
        transport.candidates().filter(Result::is_ok).count(),
        transport.setup()?.map_or("none".into(), |setup| setup.to_string()),
        transport.fingerprints().filter(Result::is_ok).count(),
        transport.rtcp_mux()?,
    );
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let text = match std::env::args().nth(1) {
        Some(path) => std::fs::read(path)?,
        None => OFFER.replace('\n', "\r\n").into_bytes(),
    };
    let offer = Reader::lenient().read(&text)?;
    for deviation in &offer.diagnostics {
        println!("the offer deviates: {deviation}");
    }
    offer.session.all_media().try_for_each(|section| show(&section))?;

    // A real endpoint draws the ICE credentials from its RNG, and keeps the session id of `o=` for the whole session.
    let media = [Media::new("audio", &[OPUS]), Media::new("video", &[VP8])];
    let fingerprints = [FINGERPRINT];
    let transports = [Transport::trickled("6sFv", "cOTZKZNVlO9RSGsEGM63JXT2", &fingerprints)];
    let capabilities =
        Capabilities::webrtc(Origin::parse(b"- 6729291447651054566 1 IN IP4 0.0.0.0")?, &media, &transports);

    let made = answer(&offer.session, &capabilities)?;
    made.explanations.iter().for_each(|reason| println!("{reason}"));
    let findings = validate(&offer.session, &made.session);
    if let Some(finding) = findings.first() {
        return Err(finding.to_string().into());
    }
    println!("\n{}", made.session);
    Ok(())
}
