//! Local preferences of the addresses of a host (RFC 8445 §5.1.2.1, RFC 8421 §3, §4).
//!
//! Rules of this file: the functions are pure. The order of the addresses decides: reliable interfaces first, with IPv6
//! and IPv4 in turns, then the other interfaces in the same way (RFC 8421 §3, §4). Preferences are multiples of
//! [`STEP`] below 65535. The values between two of them are for the server-reflexive candidates of one address, whose
//! preferences must differ too.
//!
//! ```
//! use portolan_ice::preference::{Address, local_preferences};
//!
//! let address = |text: &str| Address { ip: text.parse().unwrap(), is_reliable: true };
//! let addresses = [address("192.0.2.7"), address("2001:db8::7")];
//! assert_eq!(local_preferences(&addresses), [65279, 65535], "IPv6 first");
//! ```

use alloc::vec::Vec;
use core::net::IpAddr;

/// An address of the host, for [`local_preferences`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    /// The address.
    pub ip: IpAddr,
    /// Whether its interface is believed to give stable connectivity. Without knowledge, all are (RFC 8421 §3).
    pub is_reliable: bool,
}

/// The difference of two neighboring preferences of [`local_preferences`].
pub const SPACING: u16 = 256;
/// The difference of two preferences that are assigned to different addresses, at least.
pub const STEP: u16 = 32;

/// Returns the order in which the addresses are preferred, as indices of `addresses`.
///
/// Within a family the given order is kept. A group of reliable addresses is followed by the group of the others. Each
/// group begins with Hi IPv6 addresses, then IPv4 and IPv6 addresses follow in turns, where Hi is (N4 + N6) / N4
/// (RFC 8421 §4). The turns are as long as the head start less one, so that the families end together.
#[must_use]
pub fn preferred_order(addresses: &[Address]) -> Vec<usize> {
    let of = |is_reliable: bool, is_ipv4: bool| {
        let indexed = addresses.iter().enumerate();
        let in_group =
            indexed.filter(move |(_, address)| address.is_reliable == is_reliable && address.ip.is_ipv4() == is_ipv4);
        in_group.map(|(index, _)| index).collect::<Vec<_>>()
    };
    let mut order = interleave(&of(true, true), &of(true, false));
    order.extend(interleave(&of(false, true), &of(false, false)));
    order
}

/// Returns a unique local preference for each address: 65535 for the first one in the
/// [preferred order](preferred_order), and [`SPACING`] less for each one after it.
///
/// With more than 256 addresses the spacing is [`STEP`]; addresses after the first 2048 get 0.
#[must_use]
pub fn local_preferences(addresses: &[Address]) -> Vec<u16> {
    let spacing = if addresses.len() > usize::from(u16::MAX / SPACING) { STEP } else { SPACING };
    let mut preferences = alloc::vec![0; addresses.len()];
    for (rank, index) in preferred_order(addresses).into_iter().enumerate() {
        let below = u16::try_from(rank).unwrap_or(u16::MAX).saturating_mul(spacing);
        if let Some(preference) = preferences.get_mut(index) {
            *preference = u16::MAX - below;
        }
    }
    preferences
}

/// Returns the preference nearest to `ideal` that is at least [`STEP`] away from each of `used`, and `ideal` if it is
/// free. Values below are tried first. For an address that appears later, while the others keep their preferences.
#[must_use]
pub fn free_preference(ideal: u16, used: &[u16]) -> u16 {
    let is_free = |value: &u16| used.iter().all(|used| used.abs_diff(*value) >= STEP);
    let below = (0..=ideal / STEP).map(|steps| ideal - steps * STEP).find(is_free);
    let above = || (1..=(u16::MAX - ideal) / STEP).map(|steps| ideal + steps * STEP).find(is_free);
    below.or_else(above).unwrap_or(0)
}

/// Puts the IPv4 addresses between the IPv6 addresses (RFC 8421 §4).
fn interleave(ipv4: &[usize], ipv6: &[usize]) -> Vec<usize> {
    let mut order = Vec::with_capacity(ipv4.len() + ipv6.len());
    // Without IPv4 addresses all others come in their order.
    let head_start = (ipv4.len() + ipv6.len()).checked_div(ipv4.len()).unwrap_or(ipv6.len());
    let head_start = if ipv6.is_empty() { 0 } else { head_start };
    let (head, rest) = ipv6.split_at(head_start.min(ipv6.len()));
    order.extend_from_slice(head);
    let turn = head_start.saturating_sub(1).max(1);
    let mut turns = rest.chunks(turn);
    for address in ipv4 {
        order.push(*address);
        order.extend_from_slice(turns.next().unwrap_or_default());
    }
    turns.for_each(|turn| order.extend_from_slice(turn));
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;
    use core::net::{Ipv4Addr, Ipv6Addr};

    fn addresses(families: &str) -> Vec<Address> {
        let address = |letter: char| Address {
            ip: match letter.to_ascii_lowercase() {
                '4' | 'v' => Ipv4Addr::new(192, 0, 2, 1).into(),
                _ => Ipv6Addr::LOCALHOST.into(),
            },
            is_reliable: letter.is_ascii_digit(),
        };
        families.chars().map(address).collect()
    }

    /// The families in the preferred order; an unreliable IPv4 address is `v`, an unreliable IPv6 address `x`.
    fn order(families: &str) -> String {
        let letters: Vec<char> = families.chars().collect();
        preferred_order(&addresses(families)).into_iter().map(|index| letters[index]).collect()
    }

    #[test]
    fn rfc8421_4_the_families_are_intermingled() {
        let cases = [
            ("", ""),
            ("4", "4"),
            ("444", "444"),
            ("66", "66"),
            ("46", "64"),
            ("4466", "6644"),
            ("444666", "664644"),
            // The example of RFC 8421 §4: one IPv4 address after four IPv6 addresses.
            ("44666666", "66664664"),
            ("46666", "66664"),
            ("44446", "64444"),
            ("4444666", "6464644"),
        ];
        for (families, expected) in cases {
            assert_eq!(order(families), expected, "{families}");
        }
    }

    #[test]
    fn rfc8421_3_unreliable_addresses_are_last_and_not_intermingled() {
        assert_eq!(order("vx46"), "64xv");
        assert_eq!(order("v4"), "4v");
    }

    #[test]
    fn rfc8445_5_1_2_1_a_single_address_has_65535() {
        assert_eq!(local_preferences(&addresses("4")), [65535]);
        assert_eq!(local_preferences(&addresses("6")), [65535]);
    }

    #[test]
    fn preferences_are_unique_for_up_to_2048_addresses() {
        for count in [1, 2, 255, 256, 257, 2048] {
            let mut found = local_preferences(&addresses(&"46".repeat(count)[..count]));
            found.sort_unstable();
            assert!(found.windows(2).all(|pair| pair[1] - pair[0] >= STEP), "{count}");
        }
    }

    #[test]
    fn an_address_that_appears_later_gets_a_free_preference_near_its_rank() {
        assert_eq!(free_preference(65535, &[]), 65535);
        assert_eq!(free_preference(65535, &[65535, 65279]), 65503);
        assert_eq!(free_preference(65279, &[65535, 65279, 65247]), 65215);
        assert_eq!(free_preference(10, &[20]), 74, "nothing is free below");
    }
}
