//! Tests with ranges of cameras and of the RFCs, and with invalid values.

use super::*;
use crate::value::tests::refused;
use alloc::string::ToString;

fn written(text: &str) -> alloc::string::String {
    Range::parse(text.as_bytes()).unwrap().to_string()
}

#[test]
fn each_form_of_normal_play_time_is_converted_to_seconds() {
    let from = |text: &'static str| match Range::parse(text.as_bytes()) {
        Ok(Range::Npt { from: Some(from), .. }) => from.since_start(),
        other => panic!("{other:?}"),
    };
    assert_eq!(from("npt=0-"), Some(Duration::ZERO));
    assert_eq!(from("npt=now-"), None);
    assert_eq!(from("npt=12:05:35.3-"), Some(Duration::from_millis(43_535_300)));
    assert_eq!(from("npt=123.45-125"), Some(Duration::from_millis(123_450)));
    assert_eq!(written("npt=1:2:3-2:0:00"), "npt=3723-7200");
    assert_eq!(written("npt=-5."), "npt=-5");
    assert_eq!(written("npt=0-  596.48"), "npt=0-596.48");
}

#[test]
fn ranges_of_frames_and_of_clocks_are_parsed() {
    for same in [
        "smpte=10:12:33:20-",
        "smpte-25=10:07:00-10:07:33:05.01",
        "smpte-30-drop=-01:02:03",
        "clock=19961108T143720.25Z-",
        "clock=19961108T142300Z-19961108T143520Z",
        "bytes=0-99",
    ] {
        assert_eq!(written(same), same);
    }
    let Ok(Range::Clock { from: Some(from), to: None }) = Range::parse(b"clock=19961108T143720.25Z-") else {
        panic!("a clock")
    };
    assert_eq!((from.year, from.month, from.day, from.hour, from.minute, from.second), (1996, 11, 8, 14, 37, 20));
    let Ok(Range::Smpte { kind: SmpteKind::Smpte25, from: None, to: Some(to) }) = Range::parse(b"smpte-25=-1:2:3:4.5")
    else {
        panic!("frames")
    };
    assert_eq!((to.hours, to.frames, to.subframes), (1, Some(4), Some(5)));
}

#[test]
fn an_invalid_value_is_refused_at_its_offset() {
    for (bad, at, expected) in [
        (&b""[..], 0, "a unit: npt, smpte or clock"),
        (b"npt", 3, "an equals sign"),
        (b"npt=", 4, "now, seconds, or hours:minutes:seconds"),
        (b"npt=-", 5, "the end of the range"),
        (b"npt=0", 5, "a hyphen"),
        (b"npt=0-x", 6, "now, seconds, or hours:minutes:seconds"),
        (b"npt=1:60:00-", 6, "minutes, 0 to 59"),
        (b"npt=1:00-", 8, "a colon"),
        (b"npt=1:00:60-", 9, "seconds, 0 to 59"),
        (b"npt=18446744073709551615:00:00-", 4, "hours that fit into 64 bits of seconds"),
        (b"smpte=1:2-", 9, "a colon"),
        (b"smpte=001:02:03-", 6, "hours:minutes:seconds"),
        (b"smpte=1:2:3:100-", 12, "frames, 0 to 99"),
        (b"clock=19961308T142300Z-", 10, "a month, 01 to 12"),
        (b"clock=19961108 142300Z-", 14, "T"),
        (b"clock=19961108T142300-", 21, "Z"),
        (b"clock=1996110", 12, "a day, 01 to 31"),
        (b"x=", 2, "a range"),
    ] {
        refused::<Range<'_>>(bad, at, expected);
    }
}
