//! Tests of framing: a stream that arrives in pieces gives the original messages.

use portolan_stun::{
    Attribute, Class, Method, Writer,
    demux::ChannelData,
    framing::{Frame, FrameError, length, next, next_packet, packet_head},
};
use proptest::{collection::vec, prelude::*};

/// Returns a STUN message (`None`) or ChannelData with this channel number, with `data` as content.
fn message(channel: Option<u16>, data: &[u8]) -> Vec<u8> {
    if let Some(number) = channel {
        return [&ChannelData::head(number, data.len()).unwrap()[..], data].concat();
    }
    let mut buffer = vec![0; data.len() + 27];
    let mut writer = Writer::new(&mut buffer, Class::Indication, Method::DATA, [9; 12].into()).unwrap();
    writer.add(&Attribute::Data(data)).unwrap();
    writer.finish().to_vec()
}

fn messages() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let channel = proptest::option::of(0x4000..0x5000_u16);
    vec((channel, vec(any::<u8>(), 0..40)).prop_map(|(channel, data)| message(channel, &data)), 0..8)
}

/// Passes the stream in pieces to `next`. Returns the frames and the number of bytes that are left.
fn split_frames(stream: &[u8], pieces: &[usize], next: impl Fn(&[u8]) -> Option<Frame<'_>>) -> (Vec<Vec<u8>>, usize) {
    let (mut buffer, mut frames) = (Vec::new(), Vec::new());
    let mut rest = stream;
    let mut pieces = pieces.iter().copied().cycle();
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(pieces.next().unwrap_or(1).min(rest.len()));
        buffer.extend_from_slice(piece);
        rest = after;
        while let Some(frame) = next(&buffer) {
            frames.push(frame.bytes.to_vec());
            let taken = frame.taken;
            buffer.drain(..taken);
        }
    }
    (frames, buffer.len())
}

proptest! {
    #[test]
    fn a_stream_in_pieces_gives_the_messages_in_order(messages in messages(), pieces in vec(1..50_usize, 1..9)) {
        let mut stream = Vec::new();
        for message in &messages {
            stream.extend_from_slice(message);
            stream.resize(stream.len().next_multiple_of(4), 0xee);
        }
        let (frames, left) = split_frames(&stream, &pieces, |bytes| next(bytes).unwrap());
        prop_assert_eq!((frames, left), (messages, 0));
    }

    #[test]
    fn length_prefixed_packets_in_pieces_are_returned_in_order(packets in vec(vec(any::<u8>(), 0..40), 0..8), pieces in vec(1..50_usize, 1..9)) {
        let mut stream = Vec::new();
        for packet in &packets {
            stream.extend_from_slice(&packet_head(packet.len()).unwrap());
            stream.extend_from_slice(packet);
        }
        let (frames, left) = split_frames(&stream, &pieces, next_packet);
        prop_assert_eq!((frames, left), (packets, 0));
    }

    /// A frame lies inside the stream, is not empty, and does not change when more bytes arrive.
    #[test]
    fn no_stream_panics_and_frames_are_stable(stream in vec(any::<u8>(), 0..100), more in vec(any::<u8>(), 0..9)) {
        let longer = [&stream[..], &more].concat();
        match next(&stream) {
            Ok(Some(frame)) => {
                prop_assert_eq!(length(&stream), Ok(Some(frame.bytes.len())));
                prop_assert!(frame.bytes.len() <= frame.taken && (4..=stream.len()).contains(&frame.taken));
                prop_assert_eq!(next(&longer), Ok(Some(frame)));
            }
            // The length of a partial message is the length of the later frame, unless the message is invalid.
            Ok(None) => {
                prop_assert!(stream.len() >= 4 || length(&stream) == Ok(None));
                if let (Ok(Some(length)), Ok(Some(frame))) = (length(&stream), next(&longer)) {
                    prop_assert_eq!(frame.bytes.len(), length);
                }
            }
            Err(error) => {
                prop_assert_eq!(next(&longer), Err(error));
                prop_assert_eq!(length(&stream), Err(error));
            }
        }
        if let Some(frame) = next_packet(&stream) {
            prop_assert_eq!(next_packet(&longer), Some(frame));
        }
    }
}

#[test]
fn an_unsynchronised_stream_is_reported_at_once() {
    assert_eq!(next(&[0x80]), Err(FrameError::FirstByte { found: 0x80 }));
    assert_eq!(next(&[0xff, 1, 2, 3]), Err(FrameError::FirstByte { found: 0xff }));
    assert_eq!(next(&[0x50, 0, 0, 0]), Err(FrameError::ChannelNumber { found: 0x5000 }));
    assert_eq!(next(&[0, 1, 0, 2]), Err(FrameError::LengthUnaligned { found: 2 }));
    assert_eq!(next(&[0, 1, 0xff, 0xfc]), Ok(None));
    assert_eq!(length(&[0, 1, 0xff, 0xfc]), Ok(Some(65_552)));
    assert_eq!(next(&[0, 1, 0xff, 0xfc, 1, 2, 3, 4]), Err(FrameError::Cookie { found: 0x0102_0304 }));
    assert_eq!(next(b"POST / HTTP/1.1\r\n"), Err(FrameError::ChannelNumber { found: 0x504f }));
    assert_eq!(next(&[]), Ok(None));
    assert_eq!(packet_head(65_536), None);
}
