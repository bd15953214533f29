//! Properties of every value: a written value is parsed as the same value, and no bytes cause a panic.

use core::fmt::{Debug, Display};
use portolan_sdp::attribute::{
    Cat, Charset, ConferenceType, ConnectionUse, Content, Control, Crypto, FrameRate, ImageAttr, Keywds, Label, Lang,
    MaxPTime, MediaClk, Orientation, PTime, Quality, Range, RtcpXr, SdpLang, SourceFilter, Tool, TsRefClk,
};
use portolan_sdp::value::{
    Bandwidth, Connection, Email, Information, Key, MediaLine, Origin, Phone, Repeat, SessionName, Timing, Uri, Zone,
};
use portolan_sdp::{Attribute, AttributeValue, Value};
use proptest::prelude::*;

/// Writes a value and checks that the text is parsed as the same value.
fn check_round_trip<T: PartialEq + Debug + Display>(
    value: &T,
    read: impl Fn(&[u8]) -> bool,
) -> Result<(), TestCaseError> {
    let written = value.to_string();
    prop_assert!(read(written.as_bytes()), "{value:?} was written as {written:?}");
    Ok(())
}

/// Generates a test for a type from a pattern of its values. Each value is parsed, written, and parsed as the same value.
/// A value with one changed byte is refused or also round-trips.
macro_rules! laws {
    ($($test:ident: $type:ty = $pattern:expr;)*) => {
        proptest! {
            $(
                #[test]
                fn $test(text in $pattern, at in any::<prop::sample::Index>(), byte in any::<u8>()) {
                    let value = <$type>::parse(text.as_bytes());
                    prop_assert!(value.is_ok(), "{text:?}: {value:?}");
                    let value = value.unwrap();
                    check_round_trip(&value, |written| <$type>::parse(written) == Ok(value))?;
                    let mut changed = text.clone().into_bytes();
                    let at = at.index(changed.len());
                    changed[at] = byte;
                    match <$type>::parse(&changed) {
                        // `Display` cannot write bytes that are not UTF-8.
                        Ok(value) if changed.is_ascii() => {
                            check_round_trip(&value, |written| <$type>::parse(written) == Ok(value))?;
                        }
                        Ok(_) => {}
                        Err(error) => {
                            prop_assert!(error.at <= changed.len());
                            prop_assert_eq!(error.found, changed.get(error.at).copied());
                            prop_assert!(!error.expected.is_empty());
                        }
                    }
                }
            )*
        }
    };
}

/// Generates the same tests, and a test that parses each type by its name as [`Attribute`].
macro_rules! attributes {
    ($($test:ident: $type:ty = $pattern:expr;)*) => {
        laws! { $($test: $type = $pattern;)* }

        /// Every attribute also has the RFC section of its type.
        #[test]
        fn attributes_are_found_by_their_names() {
            let mut runner = proptest::test_runner::TestRunner::deterministic();
            $(
                let text = $pattern.new_tree(&mut runner).unwrap().current();
                let name = <$type as AttributeValue<'_>>::NAME;
                let attribute = Attribute::parse(name.as_bytes(), Some(text.as_bytes())).unwrap();
                assert_eq!(attribute.clause(), Some(<$type as Value<'_>>::CLAUSE), "{name}");
                assert_eq!(attribute.to_string(), format!("{name}:{}", <$type>::parse(text.as_bytes()).unwrap()));
                assert!(Attribute::parse(name.as_bytes(), Some(b"\x00")).is_err(), "{name}");
            )*
        }
    };
}

use proptest::strategy::ValueTree as _;

const IP4: &str = "(25[0-5]|1[0-9]{2}|[1-9]?[0-9])(\\.(25[0-5]|1[0-9]{2}|[1-9]?[0-9])){3}";

fn ip4() -> impl Strategy<Value = String> {
    IP4
}

fn filter() -> impl Strategy<Value = String> {
    let source = prop_oneof![ip4(), "[a-z]{2,8}\\.example"];
    ("( )?(incl|excl)", prop_oneof![ip4(), Just("*".to_owned())], prop::collection::vec(source, 1..4))
        .prop_map(|(mode, destination, sources)| format!("{mode} IN IP4 {destination} {}", sources.join(" ")))
}

laws! {
    origin: Origin<'_> = "[!-~]{1,9} [0-9]{1,20} [0-9]{1,20} IN (IP4 192\\.0\\.2\\.1|IP6 2001:db8::1|IP4 [a-z]{4,9})";
    session_name: SessionName<'_> = "[ -~\u{a0}-\u{ffff}]{1,40}";
    information: Information<'_> = "[\t -~]{1,40}";
    uri: Uri<'_> = "[a-z]{1,5}:(//[a-z.:]{1,9})?(/[a-zA-Z0-9._~!$&'()*+,;=@-]|%[0-9a-fA-F]{2}){0,8}(\\?[a-z=&]{0,9})?";
    email: Email<'_> = "[a-z+]{1,8}(\\.[a-z]{1,5})?@[a-z]{1,8}\\.org( {1,2}\\([A-Za-z :@]{1,9}\\))?|[A-Z][A-Za-z ]{0,9} <[a-z]@[a-z]{1,5}>|NONE";
    phone: Phone<'_> = "\\+?[0-9][0-9 -]{1,12}[0-9]( ?\\([A-Za-z ]{1,9}\\))?|[A-Z][A-Za-z ]{0,9}<\\+[0-9]{2,9}>";
    connection: Connection<'_> = "IN (IP4 (10\\.0\\.0\\.[1-9]|224\\.2\\.1\\.1/(127|0)(/[1-9])?)|IP6 ff15::101(/3)?)";
    bandwidth: Bandwidth<'_> = "(CT|AS|TIAS|RS|RR|X-[A-Z]{1,5}):[0-9]{1,19}";
    timing: Timing = "(0|[1-9][0-9]{9,18}) (0|[1-9][0-9]{9,18})";
    repeat: Repeat<'_> = "[1-9][0-9]{0,6}[dhms]? [0-9]{1,6}[dhms]?( [0-9]{1,6}[dhms]?){1,4}";
    zone: Zone<'_> = "[1-9][0-9]{9,18} -?[0-9]{1,6}[dhms]?( [1-9][0-9]{9,11} -?[0-9]{1,6}[dhms]?){0,3}";
    key: Key<'_> = "prompt|clear:[ -~]{1,20}|base64:([a-zA-Z0-9+/]{4}){0,5}[a-zA-Z0-9+/]{2}(==|[a-z]=)|uri:[a-z]{1,5}:[a-z/]{0,9}";
    media: MediaLine<'_> = "(audio|video|[a-z]{1,9}) [0-9]{1,4}(/[1-9])? [A-Z]{3}(/[A-Z]{3,5}){0,2}( [0-9]{1,3}){1,5}";
}

attributes! {
    cat: Cat<'_> = "[!-~]{1,20}";
    keywds: Keywds<'_> = "[ -~]{1,20}";
    tool: Tool<'_> = "[ -~\u{a0}-\u{2ff}]{1,20}";
    conference_type: ConferenceType = "broadcast|meeting|moderated|test|H332";
    orientation: Orientation = "portrait|landscape|seascape";
    connection_use: ConnectionUse = "new|existing";
    charset: Charset<'_> = "[A-Za-z0-9:_-]{1,20}";
    sdp_lang: SdpLang<'_> = "[a-z]{2,3}(-[A-Z][a-z]{3})?(-[A-Z]{2})?";
    lang: Lang<'_> = "[a-z]{2,8}(-[A-Za-z0-9]{1,8}){0,3}";
    packet_time: PTime<'_> = "[1-9][0-9]{0,3}(\\.[0-9]{1,6})?";
    most_packet_time: MaxPTime<'_> = "[0-9]{0,3}[1-9]|0\\.0[1-9]";
    frame_rate: FrameRate<'_> = "[1-9][0-9]{0,8}(\\.[0-9]{1,12})?";
    quality: Quality = "0|[1-9][0-9]{0,8}";
    label: Label<'_> = "[a-zA-Z0-9._-]{1,20}";
    content: Content<'_> = "(slides|speaker|sl|main|alt|x-[a-z]{1,9})(,(slides|speaker|sl|main|alt)){0,4}";
    image_attr: ImageAttr<'_> = "(\\*|[1-9][0-9]?)[ \t]{1,2}(send \\*|recv (\\[x=([1-9][0-9]{0,5}|\\[1?[1-9]:(2:)?[2-9][0-9]\\]),y=([1-9][0-9]{1,5}|\\[[1-9],[1-9]\\])(,sar=(1\\.[1-9]|\\[1\\.0,1\\.[1-9]{2}\\]|\\[0\\.[1-9]-[1-9]\\.[0-9]{1,4}\\]))?(,par=\\[1\\.[0-9]-2\\.[0-9]\\])?(,q=(0\\.[0-9]{1,2}|1\\.00?))?(,x-[a-z]=[a-z]{1,4})?\\] ){0,2}\\[x=1,y=1\\]( send \\*)?)";
    crypto: Crypto<'_> = "[0-9]{1,9}[ \t]{1,2}[A-Z0-9_]{1,25} (inline:[a-zA-Z0-9+/]{1,40}={0,2}(\\|2\\^[1-9][0-9]|\\|[1-9][0-9]{1,9})?(\\|[0-9]{1,20}:[1-9][0-9]?)?;){0,2}(inline:[a-zA-Z0-9+/]{4}|x:[!-:<-~]{1,9})( KDR=(2[0-4]|1?[0-9])| {1,3}UNENCRYPTED_SRTC?P| WSH=[1-9][0-9]{2}| FEC_KEY=inline:AA==| -?[a-z]{1,5}| FEC_ORDER=(FEC_SRTP|SRTP_FEC)){0,4}";
    rtcp_xr: RtcpXr<'_> = "rcvr-rtt=(all|sender)(:[0-9]{1,6})?( pkt-(loss-rle|dup-rle|rcpt-times)(=[0-9]{1,6})?| stat-summary(=(loss|dup|jitt|TTL)(,HL)?)?| voip-metrics| x-[a-z=]{1,9}){0,4}";
    source_filter: SourceFilter<'_> = filter();
    control: Control<'_> = "\\*|[!-~]{1,40}";
    range: Range<'_> = "npt=(now|[0-9]{1,9}(\\.[0-9]{0,4})?|[0-9]{1,5}:[0-5]?[0-9]:[0-5]?[0-9](\\.[0-9]{1,9})?)-( {0,2}[1-9]{1,9})?|smpte(-25|-30-drop)?=([0-9]{1,2}:[0-5]?[0-9]:[0-5]?[0-9](:[0-9]{1,2}(\\.[0-9]{1,2})?)?)?-[0-9]{2}:[0-5][0-9]:[0-5][0-9]|clock=[0-9]{4}(0[1-9]|1[0-2])[0-2][1-9]T[01][0-9]([0-5][0-9]){2}(\\.[0-9]{1,9})?Z-|x-[a-z]{1,5}=[!-~]{1,9}";
    ts_ref_clk: TsRefClk<'_> = "ntp=(/traceable/|[a-z.]{1,9}(:[1-9][0-9]{0,3})?|\\[2001:db8::[0-9]{1,4}\\])|ptp=IEEE1588-20(02|08):(traceable|[0-9a-fA-F]{2}(-[0-9A-F]{2}){7}(:(domain-nmbr=)?[1-9]?[0-9]|:(domain-name=)?[A-Z_]{1,16})?)|gps|gal|glonass|local|private(:traceable)?|localmac=[0-9a-f]{2}(-[0-9a-f]{2}){5}|x-[a-z]{1,5}(=[ -~]{1,9})?";
    media_clk: MediaClk<'_> = "(id=(src:)?([a-zA-Z0-9]{4}){1,4} )?(sender|direct(=[0-9]{1,10})?( rate=[1-9][0-9]{0,5}(/[1-9][0-9]{0,5})?)?|IEEE1722=[0-9A-F]{2}(-[0-9A-F]{2}){7}|x-[a-z]{1,5}(=[ -~]{1,9})?)";
}
