//! URIs: parsing and printing agree, errors lie inside the text.

use crate::SEEDED;
use portolan_stun::uri::Uri;

/// Parses; says whether it was a URI.
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
            assert!(error.at <= text.len(), "{error} lies outside of {text:?}");
            assert!(text.is_char_boundary(error.at), "{error} lies within a character of {text:?}");
            false
        }
    }
}

/// The seeded bug: a port that is the default is left out.
fn subject(uri: &Uri<'_>) -> String {
    if SEEDED
        && uri.port == Some(uri.port_or_default())
        && uri.port == (Uri { port: None, ..*uri }).port_or_default().into()
    {
        return Uri { port: None, ..*uri }.to_string();
    }
    uri.to_string()
}
