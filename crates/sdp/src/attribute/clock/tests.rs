//! Tests with clocks of RFC 7273 and of professional media devices, and with invalid values.

use super::*;
use crate::value::tests::refused;
use alloc::string::ToString;

const EUI: Eui<8> = Eui([0x39, 0xa7, 0x94, 0xff, 0xfe, 0x07, 0xcb, 0xd0]);

fn ptp<'a>(version: &'a str, domain: Option<PtpDomain<'a>>) -> TsRefClk<'a> {
    TsRefClk::Ptp { version, grandmaster: Some(Grandmaster { identity: EUI, domain }) }
}

#[test]
fn a_grandmaster_has_a_version_and_an_optional_domain() {
    let read = |text: &'static str| TsRefClk::parse(text.as_bytes()).unwrap();
    let number = Some(PtpDomain::Number(37));
    assert_eq!(read("ptp=IEEE1588-2008:39-A7-94-FF-FE-07-CB-D0:37"), ptp("IEEE1588-2008", number));
    assert_eq!(read("ptp=IEEE1588-2008:39-a7-94-ff-fe-07-cb-d0:domain-nmbr=37"), ptp("IEEE1588-2008", number));
    assert_eq!(read("ptp=IEEE802.1AS-2011:39-A7-94-FF-FE-07-CB-D0"), ptp("IEEE802.1AS-2011", None));
    let name = Some(PtpDomain::Name("_DFLT"));
    assert_eq!(read("ptp=IEEE1588-2002:39-A7-94-FF-FE-07-CB-D0:domain-name=_DFLT"), ptp("IEEE1588-2002", name));
    assert_eq!(ptp("IEEE1588-2002", name).to_string(), "ptp=IEEE1588-2002:39-A7-94-FF-FE-07-CB-D0:_DFLT");
}

#[test]
fn other_clocks_round_trip_through_text() {
    for same in [
        "ntp=/traceable/",
        "ntp=203.0.113.10",
        "ntp=[2001:db8::1]:123",
        "ntp=time.example.org:123",
        "ptp=IEEE1588-2008:traceable",
        "gps",
        "gal",
        "glonass",
        "local",
        "private",
        "private:traceable",
        "localmac=7C-E9-D3-1B-9A-AF",
        "x-own=at home",
        "x-own",
    ] {
        let read = TsRefClk::parse(same.as_bytes()).unwrap();
        assert_eq!(read.to_string(), same);
    }
    assert_eq!(TsRefClk::parse(b"x=1"), Ok(TsRefClk::Other { name: "x", value: Some(b"1") }));
}

#[test]
fn an_invalid_reference_clock_is_refused_at_its_offset() {
    for (bad, at, expected) in [
        (&b""[..], 0, "a clock such as ptp="),
        (b"ntp", 3, "an equals sign"),
        (b"ntp=", 4, "a server or /traceable/"),
        (b"ntp=a:65536", 6, "a port, 0 to 65535"),
        (b"ntp=[::1", 8, "a closing bracket"),
        (b"ptp=IEEE1588-2008", 17, "a colon"),
        (b"ptp=IEEE1588-2008:39-A7-94-FF-FE", 32, "a hyphen"),
        (b"ptp=IEEE1588-2008:39-A7-94-FF-FE-07-CB-D", 39, "two hexadecimal digits"),
        (
            b"ptp=IEEE1588-2008:39-A7-94-FF-FE-07-CB-D0:",
            42,
            "a domain: a number up to 127, or a name of at most 16 characters",
        ),
        (
            b"ptp=IEEE1588-2008:39-A7-94-FF-FE-07-CB-D0:128",
            42,
            "a domain: a number up to 127, or a name of at most 16 characters",
        ),
        (b"ptp=IEEE1588-2008:39-A7-94-FF-FE-07-CB-D0:0 1", 43, "the end of the value"),
        (b"gps=1", 3, "no value"),
        (b"private:untraceable", 7, "the end of the value"),
        (b"localmac=7c-e9-d3-1b-9a", 23, "a hyphen"),
        (b"x=", 2, "a value"),
    ] {
        refused::<TsRefClk<'_>>(bad, at, expected);
    }
}

#[test]
fn each_form_of_a_media_clock_is_parsed() {
    let read = |text: &'static str| MediaClk::parse(text.as_bytes()).unwrap();
    let rate = Some(ClockRate { numerator: 1000, denominator: Some(1001) });
    assert_eq!(read("direct=963214424 rate=1000/1001").clock, MediaClock::Direct { offset: Some(963_214_424), rate });
    let rate = Some(ClockRate { numerator: 90_000, denominator: None });
    assert_eq!(read("direct=0 rate=90000").clock, MediaClock::Direct { offset: Some(0), rate });
    let follower = read("id=MDA6NjA6MmI6MjA6MTI6MWY= sender");
    assert_eq!(follower.id, Some(MediaClockId { is_source: false, tag: "MDA6NjA6MmI6MjA6MTI6MWY=" }));
    for same in [
        "sender",
        "direct",
        "direct rate=1/2",
        "id=src:MDA6 sender",
        "id=src:MDA6 IEEE1722=38-D6-6D-8E-D2-78-13-2F",
        "x-own=1 2",
        "x-own",
    ] {
        assert_eq!(read(same).to_string(), same);
    }
}

#[test]
fn an_invalid_media_clock_is_refused_at_its_offset() {
    for (bad, at, expected) in [
        (&b""[..], 0, "a clock: sender, direct or IEEE1722="),
        (b"id=MDA sender", 3, "the name of a clock in base 64"),
        (b"id=MDA6", 7, "a space"),
        (b"sender=1", 6, "no value"),
        (b"direct=", 7, "an offset in digits"),
        (b"direct=18446744073709551616", 7, "an offset in digits"),
        (b"direct=0 ", 9, "rate="),
        (b"direct=0 rate=0/1", 14, "a number above 0"),
        (b"direct=0 rate=1/0", 16, "a number above 0"),
        (b"IEEE1722", 8, "an equals sign"),
        (b"IEEE1722=38-D6", 14, "a hyphen"),
    ] {
        refused::<MediaClk<'_>>(bad, at, expected);
    }
}
