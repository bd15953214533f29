//! Transmits and forwards.

use core::net::SocketAddr;
use portolan_machine::{Forward, SocketId, Transmit, WhenFull};

fn here() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], 9))
}

#[test]
fn a_forward_is_head_body_and_padding() {
    for (body, padding) in [(&b""[..], 0), (b"a", 3), (b"ab", 2), (b"abc", 1), (b"abcd", 0)] {
        let forward = Forward::new(SocketId(1), here(), body).with_head(b"head").unwrap().padded();
        assert_eq!(
            (forward.head(), forward.padding().len(), forward.len()),
            (&b"head"[..], padding, 4 + body.len() + padding)
        );
        let mut written = Vec::new();
        forward.write_to(&mut written);
        assert_eq!(written, [b"head", body, &vec![0; padding]].concat());
        assert_eq!(forward.to_transmit().payload, written);
    }
    assert!(Forward::new(SocketId(1), here(), b"").is_empty());
}

#[test]
fn a_head_is_at_most_48_bytes() {
    let forward = Forward::new(SocketId(1), here(), b"body");
    assert_eq!(forward.with_head(&[7; 48]).map(|forward| forward.len()), Some(52));
    assert_eq!(forward.with_head(&[7; 49]), None);
}

#[test]
fn the_transmit_of_a_forward_keeps_its_options() {
    let local = here().ip();
    let forward = Forward::new(SocketId(1), here(), b"x").with_local(local).with_when_full(WhenFull::Drop);
    let expected = Transmit::new(SocketId(1), here(), b"x".to_vec().into()).with_local(local);
    assert_eq!(forward.to_transmit(), expected.with_when_full(WhenFull::Drop));
}
