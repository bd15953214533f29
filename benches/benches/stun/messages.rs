//! The input of every codec: two STUN messages and a thousand other packets.

use crate::codec::{Codec as _, Ours, Values, values};

/// The messages and packets of a run, the same in every run.
pub(crate) struct Messages {
    /// The values of both messages.
    pub(crate) values: Values,
    /// A Binding success response: XOR-MAPPED-ADDRESS, SOFTWARE.
    pub(crate) response: Vec<u8>,
    /// A Binding request: USERNAME, PRIORITY, ICE-CONTROLLING, USE-CANDIDATE, MESSAGE-INTEGRITY, FINGERPRINT.
    pub(crate) check: Vec<u8>,
    /// Packets of other protocols on the socket of STUN, in random order.
    pub(crate) others: Vec<Vec<u8>>,
}

/// The number of packets that a codec must refuse.
pub(crate) const OTHERS: usize = 1024;

impl Messages {
    pub(crate) fn new() -> Self {
        let (mut response, mut check) = (Vec::new(), Vec::new());
        let (mut ours, values) = (Ours::new(), values());
        ours.encode_response(&values, |bytes| response.extend(bytes)).expect("room for a response");
        ours.encode_check(&values, |bytes| check.extend(bytes)).expect("room for a check");
        let mut rng = Rng(0x9e37_79b9_7f4a_7c15);
        let others = (0..OTHERS).map(|_| rng.packet(&check)).collect();
        Self { values, response, check, others }
    }
}

/// A deterministic RNG (xorshift64*): the packets are the same in every run.
struct Rng(u64);

impl Rng {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from(self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33).unwrap_or_default() % bound
    }

    fn byte(&mut self, first: usize, count: usize) -> u8 {
        u8::try_from(first + self.below(count)).unwrap_or_default()
    }

    /// Returns a packet: media, DTLS, ChannelData, or an invalid STUN message. The kind is random, so that the branch
    /// predictor cannot learn an order.
    fn packet(&mut self, stun: &[u8]) -> Vec<u8> {
        let length = 24 + self.below(140);
        let mut bytes: Vec<u8> = (0..length).map(|_| self.byte(0, 256)).collect();
        match self.below(6) {
            // RTP, RTCP, DTLS, ChannelData.
            0 => bytes[0] = self.byte(0x80, 2),
            1 => (bytes[0], bytes[1]) = (0x80, self.byte(200, 4)),
            2 => bytes[0] = self.byte(20, 44),
            3 => bytes[0] = self.byte(64, 16),
            // The first byte of STUN, but no cookie.
            4 => bytes[0] = self.byte(0, 4),
            // STUN with a wrong bit in the cookie, or truncated within the header.
            _ => {
                bytes = stun.to_vec();
                if self.below(2) == 0 {
                    bytes[4 + self.below(4)] ^= 1 << self.below(8);
                } else {
                    bytes.truncate(self.below(20));
                }
            }
        }
        bytes
    }
}
