//! The table of rules: code, severity, RFC section, meaning and hint.

use crate::diagnostic::Severity;
use crate::error::Citation;

/// Generates the enum and its table from one list.
macro_rules! rules {
    ($($name:ident, $code:literal, $severity:ident, $document:literal $section:literal, $meaning:literal, $hint:literal;)*) => {
        /// A rule about several lines of a description. Each variant is named after its violation.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Rule {
            $(#[doc = concat!($meaning, " (", $document, " §", $section, ").")] $name,)*
        }

        impl Rule {
            /// All rules, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// Returns a short name for programs, which does not change between versions.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self {
                    $(Self::$name => $code,)*
                }
            }

            /// Returns the severity: [`Severity::Deviation`] for what an RFC forbids, [`Severity::Warning`] for what an
            /// RFC discourages, or forbids although endpoints handle it.
            #[must_use]
            pub const fn severity(self) -> Severity {
                match self {
                    $(Self::$name => Severity::$severity,)*
                }
            }

            /// Returns the section of the RFC that has the rule.
            #[must_use]
            pub const fn clause(self) -> Citation {
                match self {
                    $(Self::$name => Citation::new($document, $section),)*
                }
            }

            /// Returns the violation in words.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self {
                    $(Self::$name => $meaning,)*
                }
            }

            /// Returns advice how to correct the violation, in words.
            #[must_use]
            pub const fn hint(self) -> &'static str {
                match self {
                    $(Self::$name => $hint,)*
                }
            }
        }
    };
}

rules! {
    // Lines that may occur once.
    RepeatedDirection, "repeated-direction", Deviation, "RFC 8866" "6.7",
        "a second direction", "keep one of sendrecv, sendonly, recvonly and inactive; readers use the first one";
    RepeatedAttribute, "repeated-attribute", Deviation, "RFC 8866" "6",
        "a second line of an attribute that has one value", "keep one of the lines; readers use the first one";
    RepeatedFlag, "repeated-flag", Warning, "RFC 8866" "6",
        "a second line of an attribute without value", "remove the second line, which has no effect";
    AttributeLevel, "attribute-level", Deviation, "RFC 8866" "5.13",
        "an attribute at a level for which it is not defined",
        "move it before the first m=, or into the media descriptions";
    DuplicateFormat, "duplicate-format", Warning, "RFC 8866" "5.14",
        "a format that m= lists twice", "list each format once, in the order of preference";

    // Addresses.
    InvalidName, "invalid-name", Deviation, "RFC 8866" "5",
        "an address that is neither an IP address nor a domain name",
        "write an IP address, or a name with labels of 1 to 63 letters, digits and inner hyphens";
    SessionAddresses, "session-addresses", Deviation, "RFC 8866" "5.7",
        "several addresses in the c= of the session", "give the number of addresses in the media descriptions only";
    UnicastAddresses, "unicast-addresses", Deviation, "RFC 8866" "5.7",
        "a second c= with a unicast address", "keep one c=; several are for multicast layers only";

    // Formats.
    DuplicateRtpmap, "duplicate-rtpmap", Deviation, "RFC 8866" "6.6",
        "a second a=rtpmap for one format", "give each encoding its own payload type";
    DuplicateFmtp, "duplicate-fmtp", Deviation, "RFC 8866" "6.15",
        "a second a=fmtp for one format", "join the parameters in one line, separated by semicolons";
    RtpmapUnknownFormat, "rtpmap-unknown-format", Deviation, "RFC 8866" "6.6",
        "a=rtpmap for a format that m= does not list", "add the format to the m= line, or remove this line";
    FmtpUnknownFormat, "fmtp-unknown-format", Deviation, "RFC 8866" "6.15",
        "a=fmtp for a format that m= does not list", "add the format to the m= line, or remove this line";
    ImageattrUnknownFormat, "imageattr-unknown-format", Deviation, "RFC 6236" "3.1.1.1",
        "a=imageattr for a format that m= does not list", "add the format to the m= line, or remove this line";
    NoPayloadType, "no-payload-type", Deviation, "RFC 8866" "5.14",
        "an RTP format that is no payload type", "write a number from 0 to 127, and name the codec in a=rtpmap";
    NoRtpmap, "no-rtpmap", Deviation, "RFC 8866" "6.6",
        "a dynamic payload type without a=rtpmap", "add a=rtpmap with the encoding and the clock rate";
    RtcpPayloadType, "rtcp-payload-type", Deviation, "RFC 5761" "4",
        "a payload type from 64 to 95 with a=rtcp-mux, which is taken for RTCP",
        "use a payload type from 96 to 127 or from 0 to 63";
    NoApt, "no-apt", Deviation, "RFC 4588" "8.1",
        "a retransmission format without apt", "add a=fmtp with apt= and the payload type that is retransmitted";
    AptUnknownFormat, "apt-unknown-format", Deviation, "RFC 4588" "8.1",
        "apt names a format that m= does not list", "name a payload type of this m= line, or remove the format";
    FeedbackProfile, "feedback-profile", Warning, "RFC 4585" "4.2",
        "a=rtcp-fb in a profile without feedback", "use a profile that ends with F, such as RTP/AVPF";

    // Header extensions.
    ExtensionLevels, "extension-levels", Deviation, "RFC 8285" "7",
        "a=extmap in the media description and in the session", "move the lines of the session into the media descriptions";
    ExtensionRange, "extension-range", Deviation, "RFC 8285" "5",
        "an extension identifier out of range", "use 1 to 14, with two-byte headers up to 256, or 4096 to 4351 for a choice";
    ExtensionIdTwice, "extension-id-twice", Deviation, "RFC 8285" "7",
        "an extension identifier that occurs twice", "give each extension its own identifier";
    ExtensionUriTwice, "extension-uri-twice", Warning, "RFC 8285" "5",
        "one extension with two identifiers", "keep one of the identifiers";

    // Streams.
    DuplicateRid, "duplicate-rid", Deviation, "RFC 8851" "6.1",
        "a second a=rid with one name", "give each encoding its own name";
    RidUnknownFormat, "rid-unknown-format", Deviation, "RFC 8851" "6.1",
        "a=rid with a payload type that m= does not list", "remove the payload type from pt=";
    RidUnknownDependency, "rid-unknown-dependency", Deviation, "RFC 8851" "6.2.2",
        "depend names an encoding that no a=rid describes", "add the a=rid, or remove the name from depend=";
    RepeatedSimulcast, "repeated-simulcast", Deviation, "RFC 8853" "5.2",
        "a second a=simulcast", "write send and recv in one line";
    SimulcastUnknownRid, "simulcast-unknown-rid", Deviation, "RFC 8853" "5.2",
        "a=simulcast names an encoding that no a=rid describes", "add a=rid with this name";
    SimulcastRidDirection, "simulcast-rid-direction", Deviation, "RFC 8853" "5.2",
        "a=simulcast uses an encoding in another direction than its a=rid", "write the same direction in both lines";
    SimulcastRidTwice, "simulcast-rid-twice", Deviation, "RFC 8853" "5.2",
        "a=simulcast names an encoding twice", "name each encoding once";
    RepeatedCname, "repeated-cname", Deviation, "RFC 5576" "6.1",
        "a second cname of one source", "keep one of the lines";
    NoCname, "no-cname", Warning, "RFC 5576" "4.1",
        "a source without cname", "add a=ssrc with cname for this source";
    GroupUnknownSource, "group-unknown-source", Deviation, "RFC 5576" "4.2",
        "a=ssrc-group names a source that no a=ssrc describes", "add a=ssrc for this source";
    MsidTrackDiffers, "msid-track-differs", Deviation, "RFC 8830" "2",
        "a second a=msid with another track", "a section has one track; write the same one for each stream";
    DuplicateMsid, "duplicate-msid", Deviation, "RFC 8830" "2",
        "one stream and track in two media descriptions", "give each media description its own track";

    // Transport.
    HalfIceCredentials, "half-ice-credentials", Deviation, "RFC 8839" "5.4",
        "one of a=ice-ufrag and a=ice-pwd without the other", "write both, at the level of the session or of the media";
    CandidateWithoutCredentials, "candidate-without-credentials", Deviation, "RFC 8839" "5.4",
        "candidates without a=ice-ufrag and a=ice-pwd", "add both credentials";
    IceWithoutCredentials, "ice-without-credentials", Deviation, "RFC 8839" "5.4",
        "ICE without a=ice-ufrag and a=ice-pwd", "add both credentials, or remove the attributes of ICE";
    LitePacing, "lite-pacing", Deviation, "RFC 8839" "4.3.1",
        "a=ice-pacing of a lite implementation, which sends no checks", "remove a=ice-pacing";
    MismatchCandidates, "mismatch-candidates", Deviation, "RFC 8839" "4.2.5",
        "candidates together with a=ice-mismatch", "remove the candidates";
    DefaultNotCandidate, "default-not-candidate", Warning, "RFC 8839" "4.2.5",
        "the address and port of c= and m= are no candidate, which is an ICE mismatch",
        "write the address and port of a candidate, or 0.0.0.0 and port 9";
    NoFingerprint, "no-fingerprint", Deviation, "RFC 8842" "5.1",
        "DTLS without a=fingerprint", "add a=fingerprint with the hash of the certificate";
    NoSetup, "no-setup", Deviation, "RFC 8842" "5.1",
        "DTLS without a=setup", "add a=setup:actpass to an offer, active or passive to an answer";
    HoldConnection, "hold-connection", Deviation, "RFC 8842" "5.1",
        "a=setup:holdconn with DTLS", "write actpass, active or passive";
    BrokenHash, "broken-hash", Deviation, "RFC 8122" "5",
        "a fingerprint with MD2 or MD5", "use sha-256";
    DuplicateCryptoTag, "duplicate-crypto-tag", Deviation, "RFC 4568" "4.1",
        "a second a=crypto with one tag", "number the lines";
    MuxOnlyWithoutMux, "mux-only-without-mux", Deviation, "RFC 8858" "4.2",
        "a=rtcp-mux-only without a=rtcp-mux", "add a=rtcp-mux";
    NoSctpPort, "no-sctp-port", Deviation, "RFC 8841" "5.1",
        "SCTP over DTLS without a=sctp-port", "add a=sctp-port:5000";
    SctpFormats, "sctp-formats", Deviation, "RFC 8841" "4.3",
        "SCTP over DTLS with more than one format", "write one format, such as webrtc-datachannel";
    SctpMedia, "sctp-media", Deviation, "RFC 8841" "4.4.2",
        "SCTP over DTLS with another kind of media than application", "write m=application";

    // Groups.
    DuplicateMid, "duplicate-mid", Deviation, "RFC 5888" "4",
        "a second media description with one mid", "give each media description its own mid";
    NoMid, "no-mid", Deviation, "RFC 5888" "6",
        "a media description without a=mid in a description with a=group", "add a=mid to each media description";
    GroupUnknownMid, "group-unknown-mid", Deviation, "RFC 5888" "6",
        "a=group names a mid that no media description has", "add a=mid to the media description, or remove the name";
    GroupRemovedMedia, "group-removed-media", Deviation, "RFC 5888" "9.2",
        "a=group names a media description with port 0", "remove the name, or add a=bundle-only";
    GroupMidTwice, "group-mid-twice", Warning, "RFC 5888" "5",
        "a=group names a mid twice", "name each mid once";
    TwoBundles, "two-bundles", Deviation, "RFC 9143" "5",
        "a media description in two bundles", "name the mid in one a=group:BUNDLE";
    BundleOnlyFirst, "bundle-only-first", Deviation, "RFC 9143" "7.2.1",
        "the first media description of a bundle is bundle-only", "name a media description with a port first";
    BundleOnlyAlone, "bundle-only-alone", Warning, "RFC 9143" "6",
        "a=bundle-only outside of a bundle, where it is ignored", "name the mid in a=group:BUNDLE";
    BundleOnlyPort, "bundle-only-port", Warning, "RFC 9143" "6",
        "a=bundle-only with a port, which has no defined meaning", "write port 0, or remove a=bundle-only";
    BundleProtocol, "bundle-protocol", Deviation, "RFC 9143" "9.1",
        "another RTP protocol than in the rest of the bundle", "write the same protocol in each m= line of the bundle";
    BundleAddressType, "bundle-address-type", Warning, "RFC 9143" "7.1.1",
        "another address type than in the rest of the bundle", "write IP4 or IP6 for all of the bundle";
    BundleCodec, "bundle-codec", Deviation, "RFC 9143" "9.1.1",
        "a payload type that is another codec in the bundle", "give each codec of the bundle its own payload type";
    BundleParameters, "bundle-parameters", Warning, "RFC 9143" "9.1.1",
        "a payload type with other parameters in the bundle", "give each configuration its own payload type";
    BundleExtensionId, "bundle-extension-id", Deviation, "RFC 9143" "12",
        "an extension identifier that is another extension in the bundle",
        "give each extension of the bundle its own identifier";
    BundleExtensionUri, "bundle-extension-uri", Deviation, "RFC 8285" "7",
        "an extension that has another identifier in the bundle", "use one identifier for the extension in the bundle";
    BundleNoMidExtension, "bundle-no-mid-extension", Warning, "RFC 9143" "9.1",
        "bundled RTP without the header extension for the mid",
        "add a=extmap with urn:ietf:params:rtp-hdrext:sdes:mid";
    BundleNoRtcpMux, "bundle-no-rtcp-mux", Deviation, "RFC 9143" "9.3",
        "bundled RTP without a=rtcp-mux", "add a=rtcp-mux";
    BundleSource, "bundle-source", Deviation, "RFC 9143" "9.1",
        "a source that another media description of the bundle has", "give each media description its own sources";
}
