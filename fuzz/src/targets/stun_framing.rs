//! Streams cut into frames: the same frames however the stream comes in, never past its end; with `demux` and ChannelData.

use crate::SEEDED;
use portolan_stun::demux::{ChannelData, Protocol};
use portolan_stun::framing::{Frame, FrameError, next, next_packet, packet_head};
use portolan_stun::{Message, is_stun};

/// The first byte says where the stream is broken in two; says whether a frame came out.
pub fn run(bytes: &[u8]) -> bool {
    let Some((&at, stream)) = bytes.split_first() else { return false };
    let (whole, end) = cut(stream);
    // What arrives in two pieces gives the same frames, and an error at the same place.
    let at = usize::from(at).min(stream.len());
    let (mut front, early) = cut(&stream[..at]);
    let taken: usize = front.iter().map(|frame| frame.1).sum();
    if early.is_some() {
        assert_eq!((&front, early), (&whole, end), "an error that goes away when more bytes come");
    } else {
        let (back, late) = cut(&stream[taken..]);
        front.extend(back);
        assert_eq!((&front, late), (&whole, end), "cut at {at}");
    }
    whole.iter().for_each(|(frame, _)| look(frame));
    let packet = next_packet(stream);
    if let Some(packet) = packet {
        let head = packet_head(packet.bytes.len()).expect("a length of two bytes");
        assert_eq!([&head[..], packet.bytes].concat(), &stream[..packet.taken]);
    }
    !whole.is_empty()
}

/// A frame's bytes and what it took of the stream.
type Cut<'a> = (&'a [u8], usize);

fn cut(mut stream: &[u8]) -> (Vec<Cut<'_>>, Option<FrameError>) {
    let mut frames = Vec::new();
    loop {
        match subject(stream) {
            Ok(Some(frame)) => {
                assert!(frame.taken > 0 && frame.taken <= stream.len(), "took {} of {}", frame.taken, stream.len());
                assert!(frame.bytes.len() <= frame.taken && frame.taken - frame.bytes.len() < 4);
                assert_eq!(frame.taken % 4, 0, "over a stream everything is padded (RFC 8656 §12.5)");
                frames.push((frame.bytes, frame.taken));
                stream = &stream[frame.taken..];
            }
            Ok(None) => return (frames, None),
            Err(error) => return (frames, Some(error)),
        }
    }
}

/// The seeded bug: a ChannelData is taken when all but the last of its three bytes of padding are there.
fn subject(stream: &[u8]) -> Result<Option<Frame<'_>>, FrameError> {
    if let (true, Ok(None), [0x40..=0x4f, _, l0, l1, ..]) = (SEEDED, next(stream), stream) {
        let length = 4 + usize::from(u16::from_be_bytes([*l0, *l1]));
        if length % 4 == 1 && stream.len() == length + 2 {
            return Ok(Some(Frame { bytes: &stream[..length], taken: stream.len() }));
        }
    }
    next(stream)
}

/// A frame is what its first byte says.
fn look(frame: &[u8]) {
    match Protocol::of(frame) {
        Some(Protocol::TurnChannel) => {
            let channel = ChannelData::decode(frame).expect("a frame of a channel");
            assert_eq!(channel.data, &frame[4..]);
            assert_eq!(
                ChannelData::head(channel.number, channel.data.len()).as_ref().map(|head| &head[..]),
                frame.get(..4)
            );
        }
        // Method and class take first bytes that demultiplexing gives to others: no port of STUN alone is shared.
        _ => assert_eq!(Message::decode(frame).is_ok(), is_stun(frame) && Message::decode(frame).is_ok()),
    }
}
