//! Checks URIs: a printed URI is parsed as the same URI, and errors are inside the text.

use crate::SEEDED;
use portolan_stun::uri::{Host, Scheme, Transport, Uri};

/// Parses the text. Returns whether it is a URI.
pub fn run(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    match Uri::parse(text) {
        Ok(uri) => {
            let printed = subject(&uri);
            assert_eq!(Uri::parse(&printed), Ok(uri), "{printed:?} from {text:?}");
            assert!(uri.port_or_default() != 0);
            true
        }
        Err(error) => {
            assert!(error.at <= text.len(), "{error} is outside of {text:?}");
            assert!(text.is_char_boundary(error.at), "{error} is inside a character of {text:?}");
            false
        }
    }
}

/// The seeded bug: the default port of TLS is left out between an IPv6 address and an extension transport.
fn subject(uri: &Uri<'_>) -> String {
    let bare = Uri { port: None, ..*uri };
    let seeded = SEEDED && uri.scheme == Scheme::Turns && matches!(uri.host, Host::Ipv6(_));
    let lost =
        seeded && matches!(uri.transport, Some(Transport::Extension(_))) && uri.port == Some(bare.port_or_default());
    if lost { bare.to_string() } else { uri.to_string() }
}
