//! One violating and one conforming example for each rule. `>` marks the line that has the finding.

use portolan_sdp::lint::Rule;

/// A rule with its examples.
pub(super) struct Example {
    pub(super) rule: Rule,
    /// The part of the marked line that breaks the rule.
    pub(super) text: &'static str,
    pub(super) violating: &'static str,
    pub(super) conforming: &'static str,
}

macro_rules! examples {
    ($($rule:ident, $text:literal, $violating:literal, $conforming:literal;)*) => {
        pub(super) const EXAMPLES: &[Example] = &[
            $(Example { rule: Rule::$rule, text: $text, violating: $violating, conforming: $conforming },)*
        ];
    };
}

examples! {
    RepeatedDirection, "a=sendonly",
        "m=audio 9 RTP/AVP 0
         a=recvonly
         >a=sendonly",
        "a=recvonly
         m=audio 9 RTP/AVP 0
         a=sendonly
         m=audio 9 RTP/AVP 0
         a=sendonly";
    RepeatedAttribute, "a=ptime",
        "m=audio 9 RTP/AVP 0
         a=ptime:20
         >a=ptime:30",
        "m=audio 9 RTP/AVP 0
         a=ptime:20
         m=audio 9 RTP/AVP 0
         a=ptime:30";
    RepeatedFlag, "a=rtcp-mux",
        "m=audio 9 RTP/AVP 0
         a=rtcp-mux
         >a=rtcp-mux",
        "m=audio 9 RTP/AVP 0
         a=rtcp-mux
         a=rtcp-rsize";
    AttributeLevel, "a=rtpmap",
        ">a=rtpmap:0 PCMU/8000
         m=audio 9 RTP/AVP 0",
        "a=tool:x
         m=audio 9 RTP/AVP 0
         a=rtpmap:0 PCMU/8000";
    DuplicateFormat, "0",
        ">m=audio 9 RTP/AVP 0 8 0",
        "m=audio 9 RTP/AVP 0 8";
    InvalidName, "a..example",
        ">c=IN IP4 a..example
         m=audio 9 RTP/AVP 0",
        "c=IN IP4 a.example
         m=audio 9 RTP/AVP 0";
    SessionAddresses, "233.252.0.1/127/3",
        ">c=IN IP4 233.252.0.1/127/3
         m=audio 9 RTP/AVP 0",
        "c=IN IP4 233.252.0.1/127
         m=audio 9 RTP/AVP 0
         c=IN IP4 233.252.0.1/127/3";
    UnicastAddresses, "192.0.2.2",
        "m=audio 9 RTP/AVP 0
         c=IN IP4 192.0.2.1
         >c=IN IP4 192.0.2.2",
        "m=audio 9 RTP/AVP 0
         c=IN IP4 233.252.0.1/127
         c=IN IP4 233.252.0.2/127";
    DuplicateRtpmap, "101",
        "m=audio 5004 RTP/AVP 9 101
         a=rtpmap:101 telephone-event/16000
         >a=rtpmap:101 telephone-event/8000",
        "m=audio 5004 RTP/AVP 9 101 102
         a=rtpmap:101 telephone-event/16000
         a=rtpmap:102 telephone-event/8000";
    DuplicateFmtp, "0",
        "m=audio 9 RTP/AVP 0
         a=fmtp:0 a=1
         >a=fmtp:0 b=2",
        "m=audio 9 RTP/AVP 0 8
         a=fmtp:0 a=1;b=2
         a=fmtp:8 b=2";
    RtpmapUnknownFormat, "96",
        "m=audio 9 RTP/AVP 0
         >a=rtpmap:96 opus/48000/2",
        "m=audio 9 RTP/AVP 0 96
         a=rtpmap:96 opus/48000/2";
    FmtpUnknownFormat, "8",
        "m=audio 9 RTP/AVP 0
         >a=fmtp:8 a=1",
        "m=audio 9 RTP/AVP 0 8
         a=fmtp:8 a=1";
    ImageattrUnknownFormat, "97",
        "m=video 9 RTP/AVP 31
         >a=imageattr:97 send [x=800,y=640]",
        "m=video 9 RTP/AVP 31
         a=imageattr:* send [x=800,y=640]
         a=imageattr:31 recv [x=800,y=640]";
    NoPayloadType, "opus",
        ">m=audio 9 RTP/AVP 0 opus",
        "m=audio 9 udp opus";
    NoRtpmap, "97",
        ">m=audio 9 RTP/AVP 0 96 97
         a=rtpmap:96 opus/48000/2",
        "m=audio 9 RTP/AVP 0 96
         a=rtpmap:96 opus/48000/2
         m=video 0 RTP/AVP 97";
    RtcpPayloadType, "72",
        ">m=audio 9 RTP/AVP 72
         a=rtpmap:72 opus/48000/2
         a=rtcp-mux",
        "m=audio 9 RTP/AVP 72
         a=rtpmap:72 opus/48000/2";
    NoApt, "97",
        "m=video 9 RTP/AVP 96 97
         a=rtpmap:96 VP8/90000
         >a=rtpmap:97 rtx/90000",
        "m=video 9 RTP/AVP 96 97
         a=rtpmap:96 VP8/90000
         a=rtpmap:97 rtx/90000
         a=fmtp:97 apt=96";
    AptUnknownFormat, "APT=98",
        "m=video 9 RTP/AVP 96 97
         a=rtpmap:96 VP8/90000
         a=rtpmap:97 rtx/90000
         >a=fmtp:97 rtx-time=3000;APT=98",
        "m=video 9 RTP/AVP 96 97
         a=rtpmap:96 VP8/90000
         a=rtpmap:97 rtx/90000
         a=fmtp:97 rtx-time=3000; APT=96";
    FeedbackProfile, "a=rtcp-fb",
        "m=audio 9 RTP/AVP 0
         >a=rtcp-fb:* nack
         a=rtcp-fb:0 nack",
        "m=audio 9 RTP/SAVPF 0
         a=rtcp-fb:* nack";
    ExtensionLevels, "a=extmap",
        "a=extmap:1 urn:x:a
         m=audio 9 RTP/AVP 0
         >a=extmap:2 urn:x:b
         a=extmap:3 urn:x:c",
        "a=extmap:1 urn:x:a
         m=audio 9 RTP/AVP 0";
    ExtensionRange, "257",
        "m=audio 9 RTP/AVP 0
         >a=extmap:257 urn:x:a",
        "m=audio 9 RTP/AVP 0
         a=extmap:256 urn:x:a
         a=extmap:4096 urn:x:b
         a=extmap:4096 urn:x:c";
    ExtensionIdTwice, "3/recvonly",
        "m=audio 9 RTP/AVP 0
         a=extmap:3/sendonly urn:x:a
         >a=extmap:3/recvonly urn:x:b",
        "m=audio 9 RTP/AVP 0
         a=extmap:3/sendonly urn:x:a
         a=extmap:4/recvonly urn:x:b";
    ExtensionUriTwice, "4",
        "m=audio 9 RTP/AVP 0
         a=extmap:3 urn:x:a
         >a=extmap:4 urn:x:a",
        "m=audio 9 RTP/AVP 0
         a=extmap:3 urn:x:a
         a=extmap:4 urn:x:a with other attributes";
    DuplicateRid, "f",
        "m=video 9 RTP/AVP 31
         a=rid:f send
         >a=rid:f recv",
        "m=video 9 RTP/AVP 31
         a=rid:f send
         a=rid:h recv
         m=video 9 RTP/AVP 31
         a=rid:f send";
    RidUnknownFormat, "32",
        "m=video 9 RTP/AVP 31
         >a=rid:f send pt=31,32;max-width=1280",
        "m=video 9 RTP/AVP 31
         a=rid:f send pt=31;max-width=1280";
    RidUnknownDependency, "h",
        "m=video 9 RTP/AVP 31
         a=rid:f send
         >a=rid:q send max-width=1280;depend=f,h",
        "m=video 9 RTP/AVP 31
         a=rid:f send
         a=rid:q send max-width=1280;depend=f";
    RepeatedSimulcast, "a=simulcast",
        "m=video 9 RTP/AVP 31
         a=rid:f send
         a=rid:h recv
         a=simulcast:send f
         >a=simulcast:recv h",
        "m=video 9 RTP/AVP 31
         a=rid:f send
         a=rid:h recv
         a=simulcast:send f recv h";
    SimulcastUnknownRid, "q",
        "m=video 9 RTP/AVP 31
         a=rid:f send
         >a=simulcast:send f;~q",
        "m=video 9 RTP/AVP 31
         a=rid:f send
         a=rid:q send
         a=simulcast:send f;~q";
    SimulcastRidDirection, "recv",
        "m=video 9 RTP/AVP 31
         a=rid:send recv
         a=rid:recv send
         >a=simulcast:recv send,recv",
        "m=video 9 RTP/AVP 31
         a=rid:send recv
         a=rid:recv send
         a=simulcast:recv send send recv";
    SimulcastRidTwice, "f",
        "m=video 9 RTP/AVP 31
         a=rid:f send
         a=rid:h send
         >a=simulcast:send f;h,f",
        "m=video 9 RTP/AVP 31
         a=rid:f send
         a=rid:h send
         a=simulcast:send f;h";
    RepeatedCname, "1",
        "m=audio 9 RTP/AVP 0
         a=ssrc:1 cname:a
         >a=ssrc:1 cname:b",
        "m=audio 9 RTP/AVP 0
         a=ssrc:1 cname:a
         a=ssrc:2 cname:a";
    NoCname, "2",
        "m=audio 9 RTP/AVP 0
         a=ssrc:1 cname:a
         >a=ssrc:2 msid:a b",
        "m=audio 9 RTP/AVP 0
         a=ssrc:2 msid:a b
         a=ssrc:2 cname:a";
    GroupUnknownSource, "3",
        "m=audio 9 RTP/AVP 0
         a=ssrc:1 cname:a
         >a=ssrc-group:FID 1 3",
        "m=audio 9 RTP/AVP 0
         a=ssrc-group:FID 1 3
         a=ssrc:1 cname:a
         a=ssrc:3 cname:a";
    MsidTrackDiffers, "u",
        "m=audio 9 RTP/AVP 0
         a=msid:s t
         >a=msid:r u",
        "m=audio 9 RTP/AVP 0
         a=msid:s t
         a=msid:r t";
    DuplicateMsid, "t",
        "m=audio 9 RTP/AVP 0
         a=msid:s t
         m=video 9 RTP/AVP 31
         >a=msid:s t",
        "m=audio 9 RTP/AVP 0
         a=msid:s t
         m=video 9 RTP/AVP 31
         a=msid:s u
         m=video 9 RTP/AVP 31
         a=msid:s
         m=video 9 RTP/AVP 31
         a=msid:s";
    HalfIceCredentials, "a=ice-ufrag",
        "m=audio 9 RTP/AVP 0
         >a=ice-ufrag:abcd",
        "a=ice-pwd:abcdefghijklmnopqrstuvwx
         m=audio 9 RTP/AVP 0
         a=ice-ufrag:abcd";
    CandidateWithoutCredentials, "a=candidate",
        "m=audio 9 RTP/AVP 0
         >a=candidate:1 1 UDP 1 192.0.2.1 9 typ host
         a=candidate:2 1 UDP 1 192.0.2.2 9 typ host",
        "a=group:BUNDLE 0 1
         m=audio 9 RTP/AVP 0
         a=mid:0
         a=rtcp-mux
         a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid
         a=ice-ufrag:abcd
         a=ice-pwd:abcdefghijklmnopqrstuvwx
         m=video 9 RTP/AVP 31
         a=mid:1
         a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid
         a=candidate:1 1 UDP 1 192.0.2.1 9 typ host";
    IceWithoutCredentials, "a=ice-options",
        ">a=ice-options:trickle
         m=audio 9 RTP/AVP 0",
        "a=ice-options:trickle
         m=audio 9 RTP/AVP 0
         a=ice-ufrag:abcd
         a=ice-pwd:abcdefghijklmnopqrstuvwx";
    LitePacing, "a=ice-pacing",
        "a=ice-lite
         >a=ice-pacing:50",
        "a=ice-pacing:50";
    MismatchCandidates, "a=candidate",
        "m=audio 9 RTP/AVP 0
         a=ice-ufrag:abcd
         a=ice-pwd:abcdefghijklmnopqrstuvwx
         a=ice-mismatch
         >a=candidate:1 1 UDP 1 192.0.2.1 9 typ host",
        "m=audio 9 RTP/AVP 0
         a=ice-mismatch";
    DefaultNotCandidate, "5004",
        "c=IN IP4 192.0.2.9
         >m=audio 5004 RTP/AVP 0
         a=ice-ufrag:abcd
         a=ice-pwd:abcdefghijklmnopqrstuvwx
         a=candidate:1 1 UDP 1 192.0.2.1 5004 typ host",
        "c=IN IP4 192.0.2.9
         m=audio 5004 RTP/AVP 0
         a=ice-ufrag:abcd
         a=ice-pwd:abcdefghijklmnopqrstuvwx
         a=candidate:1 1 UDP 1 192.0.2.1 5004 typ host
         a=candidate:1 1 UDP 1 192.0.2.9 5004 typ host
         m=audio 9 RTP/AVP 0
         c=IN IP4 0.0.0.0
         a=ice-ufrag:abcd
         a=ice-pwd:abcdefghijklmnopqrstuvwx
         a=candidate:1 1 UDP 1 192.0.2.1 5004 typ host";
    NoFingerprint, "UDP/TLS/RTP/SAVPF",
        ">m=audio 9 UDP/TLS/RTP/SAVPF 0
         a=setup:actpass",
        "a=fingerprint:sha-1 4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB
         m=audio 9 UDP/TLS/RTP/SAVPF 0
         a=setup:actpass
         m=audio 0 UDP/TLS/RTP/SAVPF 0";
    NoSetup, "UDP/TLS/RTP/SAVPF",
        "a=fingerprint:sha-1 4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB
         >m=audio 9 UDP/TLS/RTP/SAVPF 0",
        "a=setup:actpass
         a=fingerprint:sha-1 4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB
         m=audio 9 UDP/TLS/RTP/SAVPF 0";
    HoldConnection, "holdconn",
        "a=fingerprint:sha-1 4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB
         m=audio 9 UDP/TLS/RTP/SAVPF 0
         >a=setup:holdconn",
        "m=message 9 TCP/MSRP *
         a=setup:holdconn";
    BrokenHash, "MD5",
        ">a=fingerprint:MD5 4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B",
        "a=fingerprint:sha-1 4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB";
    DuplicateCryptoTag, "1",
        "m=audio 9 RTP/SAVP 0
         a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR
         >a=crypto:1 AES_CM_128_HMAC_SHA1_32 inline:PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR",
        "m=audio 9 RTP/SAVP 0
         a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR
         a=crypto:2 AES_CM_128_HMAC_SHA1_32 inline:PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR";
    MuxOnlyWithoutMux, "a=rtcp-mux-only",
        "m=audio 9 RTP/AVP 0
         >a=rtcp-mux-only",
        "m=audio 9 RTP/AVP 0
         a=rtcp-mux-only
         a=rtcp-mux";
    NoSctpPort, "UDP/DTLS/SCTP",
        "a=setup:actpass
         a=fingerprint:sha-1 4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB
         >m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
        "a=setup:actpass
         a=fingerprint:sha-1 4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB
         m=application 9 UDP/DTLS/SCTP webrtc-datachannel
         a=sctp-port:0";
    SctpFormats, "other",
        "a=setup:actpass
         a=fingerprint:sha-1 4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB
         >m=application 9 UDP/DTLS/SCTP webrtc-datachannel other
         a=sctp-port:5000",
        "a=setup:actpass
         a=fingerprint:sha-1 4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB
         m=application 9 UDP/DTLS/SCTP other
         a=sctp-port:5000";
    SctpMedia, "data",
        "a=setup:actpass
         a=fingerprint:sha-1 4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB
         >m=data 9 TCP/DTLS/SCTP webrtc-datachannel
         a=sctp-port:5000",
        "a=setup:actpass
         a=fingerprint:sha-1 4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB
         m=application 9 TCP/DTLS/SCTP webrtc-datachannel
         a=sctp-port:5000";
    DuplicateMid, "a",
        "m=audio 9 RTP/AVP 0
         a=mid:a
         m=video 9 RTP/AVP 31
         >a=mid:a",
        "m=audio 9 RTP/AVP 0
         a=mid:a
         m=video 9 RTP/AVP 31
         a=mid:A";
    NoMid, "video",
        "a=group:LS a
         m=audio 9 RTP/AVP 0
         a=mid:a
         >m=video 9 RTP/AVP 31",
        "a=group:LS a
         m=audio 9 RTP/AVP 0
         a=mid:a
         m=video 9 RTP/AVP 31
         a=mid:b";
    GroupUnknownMid, "c",
        ">a=group:LS a c
         m=audio 9 RTP/AVP 0
         a=mid:a",
        "a=group:LS a
         m=audio 9 RTP/AVP 0
         a=mid:a";
    GroupRemovedMedia, "b",
        ">a=group:LS a b
         m=audio 9 RTP/AVP 0
         a=mid:a
         m=video 0 RTP/AVP 31
         a=mid:b",
        "a=group:LS a
         m=audio 9 RTP/AVP 0
         a=mid:a
         m=video 0 RTP/AVP 31
         a=mid:b";
    GroupMidTwice, "a",
        ">a=group:LS a a
         m=audio 9 RTP/AVP 0
         a=mid:a",
        "a=group:LS a
         a=group:FID a
         m=audio 9 RTP/AVP 0
         a=mid:a";
    TwoBundles, "a",
        "a=group:BUNDLE a
         >a=group:BUNDLE a
         m=text 9 udp t140
         a=mid:a",
        "a=group:BUNDLE a
         a=group:LS a
         m=text 9 udp t140
         a=mid:a";
    BundleOnlyFirst, "a",
        ">a=group:BUNDLE a b
         m=text 0 udp t140
         a=mid:a
         a=bundle-only
         m=text 9 udp t140
         a=mid:b",
        "a=group:BUNDLE b a
         m=text 0 udp t140
         a=mid:a
         a=bundle-only
         m=text 9 udp t140
         a=mid:b";
    BundleOnlyAlone, "a=bundle-only",
        "m=text 0 udp t140
         a=mid:a
         >a=bundle-only",
        "a=group:BUNDLE b a
         m=text 0 udp t140
         a=mid:a
         a=bundle-only
         m=text 9 udp t140
         a=mid:b";
    BundleOnlyPort, "a=bundle-only",
        "a=group:BUNDLE b a
         m=text 9 udp t140
         a=mid:a
         >a=bundle-only
         m=text 9 udp t140
         a=mid:b",
        "a=group:BUNDLE b a
         m=text 0 udp t140
         a=mid:a
         a=bundle-only
         m=text 9 udp t140
         a=mid:b";
    BundleProtocol, "RTP/AVPF",
        "a=group:BUNDLE a b
         m=audio 9 RTP/AVP 0
         a=mid:a
         a=rtcp-mux
         a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid
         >m=video 9 RTP/AVPF 31
         a=mid:b
         a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid",
        "a=group:BUNDLE a b c
         m=audio 9 RTP/AVP 0
         a=mid:a
         a=rtcp-mux
         a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid
         m=video 9 RTP/AVP 31
         a=mid:b
         a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid
         m=text 9 udp t140
         a=mid:c";
    BundleAddressType, "IP6",
        "a=group:BUNDLE a b
         m=text 9 udp t140
         c=IN IP4 192.0.2.1
         a=mid:a
         m=text 9 udp t140
         >c=IN IP6 ::
         a=mid:b",
        "a=group:BUNDLE a b
         c=IN IP4 192.0.2.1
         m=text 9 udp t140
         a=mid:a
         m=text 9 udp t140
         c=IN IP4 192.0.2.2
         a=mid:b";
    BundleCodec, "96",
        "a=group:BUNDLE a b
         m=audio 9 RTP/AVP 96
         a=mid:a
         a=rtcp-mux
         a=rtpmap:96 opus/48000/2
         a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid
         m=audio 9 RTP/AVP 96
         a=mid:b
         >a=rtpmap:96 opus/48000/1
         a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid",
        "a=group:BUNDLE a b
         m=audio 9 RTP/AVP 96
         a=mid:a
         a=rtcp-mux
         a=rtpmap:96 opus/48000/2
         a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid
         m=audio 9 RTP/AVP 96
         a=mid:b
         a=rtpmap:96 OPUS/48000/2
         a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid
         m=audio 9 RTP/AVP 96
         a=mid:c
         a=rtpmap:96 VP8/90000";
    BundleParameters, "0",
        "a=group:BUNDLE a b
         m=audio 9 RTP/AVP 0
         a=mid:a
         a=rtcp-mux
         a=rtpmap:0 PCMU/8000
         a=fmtp:0 a=1
         a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid
         m=audio 9 RTP/AVP 0
         a=mid:b
         >a=rtpmap:0 PCMU/8000
         a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid",
        "a=group:BUNDLE a b
         m=audio 9 RTP/AVP 0
         a=mid:a
         a=rtcp-mux
         a=rtpmap:0 PCMU/8000
         a=fmtp:0 a=1;b=2
         a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid
         m=audio 9 RTP/AVP 0
         a=mid:b
         a=fmtp:0 b=2; a=1
         a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid";
    BundleExtensionId, "2",
        "a=group:BUNDLE a b
         m=audio 9 RTP/AVP 0
         a=mid:a
         a=rtcp-mux
         a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid
         a=extmap:2 urn:x:a
         m=video 9 RTP/AVP 31
         a=mid:b
         a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid
         >a=extmap:2 urn:x:b",
        "a=group:BUNDLE a b
         m=audio 9 RTP/AVP 0
         a=mid:a
         a=rtcp-mux
         a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid
         a=extmap:2 urn:x:a
         m=video 9 RTP/AVP 31
         a=mid:b
         a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid
         a=extmap:2/sendonly urn:x:a
         m=video 9 RTP/AVP 31
         a=mid:c
         a=extmap:2 urn:x:b";
    BundleExtensionUri, "3",
        "a=group:BUNDLE a b
         m=audio 9 RTP/AVP 0
         a=mid:a
         a=rtcp-mux
         a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid
         a=extmap:2 urn:x:a
         m=video 9 RTP/AVP 31
         a=mid:b
         a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid
         >a=extmap:3 urn:x:a",
        "a=group:BUNDLE a b
         m=audio 9 RTP/AVP 0
         a=mid:a
         a=rtcp-mux
         a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid
         a=extmap:2 urn:x:a
         m=video 9 RTP/AVP 31
         a=mid:b
         a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid
         a=extmap:3 urn:x:a with other attributes";
    BundleNoMidExtension, "RTP/AVP",
        "a=group:BUNDLE a
         >m=audio 9 RTP/AVP 0
         a=mid:a
         a=rtcp-mux",
        "a=group:BUNDLE a b
         a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid
         m=audio 9 RTP/AVP 0
         a=mid:a
         a=rtcp-mux
         m=text 9 udp t140
         a=mid:b";
    BundleNoRtcpMux, "RTP/AVP",
        "a=group:BUNDLE a
         >m=audio 9 RTP/AVP 0
         a=mid:a
         a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid",
        "a=group:BUNDLE a b
         m=text 9 udp t140
         a=mid:a
         a=rtcp-mux
         m=audio 9 RTP/AVP 0
         a=mid:b
         a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid";
    BundleSource, "7",
        "a=group:BUNDLE a b
         a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid
         m=audio 9 RTP/AVP 0
         a=mid:a
         a=rtcp-mux
         a=ssrc:7 cname:x
         m=video 9 RTP/AVP 31
         a=mid:b
         >a=ssrc:7 cname:x",
        "a=group:BUNDLE a b
         a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid
         m=audio 9 RTP/AVP 0
         a=mid:a
         a=rtcp-mux
         a=ssrc:7 cname:x
         a=ssrc:7 msid:s t
         m=video 9 RTP/AVP 31
         a=mid:b
         a=ssrc:8 cname:x";
}
