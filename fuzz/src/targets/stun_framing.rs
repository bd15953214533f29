//! Splits a stream into frames: the same frames for one chunk and for two chunks, and no frame beyond the end. Checks
//! the frames with `demux` and ChannelData.

use crate::SEEDED;
use portolan_stun::demux::{ChannelData, Protocol};
use portolan_stun::framing::{Frame, FrameError, next, next_packet, packet_head};
use portolan_stun::{Message, is_stun};

/// Splits a stream into frames; the first byte is the length of the first chunk. Returns whether there is a frame.
pub fn run(bytes: &[u8]) -> bool {
    let Some((&at, stream)) = bytes.split_first() else { return false };
    let (whole, end) = frames(stream);
    // A stream in two chunks has the same frames, and an error at the same place.
    let at = usize::from(at).min(stream.len());
    let (mut front, early) = frames(&stream[..at]);
    let taken: usize = front.iter().map(|frame| frame.1).sum();
    if early.is_some() {
        assert_eq!((&front, early), (&whole, end), "the error disappears when more bytes arrive");
    } else {
        let (back, late) = frames(&stream[taken..]);
        front.extend(back);
        assert_eq!((&front, late), (&whole, end), "split at {at}");
    }
    whole.iter().for_each(|(frame, _)| check_frame(frame));
    let packet = next_packet(stream);
    if let Some(packet) = packet {
        let head = packet_head(packet.bytes.len()).expect("a length of two bytes");
        assert_eq!([&head[..], packet.bytes].concat(), &stream[..packet.taken]);
    }
    !whole.is_empty()
}

/// The bytes of a frame, and their number with padding.
type SizedFrame<'a> = (&'a [u8], usize);

fn frames(mut stream: &[u8]) -> (Vec<SizedFrame<'_>>, Option<FrameError>) {
    let mut frames = Vec::new();
    loop {
        match subject(stream) {
            Ok(Some(frame)) => {
                assert!(frame.taken > 0 && frame.taken <= stream.len(), "took {} of {}", frame.taken, stream.len());
                assert!(frame.bytes.len() <= frame.taken && frame.taken - frame.bytes.len() < 4);
                assert_eq!(frame.taken % 4, 0, "each frame of a stream is padded (RFC 8656 §12.5)");
                frames.push((frame.bytes, frame.taken));
                stream = &stream[frame.taken..];
            }
            Ok(None) => return (frames, None),
            Err(error) => return (frames, Some(error)),
        }
    }
}

/// The seeded bug: a ChannelData is a complete frame when only the last of its three bytes of padding is missing.
fn subject(stream: &[u8]) -> Result<Option<Frame<'_>>, FrameError> {
    if let (true, Ok(None), [0x40..=0x4f, _, l0, l1, ..]) = (SEEDED, next(stream), stream) {
        let length = 4 + usize::from(u16::from_be_bytes([*l0, *l1]));
        if length % 4 == 1 && stream.len() == length + 2 {
            return Ok(Some(Frame { bytes: &stream[..length], taken: stream.len() }));
        }
    }
    next(stream)
}

/// Checks that a frame is of the protocol of its first byte.
fn check_frame(frame: &[u8]) {
    match Protocol::of(frame) {
        Some(Protocol::TurnChannel) => {
            let channel = ChannelData::decode(frame).expect("a frame of a channel");
            assert_eq!(channel.data, &frame[4..]);
            assert_eq!(
                ChannelData::head(channel.number, channel.data.len()).as_ref().map(|head| &head[..]),
                frame.get(..4)
            );
        }
        // The first byte of a STUN message on a port that is not shared can be that of another protocol (RFC 7983).
        _ => assert_eq!(Message::decode(frame).is_ok(), is_stun(frame) && Message::decode(frame).is_ok()),
    }
}
