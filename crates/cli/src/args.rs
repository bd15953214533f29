//! The command line, and the help that teaches it.

use crate::require::Requirements;
use crate::sdp::args::Sdp;
use crate::secret::Secret;
use crate::servers::ServerName;
use crate::stun::Target;
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use portolan_nat::behavior::{Filtering, Mapping};
use portolan_sim::topology::Preset;
use std::path::PathBuf;

/// Which NAT is in front of you, how sure that is, and why
#[derive(Debug, Parser)]
#[command(name = "portolan", version, max_term_width = 100)]
#[command(after_help = "Start without any network: portolan lab nat --preset home --explain")]
pub(crate) struct Cli {
    /// Speak of what happens on standard error; twice for more (PORTOLAN_LOG takes a filter of `tracing`)
    #[arg(short, long, action = ArgAction::Count, global = true)]
    pub(crate) verbose: u8,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Find out what stands between this host and the Internet
    #[command(after_long_help = NAT_HELP)]
    Nat(NatArgs),
    /// Answer STUN Binding requests, and RFC 5780 behaviour tests with an --alternate
    #[command(after_long_help = SERVE_HELP)]
    Serve(ServeArgs),
    /// Ask one server for a Binding: what came back, and how long it took
    #[command(after_long_help = STUN_HELP)]
    Stun(StunArgs),
    /// Find out which clauses of RFC 8489 and RFC 5780 a server honours, and how much it amplifies
    #[command(after_long_help = AUDIT_HELP)]
    Audit(AuditArgs),
    /// Say what each byte of a STUN message or of a capture is, who says so, and what is wrong
    #[command(after_long_help = EXPLAIN_HELP)]
    Explain(ExplainArgs),
    /// Session descriptions: check, explain, compare, scrub, answer, and to JSON and back
    #[command(subcommand)]
    Sdp(Sdp),
    /// Try things out in a simulated network, in virtual time: nothing is sent
    #[command(subcommand)]
    Lab(Lab),
}

/// What to try out.
#[derive(Debug, Subcommand)]
pub(crate) enum Lab {
    /// Find out what a simulated NAT does, exactly as `portolan nat` would
    #[command(after_long_help = LAB_HELP)]
    Nat(LabNatArgs),
}

/// How the report is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people: a plain sentence, the facts, how sure
    Human,
    /// One JSON object (docs/json.md)
    Json,
    /// One JSON object a line for each event, the report last
    Jsonl,
}

/// Arguments of `portolan nat`.
#[derive(Args, Debug)]
pub(crate) struct NatArgs {
    /// A STUN server to ask, port 3478 unless said; may be given several times, best first
    ///
    /// HOST, HOST:PORT, `[IPv6]:PORT` or a bare IPv6 address. Two or more are better than one: a mapping can only be told
    /// from two addresses, and a server that lies is outvoted. Filtering needs one that has a second address (RFC 5780).
    /// Without --server those in PORTOLAN_SERVERS are asked (separated by commas or spaces; set but empty: nobody), else
    /// a short list of public servers.
    #[arg(short, long, value_name = "HOST[:PORT]")]
    pub(crate) server: Vec<ServerName>,
    /// IPv4 only
    #[arg(short = '4', long, conflicts_with = "ipv6")]
    pub(crate) ipv4: bool,
    /// IPv6 only
    #[arg(short = '6', long)]
    pub(crate) ipv6: bool,
    /// The address of this host to send from; measures that family only
    #[arg(long, value_name = "ADDR")]
    pub(crate) local: Vec<IpAddr>,
    /// Seconds for one classification with its name lookups
    #[arg(long, value_name = "S", value_parser = seconds, default_value = "5")]
    pub(crate) timeout: Duration,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    /// Replace every address by one of the documentation ranges, and your servers' names; port numbers stay
    #[arg(long)]
    pub(crate) redact: bool,
    /// What must be the case, else the exit code is 1: nat=…,mapping=…,filtering=…,type=…
    ///
    /// All parts must hold in every family that has a way out. Values that would do as well are separated by a bar:
    /// `mapping=eim,filtering=eif|adf`. nat: none, firewall, nat. mapping: eim, adm, apdm. filtering: eif, adf, apdf (or
    /// the long words of RFC 4787). type: open, udp-firewall, full-cone, restricted, port-restricted, symmetric, other,
    /// blocked.
    #[arg(long, value_name = "KEY=VALUE,…")]
    pub(crate) require: Vec<Requirements>,
    /// Look again every S seconds (30; at least 5) for ever, and report what changes
    #[arg(long, value_name = "S", num_args = 0..=1, require_equals = true, default_missing_value = "30",
          value_parser = watch_seconds)]
    pub(crate) watch: Option<Duration>,
    /// Also measure how long mappings live, over the first family that works: about 195 seconds, 82 sockets
    ///
    /// Runs after the classification, whatever --timeout says. Needs a server that knows RESPONSE-PORT (RFC 5780 §7.5).
    #[arg(long, conflicts_with = "watch")]
    pub(crate) lifetime: bool,
    /// Also send packets to the own public endpoint; some firewalls take that for an attack and cut connections
    #[arg(long)]
    pub(crate) hairpin: bool,
    /// Also open 16 more sockets back to back to learn how the NAT chooses ports
    ///
    /// An exception to the ten new transactions a second that RFC 5780 §5 asks for, and 16 more entries in your
    /// router's table for a few minutes. The report waits for it.
    #[arg(long)]
    pub(crate) ports: bool,
}

/// How to tell the result.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct OutputArgs {
    /// How to write the report
    #[arg(long, value_enum, default_value = "human")]
    pub(crate) format: Format,
    /// Tell the evidence for each verdict, and what happened, packet by packet, with the clause of the RFC
    #[arg(long)]
    pub(crate) explain: bool,
}

/// Arguments of `portolan serve`.
#[derive(Args, Debug)]
pub(crate) struct ServeArgs {
    /// Where to listen, UDP and TCP; may be given several times; without it port 3478 of all addresses
    #[arg(short, long, value_name = "ADDR:PORT")]
    pub(crate) listen: Vec<SocketAddr>,
    /// Another address and another port, for RFC 5780; paired with --listen in order, within a family
    #[arg(short, long, value_name = "ADDR:PORT")]
    pub(crate) alternate: Vec<SocketAddr>,
    /// Say PUBLIC where the socket has LOCAL, for a server behind a 1:1 NAT; both are IP addresses
    #[arg(long, value_name = "LOCAL=PUBLIC", value_parser = advertised)]
    pub(crate) advertise: Vec<(IpAddr, IpAddr)>,
    /// Replies a second for one source (an IPv4 address, an IPv6 /64), with twice as many in a burst; or `off`
    #[arg(long, value_name = "N|off", default_value = "200", value_parser = rate)]
    pub(crate) rate: RateLimit,
    /// TCP connections open at once
    ///
    /// Each takes a file descriptor: about twice as many must be allowed (ulimit -n). At this number a new connection
    /// takes the place of a silent one, or is closed.
    #[arg(long, value_name = "N", default_value = "256", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) streams: u32,
    /// TCP connections of one source (an IPv4 address, an IPv6 /64) open at once
    ///
    /// At this number a new connection of the source takes the place of a silent one of its own, or is closed. While this
    /// is well below --streams, one source cannot shut out others. Raise it where many users share one address behind a
    /// carrier's NAT.
    #[arg(long, value_name = "N", default_value = "64", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) streams_per_source: u32,
    /// Answer only those who prove to be this user; may be given several times (other programs can see it: see --users)
    ///
    /// The name ends at the first colon. Name and password beyond ASCII are used as they are given. With --realm the
    /// credentials are long-term ones (RFC 8489 §9.2), without it short-term ones (§9.1).
    #[arg(long, value_name = "NAME:PASSWORD", value_parser = Secret::parse)]
    pub(crate) user: Vec<Secret>,
    /// The users in a file, one NAME:PASSWORD a line; # begins a comment; nobody else may read it (chmod 600)
    #[arg(long, value_name = "FILE")]
    pub(crate) users: Option<PathBuf>,
    /// The realm of the users, best a domain name of yours: long-term credentials
    #[arg(long, value_name = "REALM")]
    pub(crate) realm: Option<String>,
}

/// How often one source is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RateLimit {
    /// As often as it asks.
    Off,
    /// So many times a second.
    PerSecond(u32),
}

/// Arguments of `portolan stun`.
#[derive(Args, Debug)]
pub(crate) struct StunArgs {
    /// The server, port 3478 unless said, with TLS 5349; also a `stun:` or `stuns:` URI (RFC 7064)
    ///
    /// HOST, HOST:PORT, `[IPv6]:PORT`, a bare IPv6 address, or a URI such as `stuns:stun.example.org`.
    #[arg(value_name = "HOST[:PORT]")]
    pub(crate) server: Target,
    /// Ask over TCP
    #[arg(long, conflicts_with = "tls")]
    pub(crate) tcp: bool,
    /// Ask over TLS; the server's certificate must be one that the public web trusts, or --ca-file vouches for
    #[arg(long)]
    pub(crate) tls: bool,
    /// Trust the certificates of this PEM file in place of the public web's authorities, for a server of your own
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,
    /// Prove to be this user: answers a server's challenge (RFC 8489 §9.2)
    #[arg(long, value_name = "NAME")]
    pub(crate) user: Option<String>,
    /// The user's password; other programs can see it, see --password-file
    #[arg(long, value_name = "PASSWORD", value_parser = Secret::parse, requires = "user")]
    pub(crate) password: Option<Secret>,
    /// The file whose first line is the user's password; nobody else may read it (chmod 600)
    #[arg(long, value_name = "FILE", requires = "user", conflicts_with = "password")]
    pub(crate) password_file: Option<PathBuf>,
    /// The server knows the user beforehand and challenges nobody: short-term credentials (RFC 8489 §9.1)
    #[arg(long, requires = "user")]
    pub(crate) short_term: bool,
    /// Seconds until the answer is given up, the name lookup included
    #[arg(long, value_name = "S", value_parser = seconds, default_value = "5")]
    pub(crate) timeout: Duration,
    /// How to write what came back
    #[arg(long, value_enum, default_value = "human")]
    pub(crate) format: Format,
    /// Tell both messages byte by byte, with the section of the RFC
    #[arg(long)]
    pub(crate) explain: bool,
}

/// Arguments of `portolan audit`.
#[derive(Args, Debug)]
pub(crate) struct AuditArgs {
    /// The server, port 3478 unless said
    ///
    /// HOST, HOST:PORT, `[IPv6]:PORT` or a bare IPv6 address; of a name with several addresses the first is asked.
    #[arg(value_name = "HOST[:PORT]")]
    pub(crate) server: ServerName,
    /// Ask nothing over TCP
    #[arg(long)]
    pub(crate) no_tcp: bool,
    /// How to write what was found
    #[arg(long, value_enum, default_value = "human")]
    pub(crate) format: Whole,
}

/// Arguments of `portolan explain`.
#[derive(Args, Debug)]
pub(crate) struct ExplainArgs {
    /// The file to read; `-` or nothing: standard input
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// The bytes themselves, in hexadecimal; what follows belongs together
    #[arg(long, value_name = "HEX", num_args = 1.., conflicts_with = "file")]
    pub(crate) hex: Vec<String>,
    /// How to write the explanation
    #[arg(long, value_enum, default_value = "human")]
    pub(crate) format: Whole,
}

/// How something that is told at once is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Whole {
    /// For people
    Human,
    /// One JSON object (docs/json.md)
    Json,
}

/// Arguments of `portolan lab nat`.
#[derive(Args, Debug)]
pub(crate) struct LabNatArgs {
    /// The network to simulate: home, cgnat, symmetric, full-cone, restricted, firewall, open, blocked or offline
    ///
    /// home: a router that keeps one public port per socket and lets only the contacted address and port answer, with a
    /// firewall for IPv6. cgnat: the same behind a carrier's NAT. symmetric: another public port for each destination.
    /// full-cone: one public port, and anybody may answer. restricted: one public port, and any port of a contacted
    /// address may answer. firewall: no translation. open: nothing in the way. blocked: no UDP gets through. offline: no
    /// network.
    #[arg(long, value_name = "NAME", default_value = "home")]
    pub(crate) preset: Preset,
    /// What the NAT's mappings depend on, instead of a preset: eim, adm, apdm or the long words of RFC 4787
    #[arg(long, value_name = "WORD", conflicts_with = "preset")]
    pub(crate) mapping: Option<Mapping>,
    /// Whom the NAT lets in, instead of a preset: eif, adf, apdf or the long words
    #[arg(long, value_name = "WORD", conflicts_with = "preset")]
    pub(crate) filtering: Option<Filtering>,
    /// Packets lost in each direction, in percent, at most 50
    #[arg(long, value_name = "P", default_value = "0", value_parser = percent)]
    pub(crate) loss: f64,
    /// Round-trip time to the servers, in milliseconds
    #[arg(long, value_name = "MS", default_value = "50", value_parser = clap::value_parser!(u32).range(0..=10_000))]
    pub(crate) rtt: u32,
    /// The dice: the same seed gives the same run, byte for byte
    #[arg(long, value_name = "N", default_value = "0")]
    pub(crate) seed: u64,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

const NAT_HELP: &str = "\
Exit codes:
  0  each family with a way out has its mapping and its filtering, or its UDP is blocked
     (filtering may be missing where no server given can tell it; standard error says so)
  1  a --require is not met
  2  could not run: bad arguments, no server, no network, no answer that can be used
  3  inconclusive, or what --require asks for could not be told
  With --watch: 0 ended by a signal, 2 could not run.

Nothing is asked of your router, and no packet goes to your own public address without --hairpin.

Examples:
  portolan nat
  portolan nat --server stun.example.org --server 203.0.113.7:3478 --explain
  portolan nat --format json --redact > for-the-bug-report.json
  portolan nat --require 'mapping=eim,filtering=eif|adf' && echo 'good for peer-to-peer'";

const SERVE_HELP: &str = "\
With an --alternate the server has two addresses × two ports and answers the tests of RFC 5780;
both addresses must be this host's own, and the two ports differ:
  portolan serve --listen 203.0.113.10:3478 --alternate 203.0.113.11:3479

On loopback, to try it:
  portolan serve --listen 127.0.0.1:3478 --alternate 127.0.0.2:3479 &
  portolan nat --server 127.0.0.1

For users only, who are challenged and get signed answers (RFC 8489 §9.2):
  (umask 077 && echo 'alice:correct horse battery staple' > users)
  portolan serve --listen 203.0.113.10:3478 --realm example.org --users users
Whoever has not signed a request of 20 bytes gets a challenge of 104 and the realm, under --rate.

It prints a line for each address once it listens, and ends on SIGINT or SIGTERM with its counters.
Exit codes: 0 ended by a signal, 2 could not run.";

const STUN_HELP: &str = "\
One Binding request (RFC 8489), sent again over UDP until it is answered.
With --explain both messages are told byte by byte, as `portolan explain` would.

Exit codes: 0 a mapped address came back, 1 the server refused (the password too) or told no
address, 2 could not run, or no answer came that can be used.

Examples:
  portolan stun stun.example.org --explain
  portolan stun stun.example.org --user alice --password-file ~/.stun-password
  portolan stun '[2001:db8::1]:3478' --tcp --format json
  portolan stun stuns:stun.example.org";

const AUDIT_HELP: &str = "\
Some seventy datagrams in less than three seconds, never more than 160, and at most ten new
requests in any second (RFC 5780 §5); among them broken ones and ones that must not be answered.
Silence counts only beside a bare request that is repeated all the time: where loss, a filter or
a NAT may be the reason the finding is unknown, and no violation. Audit servers that are yours,
or whose owners agree.

Each finding has its clause: ✓ honoured, ✗ violated, – not supported, ? unknown.

Exit codes: 0 nothing is violated, 1 something is, 2 could not run, 3 nothing answered.

Examples:
  portolan audit stun.example.org
  portolan audit 203.0.113.7:3478 --format json
  portolan serve --listen 127.0.0.1:3478 --alternate 127.0.0.2:3479 & portolan audit 127.0.0.1";

const EXPLAIN_HELP: &str = "\
What is read, by itself: hexadecimal (with spaces, colons, commas, 0x; dumps of xxd, hexdump -C,
od -A x -t x1 and Wireshark with their offsets; an empty line begins another message), base64, the
bytes themselves, what tcpdump -x, -xx, -X and -XX print, and captures in pcap or pcapng format.
Of packets each STUN message over UDP or TCP is told with its packet, time and addresses, and the
ChannelData of TURN where STUN was seen between the same two or the port is that of STUN. Bytes
that are a whole Ethernet frame or IP packet, every length in it exact, are read as a packet too;
padding and check sequence of a frame may follow. A dump of which a line is missing is refused.

Exit codes: 0 nothing is wrong, 1 a message has something wrong, 2 nothing could be read.

Examples:
  portolan explain --hex 000100002112a442000102030405060708090a0b
  tcpdump -w - -c 20 udp port 3478 | portolan explain
  tcpdump -n -X -c 20 udp port 3478 | portolan explain
  portolan explain call.pcapng --format json";

const LAB_HELP: &str = "\
Examples:
  portolan lab nat --preset home --explain
  portolan lab nat --mapping apdm --filtering apdf --loss 10 --seed 7
Exit codes are those of `portolan nat`.";

fn seconds(text: &str) -> Result<Duration, &'static str> {
    let seconds: f64 = text.parse().map_err(|_| "a number of seconds, such as 5 or 2.5")?;
    if (0.1..=3600.0).contains(&seconds) {
        Ok(Duration::from_secs_f64(seconds))
    } else {
        Err("between 0.1 and 3600 seconds")
    }
}

fn watch_seconds(text: &str) -> Result<Duration, &'static str> {
    let seconds: f64 = text.parse().map_err(|_| "a number of seconds, such as 30")?;
    if (5.0..=86_400.0).contains(&seconds) {
        Ok(Duration::from_secs_f64(seconds))
    } else {
        Err("between 5 and 86400 seconds")
    }
}

fn percent(text: &str) -> Result<f64, &'static str> {
    let share: f64 = text.parse().map_err(|_| "a share in percent, such as 5")?;
    if (0.0..=50.0).contains(&share) {
        Ok(share)
    } else {
        Err("between 0 and 50 percent: beyond that nothing can be told")
    }
}

fn advertised(text: &str) -> Result<(IpAddr, IpAddr), &'static str> {
    const SHAPE: &str = "two IP addresses without ports: LOCAL=PUBLIC, such as 10.0.0.5=203.0.113.10";
    let (local, public) = text.split_once('=').ok_or(SHAPE)?;
    Ok((local.parse().map_err(|_| SHAPE)?, public.parse().map_err(|_| SHAPE)?))
}

fn rate(text: &str) -> Result<RateLimit, &'static str> {
    if text == "off" {
        return Ok(RateLimit::Off);
    }
    let per_second = text.parse().ok().filter(|rate| (1..=1_000_000).contains(rate));
    per_second.map(RateLimit::PerSecond).ok_or("a number of replies from 1 to 1000000, or off")
}

/// A usage error of clap's as one line that says what to do.
pub(crate) fn one_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let said: Vec<&str> = text
        .lines()
        .map(str::trim)
        .take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more information"))
        .filter(|line| !line.is_empty())
        .collect();
    let said = said.join(" ");
    format!("{} (see --help)", said.strip_prefix("error: ").unwrap_or(&said))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn refused(line: &str) -> String {
        one_line(&Cli::try_parse_from(line.split(' ')).unwrap_err())
    }

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_bad_argument_is_one_line_that_names_it() {
        for (line, told) in [
            (
                "portolan nat --require mapping=cone",
                "invalid value 'mapping=cone' for '--require <KEY=VALUE,…>': \"cone\" is not a value: mapping is eim, \
                 adm, apdm, or the long words such as endpoint-independent (see --help)",
            ),
            (
                "portolan nat --server host:0",
                "invalid value 'host:0' for '--server <HOST[:PORT]>': the port must be a number from 1 to 65535 (see \
                 --help)",
            ),
            (
                "portolan nat --timeout 0",
                "invalid value '0' for '--timeout <S>': between 0.1 and 3600 seconds (see --help)",
            ),
            (
                "portolan serve --rate 0",
                "invalid value '0' for '--rate <N|off>': a number of replies from 1 to 1000000, or off (see --help)",
            ),
            (
                "portolan nat --sever x",
                "unexpected argument '--sever' found tip: a similar argument exists: '--server' (see --help)",
            ),
        ] {
            assert_eq!(refused(line), told);
        }
        assert!(refused("portolan nat -4 -6").contains("cannot be used with"));
    }

    #[test]
    fn watch_takes_its_seconds_only_behind_an_equals_sign() {
        let watch = |line: &str| match Cli::try_parse_from(line.split(' ')).unwrap().command {
            Command::Nat(args) => args.watch,
            Command::Serve(_)
            | Command::Stun(_)
            | Command::Audit(_)
            | Command::Explain(_)
            | Command::Sdp(_)
            | Command::Lab(_) => None,
        };
        assert_eq!(watch("portolan nat --watch"), Some(Duration::from_secs(30)));
        assert_eq!(watch("portolan nat --watch=7"), Some(Duration::from_secs(7)));
        assert_eq!(watch("portolan nat"), None);
        assert!(Cli::try_parse_from(["portolan", "nat", "--watch", "7"]).is_err());
    }

    #[test]
    fn advertised_addresses_and_rates_are_read() {
        let pair = ("10.0.0.5".parse().unwrap(), "203.0.113.10".parse().unwrap());
        assert_eq!(advertised("10.0.0.5=203.0.113.10"), Ok(pair));
        assert!(advertised("10.0.0.5:1=203.0.113.10:1").is_err());
        assert_eq!(rate("off"), Ok(RateLimit::Off));
        assert_eq!(rate("50"), Ok(RateLimit::PerSecond(50)));
        assert_eq!(percent("2.5"), Ok(2.5));
        assert!(percent("NaN").is_err());
        assert!(seconds("inf").is_err());
    }
}
