//! The URI with which an RTSP client controls a session or one of its streams (RFC 2326 §C.1.1, RFC 7826 §D.1.1).

use crate::error::{Citation, ValueError};
use crate::grammar::{visible, whole};
use crate::line::Lossy;
use crate::value::{AttributeValue, Value};
use core::fmt;

/// `a=control`: the URI for RTSP requests, absolute or relative to the URI of the description.
///
/// The URI is kept as bytes, because cameras write characters that a URI must not contain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Control<'a> {
    /// `*`: the URI of the description itself.
    Base,
    /// Another URI.
    Uri(&'a [u8]),
}

impl<'a> Value<'a> for Control<'a> {
    const CLAUSE: Citation = Citation::new("RFC 7826", "D.1.1");

    fn parse(value: &'a [u8]) -> Result<Self, ValueError> {
        whole(value, Self::CLAUSE, |input| visible(input, "* or a URI"))
            .map(|uri| if uri == b"*" { Self::Base } else { Self::Uri(uri) })
    }
}

impl<'a> AttributeValue<'a> for Control<'a> {
    const NAME: &'static str = "control";
}

impl fmt::Display for Control<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Base => f.write_str("*"),
            Self::Uri(uri) => write!(f, "{}", Lossy(uri)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::tests::refused;

    #[test]
    fn a_control_value_is_a_uri_or_the_base() {
        assert_eq!(Control::parse(b"*"), Ok(Control::Base));
        assert_eq!(Control::parse(b"trackID=1"), Ok(Control::Uri(b"trackID=1")));
        assert_eq!(
            Control::parse(b"rtsp://192.0.2.1:554/a/?b=c&d={e}"),
            Ok(Control::Uri(b"rtsp://192.0.2.1:554/a/?b=c&d={e}"))
        );
        refused::<Control<'_>>(b"", 0, "* or a URI");
        refused::<Control<'_>>(b"track 1", 5, "the end of the value");
    }
}
