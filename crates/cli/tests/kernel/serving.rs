//! `portolan serve` on a host with several addresses: a response leaves from the address of the request.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use std::net::UdpSocket;

use serde_json::Value;

use crate::Outcome;
use crate::lab::{run, tool};
use crate::namespace::{Namespace, next_number};
use crate::process::Process;
use crate::receive::uninterrupted;
use crate::reports::{TIMEOUT, serve, start};

const SERVER: [&str; 4] = ["198.51.100.1", "198.51.100.2", "2001:db8:5::1", "2001:db8:5::2"];
const CLIENT: &str = "198.51.100.7";
const CLIENT6: &str = "2001:db8:5::7";
const PORT: u16 = 3478;
const REQUESTS: u8 = 100;

/// A host with two IPv4 and two IPv6 addresses, and a client on the same link.
struct Link {
    server: Namespace,
    client: Namespace,
}

impl Link {
    fn build() -> Outcome<Self> {
        let number = next_number();
        let (server, client) = (Namespace::new(number, "server")?, Namespace::new(number, "client")?);
        let pair =
            format!("link add name eth0 netns {} type veth peer name eth0 netns {}", server.name(), client.name());
        run(tool("ip").args(["-batch", "-"]), &pair)?;
        server.ip(&addresses(&SERVER))?;
        client.ip(&addresses(&[CLIENT, CLIENT6]))?;
        Ok(Self { server, client })
    }
}

/// Returns the `ip` commands that assign these addresses and enable the devices.
fn addresses(list: &[&str]) -> String {
    let mut lines = String::from("link set lo up\n");
    for address in list {
        lines += &match address.contains(':') {
            true => format!("address add {address}/64 dev eth0 nodad\n"),
            false => format!("address add {address}/24 dev eth0\n"),
        };
    }
    lines + "link set eth0 up\n"
}

/// With wildcard sockets, each of the four addresses responds to all requests from itself.
pub(crate) fn wildcards() -> Outcome {
    let link = Link::build()?;
    let _server = serve(&link.server, &[], 2)?;
    let mut wrong = vec![];
    for server in SERVER {
        let server: IpAddr = server.parse()?;
        let client: IpAddr = if server.is_ipv6() { CLIENT6 } else { CLIENT }.parse()?;
        let socket = link.client.bind(SocketAddr::new(client, 0))?;
        let correct = answered(&socket, SocketAddr::new(server, PORT))?;
        if correct != u32::from(REQUESTS) {
            wrong.push(format!("{server} answered {correct} of {REQUESTS} from its own address"));
        }
        let finished = start(&link.client, &["stun", &server.to_string(), "--timeout", "5"])?.finish(TIMEOUT)?;
        if finished.code != Some(0) {
            wrong.push(format!("{server}: {finished:?}"));
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("; ").into()) }
}

/// Returns the number of responses that come from the address and port of the request.
fn answered(socket: &UdpSocket, server: SocketAddr) -> Outcome<u32> {
    socket.set_read_timeout(Some(Duration::from_secs(1)))?;
    let mut correct = 0;
    for number in 0..REQUESTS {
        let mut request = *b"\x00\x01\x00\x00\x21\x12\xa4\x42____________";
        request[19] = number;
        socket.send_to(&request, server)?;
        let mut response = [0; 256];
        let Ok((length, from)) = uninterrupted(|| socket.recv_from(&mut response)) else { continue };
        let is_response = length >= 32 && response.starts_with(&[1, 1]) && response.get(8..20) == request.get(8..20);
        correct += u32::from(is_response && from == server);
    }
    Ok(correct)
}

/// With specific addresses and an alternate, the audit finds no violation and a client finds no NAT.
pub(crate) fn alternates() -> Outcome {
    let link = Link::build()?;
    let [first, second, first6, second6] = SERVER;
    let (listen, listen6) = (format!("{first}:3478"), format!("[{first6}]:3478"));
    let (other, other6) = (format!("{second}:3479"), format!("[{second6}]:3479"));
    let arguments = ["--listen", &listen, "--listen", &listen6, "--alternate", &other, "--alternate", &other6];
    let _server = serve(&link.server, &arguments, 8)?;
    for server in [&listen, &listen6] {
        let report = report(start(&link.client, &["audit", server, "--format", "json"])?)?;
        let violated = report.pointer("/summary/violated");
        if violated != Some(&0.into()) || report.pointer("/answered") != Some(&true.into()) {
            return Err(format!("{server} does not pass its audit: {report}").into());
        }
    }
    let report = report(start(&link.client, &["nat", "--server", &listen, "--server", &listen6, "--format", "json"])?)?;
    let families = report.pointer("/families").and_then(Value::as_array).ok_or("the report has no families")?;
    let kinds: Vec<_> = families.iter().map(|family| family.pointer("/type").and_then(Value::as_str)).collect();
    if kinds == [Some("open"), Some("open")] {
        Ok(())
    } else {
        Err(format!("not open in both families: {report}").into())
    }
}

fn report(process: Process) -> Outcome<Value> {
    let finished = process.finish(TIMEOUT)?;
    Ok(serde_json::from_str(&finished.stdout).map_err(|why| format!("no report ({why}): {finished:?}"))?)
}
