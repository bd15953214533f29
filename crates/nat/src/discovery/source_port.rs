//! The source ports of a discovery's sockets (RFC 5780 §4.1).
//!
//! Rules of this file: a NAT or firewall remembers the packets of earlier runs for some minutes. A filtering socket
//! must have a port from which no run has sent to the other address of a server. Otherwise the response from that
//! address passes, and the filter looks open. A random port alone makes this rare. So the filtering sockets have one
//! half of the dynamic ports, and all other sockets have the other half.

use portolan_machine::Cx;

/// The half of the dynamic ports (RFC 6335 §6) that a socket gets its port from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PortRange {
    /// 57344 to 65535: the sockets that send to one address of one server. Few systems choose these ports on their own.
    Filtering,
    /// 49152 to 57343: all other sockets.
    Other,
}

impl PortRange {
    const fn first(self) -> u16 {
        match self {
            Self::Other => 49_152,
            Self::Filtering => 49_152 + COUNT,
        }
    }

    /// A random port of the range.
    pub(super) fn choose(self, cx: &mut Cx<'_>) -> u16 {
        self.first() + u16::try_from(cx.random_below(COUNT.into())).unwrap_or(0)
    }
}

/// The number of ports in each range.
const COUNT: u16 = 8_192;

#[cfg(test)]
mod tests {
    use super::*;
    use portolan_machine::{Entropy, Instant, SocketIds};

    /// Returns the same four bytes for ever.
    struct Fixed([u8; 4]);

    impl Entropy for Fixed {
        fn fill(&mut self, out: &mut [u8]) {
            out.iter_mut().zip(self.0.into_iter().cycle()).for_each(|(byte, fixed)| *byte = fixed);
        }
    }

    #[test]
    fn each_random_number_gives_a_dynamic_port_of_the_range() {
        let mut ids = SocketIds::new();
        for random in (0..=u16::MAX).map(|high| (u32::from(high) << 16).to_be_bytes()) {
            let mut rng = Fixed(random);
            let mut cx = Cx::new(Instant::ORIGIN, &mut rng, &mut ids);
            assert!((57_344..=65_535).contains(&PortRange::Filtering.choose(&mut cx)));
            assert!((49_152..=57_343).contains(&PortRange::Other.choose(&mut cx)));
        }
    }
}
