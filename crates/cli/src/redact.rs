//! `--redact`: a report without addresses, for publication.
//!
//! Every IP address is replaced, those of the servers too, because a private server identifies its owner. The
//! replacement is an address of the documentation ranges (RFC 5737, RFC 3849). Equal addresses get equal
//! replacements, so equal addresses can still be recognised. Port numbers stay: they show the port allocation of a
//! NAT, and identify no person. Servers that the user chose become `server-1.example` and so on; the names of the
//! built-in list are public and stay. Every word that parses as an address is replaced, in all sentences.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Replaces addresses and names, equal ones by equal ones.
#[derive(Debug, Default)]
pub(crate) struct Redactor {
    v4: Vec<Ipv4Addr>,
    v6: Vec<Ipv6Addr>,
    names: Vec<(Box<str>, Box<str>)>,
}

/// The documentation blocks of RFC 5737 §3.
const BLOCKS: [[u8; 3]; 3] = [[192, 0, 2], [198, 51, 100], [203, 0, 113]];

/// The number of addresses used of each block: .1 to .254.
const A_BLOCK: usize = 254;

impl Redactor {
    /// Returns a redactor that also replaces these names, with or without a port.
    pub(crate) fn hiding<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        let hidden = names.zip(1..).map(|(name, number)| {
            let (host, port) = name.rsplit_once(':').unwrap_or((name, ""));
            let colon = if port.is_empty() { "" } else { ":" };
            (name.into(), format!("server-{number}.example{colon}{port}").into(), host.into(), number)
        });
        let mut names: Vec<(Box<str>, Box<str>)> = Vec::new();
        for (whole, replaced, host, number) in hidden {
            let host: Box<str> = host;
            // A host that is an address is replaced as an address.
            if !host.starts_with('[') && host.parse::<IpAddr>().is_err() {
                names.push((whole, replaced));
                names.push((host, format!("server-{number}.example").into()));
            }
        }
        // The longest name first: a name can be a prefix of another.
        names.sort_by_key(|(name, _)| core::cmp::Reverse(name.len()));
        Self { names, ..Self::default() }
    }

    /// Returns the replacement of an address. An unspecified address contains no information and stays.
    pub(crate) fn address(&mut self, address: IpAddr) -> IpAddr {
        match address {
            _ if address.is_unspecified() => address,
            IpAddr::V4(v4) => {
                let place = place_of(&mut self.v4, v4);
                let last = usize::from(u8::MAX);
                // After 762 addresses all others share one replacement. They look equal, but no address is revealed.
                let block = BLOCKS.get(place / A_BLOCK).copied();
                let ([a, b, c], host) = block.map_or(([203, 0, 113], last), |block| (block, place % A_BLOCK + 1));
                Ipv4Addr::new(a, b, c, u8::try_from(host).unwrap_or(u8::MAX)).into()
            }
            IpAddr::V6(v6) => {
                let place = u16::try_from(place_of(&mut self.v6, v6) + 1).unwrap_or(u16::MAX);
                Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, place).into()
            }
        }
    }

    /// Returns the text with every address and every hidden name replaced.
    pub(crate) fn text(&mut self, text: &str) -> String {
        let mut named = text.to_owned();
        for (name, replaced) in &self.names {
            named = replace_words(&named, name, replaced);
        }
        let mut out = String::with_capacity(named.len());
        let mut rest = named.as_str();
        while let Some(start) = rest.find(is_of_address) {
            let (before, from) = rest.split_at(start);
            let (token, after) = from.split_at(from.find(|c| !is_of_address(c)).unwrap_or(from.len()));
            out.push_str(before);
            self.token(token, &mut out);
            rest = after;
        }
        out.push_str(rest);
        out
    }

    /// Replaces an address in a run of address characters. A dot or colon at the end belongs to the sentence.
    fn token(&mut self, token: &str, out: &mut String) {
        let core = token.trim_end_matches(['.', ':', '%']);
        let (core, tail) = if core.parse::<IpAddr>().is_err() && token.ends_with("::") {
            (token, "")
        } else {
            token.split_at(core.len())
        };
        let core = if let Ok(mut address) = core.parse::<SocketAddr>() {
            address.set_ip(self.address(address.ip()));
            address.to_string()
        } else if let Ok(address) = core.parse::<IpAddr>() {
            self.address(address).to_string()
        } else if let Some(address) = core.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')?.parse().ok()) {
            format!("[{}]", self.address(IpAddr::V6(address)))
        } else {
            core.to_owned()
        };
        out.push_str(&core);
        out.push_str(tail);
    }
}

fn place_of<T: PartialEq + Copy>(known: &mut Vec<T>, one: T) -> usize {
    known.iter().position(|other| *other == one).unwrap_or_else(|| {
        known.push(one);
        known.len() - 1
    })
}

const fn is_of_address(c: char) -> bool {
    c.is_ascii_hexdigit() || matches!(c, ':' | '.' | '[' | ']' | '%')
}

/// Replaces `name` unless it is part of a longer name.
fn replace_words(text: &str, name: &str, replaced: &str) -> String {
    let of_name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut last = None;
    while let Some(at) = rest.find(name) {
        let (before, from) = rest.split_at(at);
        let after = from.get(name.len()..).unwrap_or("");
        out.push_str(before);
        let joined = before.chars().next_back().or(last).is_some_and(|c| of_name(c) || c == '.');
        let goes_on = after.chars().next().is_some_and(of_name);
        out.push_str(if joined || goes_on { name } else { replaced });
        last = name.chars().next_back();
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_replaced_in_every_sentence() {
        let mut redactor = Redactor::default();
        for (text, expected) in [
            ("84.19.3.7:3478 saw 91.4.5.6:40000", "192.0.2.1:3478 saw 192.0.2.2:40000"),
            ("it is 91.4.5.6.", "it is 192.0.2.2."),
            ("91.4.5.6: never answered", "192.0.2.2: never answered"),
            ("[2a02:8109::7]:5 and 2a02:8109::7, [2a02:8109::7]", "[2001:db8::1]:5 and 2001:db8::1, [2001:db8::1]"),
            ("2a02:8109:: is seen", "2001:db8::2 is seen"),
            ("[::ffff:91.4.5.6]:1", "[2001:db8::3]:1"),
            ("0.0.0.0:0 and [::]:0", "0.0.0.0:0 and [::]:0"),
            ("0.350s RFC 5780 §4.4, added face bad cafe 1.2", "0.350s RFC 5780 §4.4, added face bad cafe 1.2"),
        ] {
            assert_eq!(redactor.text(text), expected);
        }
    }

    #[test]
    fn the_server_names_of_the_user_are_replaced_and_longer_names_are_kept() {
        let names = ["stun.example.org:3478", "example.org:5", "91.4.5.6:3478"];
        let mut redactor = Redactor::hiding(names.into_iter());
        assert_eq!(
            redactor.text("stun.example.org:3478, example.org:5, example.org and not-example.org; 91.4.5.6:3478"),
            "server-1.example:3478, server-2.example:5, server-2.example and not-example.org; 192.0.2.1:3478"
        );
    }

    #[test]
    fn no_number_of_addresses_leaves_the_documentation_ranges() {
        let mut redactor = Redactor::default();
        let all: Vec<IpAddr> =
            (0..1000_u32).map(|n| redactor.address(Ipv4Addr::from(0x5000_0000 + n).into())).collect();
        assert_eq!(all[0].to_string(), "192.0.2.1");
        assert_eq!(all[254].to_string(), "198.51.100.1");
        assert_eq!(all[761].to_string(), "203.0.113.254");
        assert_eq!(all[999].to_string(), "203.0.113.255");
        assert_eq!(redactor.address(Ipv4Addr::from(0x5000_0000).into()), all[0]);
    }
}
