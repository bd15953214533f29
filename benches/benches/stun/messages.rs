//! What every codec gets to see: two messages and a thousand packets that are none.

use crate::codec::{Codec as _, Ours, Values, values};

/// The messages and packets of a run, the same in every run.
pub(crate) struct Messages {
    /// What both messages say.
    pub(crate) values: Values,
    /// A Binding success response: XOR-MAPPED-ADDRESS, SOFTWARE.
    pub(crate) response: Vec<u8>,
    /// A Binding request: USERNAME, PRIORITY, ICE-CONTROLLING, USE-CANDIDATE, MESSAGE-INTEGRITY, FINGERPRINT.
    pub(crate) check: Vec<u8>,
    /// What shares a socket with STUN and is none, in shuffled order.
    pub(crate) others: Vec<Vec<u8>>,
}

/// How many packets are to be refused.
pub(crate) const OTHERS: usize = 1024;

impl Messages {
    pub(crate) fn new() -> Self {
        let (mut response, mut check) = (Vec::new(), Vec::new());
        let (mut ours, values) = (Ours::new(), values());
        ours.encode_response(&values, |bytes| response.extend(bytes)).expect("room for a response");
        ours.encode_check(&values, |bytes| check.extend(bytes)).expect("room for a check");
        let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
        let others = (0..OTHERS).map(|_| dice.packet(&check)).collect();
        Self { values, response, check, others }
    }
}

/// Xorshift64*: the same packets in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from(self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33).unwrap_or_default() % bound
    }

    fn byte(&mut self, first: usize, count: usize) -> u8 {
        u8::try_from(first + self.below(count)).unwrap_or_default()
    }

    /// One packet: media, DTLS, a channel's, too short, or almost STUN. Which one is thrown anew each time, so that a branch
    /// predictor learns nothing.
    fn packet(&mut self, stun: &[u8]) -> Vec<u8> {
        let length = 24 + self.below(140);
        let mut bytes: Vec<u8> = (0..length).map(|_| self.byte(0, 256)).collect();
        match self.below(6) {
            // RTP, RTCP, DTLS, ChannelData.
            0 => bytes[0] = self.byte(0x80, 2),
            1 => (bytes[0], bytes[1]) = (0x80, self.byte(200, 4)),
            2 => bytes[0] = self.byte(20, 44),
            3 => bytes[0] = self.byte(64, 16),
            // A first byte as of STUN, without its cookie.
            4 => bytes[0] = self.byte(0, 4),
            // STUN but for one bit of the cookie; or cut off within the header.
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
