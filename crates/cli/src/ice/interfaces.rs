//! The addresses of this host.

use core::net::{IpAddr, SocketAddr};
use portolan_ice::gather::Interface;
use std::io;
use std::net::UdpSocket;

/// Returns the addresses of the network interfaces. The source addresses of the default routes are marked.
#[cfg(unix)]
pub(crate) fn all() -> io::Result<Vec<Interface>> {
    let defaults: Vec<IpAddr> = ["203.0.113.1:9", "[2001:db8::1]:9"].into_iter().filter_map(source).collect();
    let mut found = Vec::new();
    for entry in nix::ifaddrs::getifaddrs()? {
        let Some(address) = entry.address else { continue };
        let v4 = address.as_sockaddr_in().map(|address| (IpAddr::V4(address.ip()), 0));
        let v6 = address.as_sockaddr_in6().map(|address| (IpAddr::V6(address.ip()), address.scope_id()));
        let Some((ip, zone)) = v4.or(v6) else { continue };
        let interface = Interface::new(&entry.interface_name, ip).zone(zone);
        found.push(if defaults.contains(&ip) { interface.default_route() } else { interface });
    }
    Ok(found)
}

/// Returns the source addresses of the default routes.
#[cfg(not(unix))]
pub(crate) fn all() -> io::Result<Vec<Interface>> {
    let defaults = ["203.0.113.1:9", "[2001:db8::1]:9"].into_iter().filter_map(source);
    Ok(defaults.map(|ip| Interface::new("default", ip).default_route()).collect())
}

/// The source address of datagrams to a documentation address. Connecting a UDP socket sends nothing.
fn source(destination: &str) -> Option<IpAddr> {
    let destination: SocketAddr = destination.parse().ok()?;
    let any = if destination.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any).ok()?;
    socket.connect(destination).ok()?;
    socket.local_addr().ok().map(|local| local.ip())
}

/// Returns the given addresses as interfaces.
pub(super) fn given(addresses: &[IpAddr]) -> Vec<Interface> {
    let interface = |(number, address): (usize, &IpAddr)| {
        let name = if address.is_loopback() { "lo".to_string() } else { format!("address {number}") };
        Interface::new(&name.replace(' ', "-"), *address).default_route()
    };
    addresses.iter().enumerate().map(interface).collect()
}
