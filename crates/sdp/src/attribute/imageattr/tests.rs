//! Tests with the forms of RFC 6236, and with invalid values.

use super::*;
use crate::value::tests::refused;
use alloc::string::ToString;
use alloc::vec::Vec;

fn sets(images: Option<ImageList<'_>>) -> Vec<ImageSet<'_>> {
    match images {
        Some(ImageList::Sets(sets)) => sets.iter().collect(),
        other => panic!("expected sets, found {other:?}"),
    }
}

#[test]
fn an_image_attribute_has_sets_for_both_directions() {
    let text =
        b"97 send [x=[480:16:800],y=[100,200,300],par=[1.2-1.3],q=0.6] [x=1080,y=[144:176],sar=[0.5-0.7]] recv *";
    let read = ImageAttr::parse(text).unwrap();
    assert_eq!((read.payload_type, read.recv), (Some(97), Some(ImageList::Any)));
    let sets = sets(read.send);
    assert_eq!(sets.len(), 2);
    assert_eq!(sets[0].x, Sizes::Between { low: 480, step: Some(16), high: 800 });
    assert!(sets[0].x.contains(496) && !sets[0].x.contains(497) && !sets[0].x.contains(816));
    assert!(sets[0].y.contains(300) && !sets[0].y.contains(150));
    assert_eq!((sets[0].sar, sets[0].par, sets[0].q), (None, Some((Ratio(12_000), Ratio(13_000))), Some(60)));
    assert_eq!(sets[0].parameters(), "par=[1.2-1.3],q=0.6");
    assert_eq!((sets[1].x, sets[1].y), (Sizes::One(1080), Sizes::Between { low: 144, step: None, high: 176 }));
    assert!(sets[1].y.contains(145));
    assert_eq!(sets[1].sar, Some(Ratios::Between(Ratio(5_000), Ratio(7_000))));
    assert_eq!(ImageAttr::parse(read.to_string().as_bytes()), Ok(read));
}

#[test]
fn the_directions_have_any_order_and_one_is_optional() {
    let read =
        ImageAttr::parse(b"* recv [x=800,y=[50,80,30],sar=1.1]\tsend [x=330,y=250,sar=[1.1,1.3,1.9],q=0.1]").unwrap();
    assert_eq!(read.payload_type, None);
    let Some(Ratios::Among(list)) = sets(read.send)[0].sar else { panic!("a list") };
    assert_eq!(list.iter().collect::<Vec<_>>(), [Ratio(11_000), Ratio(13_000), Ratio(19_000)]);
    let Sizes::Among(list) = sets(read.recv)[0].y else { panic!("a list") };
    assert_eq!(list.iter().collect::<Vec<_>>(), [50, 80, 30]);
    assert_eq!(read.to_string(), "* send [x=330,y=250,sar=[1.1,1.3,1.9],q=0.1] recv [x=800,y=[50,80,30],sar=1.1]");
    assert_eq!(ImageAttr::parse(b"99 send [x=320,y=240]").unwrap().recv, None);
    assert_eq!(ImageAttr::parse(b"120 send * recv *").unwrap().send, Some(ImageList::Any));
}

#[test]
fn unknown_parameters_are_kept() {
    for good in [
        "97 recv [x=800,y=640,sar=1.1,foo=[123,456],q=0.5] send [x=330,y=250,bar=foo,sar=[20-40]]",
        "97 recv [x=800,y=640,sar=1.1,foo=abc xyz,q=0.5] send [x=330,y=250,bar=foo,sar=[20-40]]",
    ] {
        let read = ImageAttr::parse(good.as_bytes()).unwrap();
        assert_eq!(sets(read.recv)[0].q, Some(50));
        assert_eq!(sets(read.send)[0].sar, Some(Ratios::Between(Ratio(200_000), Ratio(400_000))));
        assert_eq!(ImageAttr::parse(read.to_string().as_bytes()), Ok(read));
    }
}

#[test]
fn a_ratio_is_written_with_its_digits() {
    for (ratio, text) in
        [(Ratio(11_000), "1.1"), (Ratio(200_000), "20.0"), (Ratio(10_001), "1.0001"), (Ratio(500), "0.05")]
    {
        assert_eq!(ratio.to_string(), text);
        assert_eq!(Ratio::read(text.as_bytes()), Ok((&b""[..], ratio)));
    }
}

#[test]
fn an_invalid_value_is_refused_at_its_offset() {
    for (bad, at, expected) in [
        (&b""[..], 0, "a payload type, 0 to 127, or *"),
        (b"128 send *", 0, "a payload type, 0 to 127, or *"),
        (b"flob", 0, "a payload type, 0 to 127, or *"),
        (b"100", 3, "a space"),
        (b"100 ", 4, "send or recv"),
        (b"120 send * recv * send *", 18, "send and recv once each"),
        (b"97 send [x=800,y=640,sar=1.1] send [x=330,y=250]", 30, "send and recv once each"),
        (b"99 send [x=320]", 14, ",y="),
        (b"99 recv [y=240]", 9, "x="),
        (b"99 send [x=320,y=240", 20, "a comma or a closing bracket"),
        (b"99 send x=320,y=240]", 8, "* or a set in brackets"),
        (b"99 send [x=0320,y=240]", 11, "a size in pixels, 1 to 999999"),
        (b"99 send [x=1000000,y=240]", 11, "a size in pixels, 1 to 999999"),
        (b"99 send [x=[3],y=240]", 13, "a colon or a comma"),
        (b"99 send [x=[320:160],y=240]", 16, "a size above the first"),
        (b"99 send [x=[320:16:320],y=240]", 19, "a size above the first"),
        (b"99 send [x=[320:16:640:,y=240]", 22, "a closing bracket"),
        (b"99 send [x=320,y=240,q=1.1]", 23, "a preference, 0.0 to 1.0"),
        (b"99 send [x=320,y=240,q=0.5,q=0.5]", 27, "a parameter that the set does not have yet"),
        (b"99 send [x=320,y=240,par=1.1]", 25, "an opening bracket"),
        (b"99 send [x=320,y=240,par=[1.3-1.2]]", 30, "a ratio above the first"),
        (b"99 send [x=320,y=240,sar=[1.3,1.3]]", 30, "a ratio above the one before"),
        (b"99 send [x=320,y=240,sar=[1.3]]", 29, "a hyphen or a comma"),
        (b"99 send [x=320,y=240,sar=1.12345]", 27, "one to four digits after the point"),
        (b"99 send [x=320,y=240,sar=0]", 25, "a ratio above 0, at most 9999.9999"),
        (b"99 send [x=320,y=240,foo]", 21, "a parameter such as q=0.5"),
        (b"99 send [x=320,y=240,foo=[1,2]", 30, "a comma or a closing bracket"),
        (b"99 send [x=320,y=240,foo=[1,2", 29, "a closing bracket"),
    ] {
        refused::<ImageAttr<'_>>(bad, at, expected);
    }
}
