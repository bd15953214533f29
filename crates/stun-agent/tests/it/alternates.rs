//! 300 (Try Alternate): only an authenticated redirection is followed, and never in a circle.

use crate::world::addr;
use core::net::SocketAddr;
use core::time::Duration;
use portolan_machine::Instant;
use portolan_stun::{Attribute, Class, ErrorCode, Message, Method, Writer};
use portolan_stun_agent::alternate::{Alternates, RedirectError, ResponseAuthentication};

const SERVER: &str = "192.0.2.1:3478";

/// An error response with this code that names these servers.
fn answer(code: u16, servers: &[&str]) -> Vec<u8> {
    let mut buffer = [0; 256];
    let mut writer = Writer::new(&mut buffer, Class::ErrorResponse, Method::BINDING, [7; 12].into()).unwrap();
    writer.add(&Attribute::ErrorCode(ErrorCode::recommended(code).unwrap())).unwrap();
    for server in servers {
        writer.add(&Attribute::AlternateServer(addr(server))).unwrap();
    }
    writer.finish().to_vec()
}

fn follow(alternates: &mut Alternates, now: Instant, code: u16, servers: &[&str]) -> Result<SocketAddr, RedirectError> {
    let bytes = answer(code, servers);
    alternates.follow(now, &Message::decode(&bytes).unwrap(), ResponseAuthentication::ByUsage)
}

/// One redirection from [`SERVER`].
fn first(servers: &[&str]) -> Result<SocketAddr, RedirectError> {
    follow(&mut Alternates::new(Instant::ORIGIN, addr(SERVER)), Instant::ORIGIN, 300, servers)
}

#[test]
fn rfc8489_10_a_redirection_is_followed_to_the_first_server_of_the_same_family() {
    assert_eq!(first(&["192.0.2.9:3479"]), Ok(addr("192.0.2.9:3479")));
    assert_eq!(first(&["[2001:db8::9]:3478", "192.0.2.9:3478"]), Ok(addr("192.0.2.9:3478")));
    assert_eq!(first(&["[2001:db8::9]:3478"]), Err(RedirectError::NoServer));
    assert_eq!(first(&[]), Err(RedirectError::NoServer));
}

#[test]
fn only_a_300_redirects() {
    let mut alternates = Alternates::new(Instant::ORIGIN, addr(SERVER));
    for code in [400, 401, 438, 500] {
        assert_eq!(
            follow(&mut alternates, Instant::ORIGIN, code, &["192.0.2.9:3478"]),
            Err(RedirectError::NoRedirection)
        );
    }
    assert_eq!(alternates.server(), addr(SERVER));
}

#[test]
fn with_credentials_an_unauthenticated_redirection_is_not_followed() {
    let bytes = answer(300, &["192.0.2.9:3478"]);
    let message = Message::decode(&bytes).unwrap();
    let mut alternates = Alternates::new(Instant::ORIGIN, addr(SERVER));
    assert_eq!(
        alternates.follow(Instant::ORIGIN, &message, ResponseAuthentication::Missing),
        Err(RedirectError::Unauthenticated)
    );
    assert_eq!(alternates.server(), addr(SERVER), "the server has not changed");
    assert_eq!(
        alternates.follow(Instant::ORIGIN, &message, ResponseAuthentication::ByIntegrity),
        Ok(addr("192.0.2.9:3478"))
    );
}

#[test]
fn a_redirection_to_the_own_host_or_to_no_single_host_is_not_followed() {
    for bad in
        ["127.0.0.1:3478", "0.0.0.0:3478", "0.1.2.3:3478", "224.0.0.1:3478", "255.255.255.255:3478", "192.0.2.9:0"]
    {
        assert_eq!(first(&[bad]), Err(RedirectError::Unaddressable), "{bad}");
    }
    for port in [1, 22, 25, 52, 54, 110, 143, 445, 1023] {
        assert_eq!(first(&[&format!("192.0.2.9:{port}")]), Err(RedirectError::Port), "{port}");
    }
    for port in [53, 80, 443, 1024, 3478, 5349, 65535] {
        assert_eq!(first(&[&format!("192.0.2.9:{port}")]), Ok(addr(&format!("192.0.2.9:{port}"))));
    }
    let six = |server: &str| {
        let mut alternates = Alternates::new(Instant::ORIGIN, addr("[2001:db8::1]:3478"));
        follow(&mut alternates, Instant::ORIGIN, 300, &[server])
    };
    for bad in ["[::1]:3478", "[::]:3478", "[ff02::1]:3478", "[::ffff:127.0.0.1]:3478", "[::ffff:0.0.0.0]:3478"] {
        assert_eq!(six(bad), Err(RedirectError::Unaddressable), "{bad}");
    }
    let mut on_loopback = Alternates::new(Instant::ORIGIN, addr("127.0.0.1:3478"));
    let next = follow(&mut on_loopback, Instant::ORIGIN, 300, &["127.0.0.2:3478"]);
    assert_eq!(next, Ok(addr("127.0.0.2:3478")), "a client of a loopback server may be redirected to loopback");
}

#[test]
fn rfc8489_10_a_redirection_to_a_server_of_the_last_five_minutes_is_not_followed() {
    let mut alternates = Alternates::new(Instant::ORIGIN, addr(SERVER));
    let next = "192.0.2.9:3478";
    assert_eq!(follow(&mut alternates, Instant::from_millis(10), 300, &[next]), Ok(addr(next)));
    for millis in [20, 299_999] {
        assert_eq!(follow(&mut alternates, Instant::from_millis(millis), 300, &[SERVER]), Err(RedirectError::Circle));
    }
    assert_eq!(follow(&mut alternates, Instant::ORIGIN + Duration::from_secs(300), 300, &[SERVER]), Ok(addr(SERVER)));
    assert_eq!(first(&[SERVER]), Err(RedirectError::Circle), "the first server is included");
}

#[test]
fn at_most_five_redirections_are_followed() {
    let mut alternates = Alternates::new(Instant::ORIGIN, addr(SERVER));
    for n in 0..Alternates::HOPS {
        let next = format!("192.0.2.{}:3478", 10 + n);
        assert_eq!(follow(&mut alternates, Instant::ORIGIN, 300, &[&next]), Ok(addr(&next)));
    }
    assert_eq!(follow(&mut alternates, Instant::ORIGIN, 300, &["192.0.2.99:3478"]), Err(RedirectError::TooMany));
    assert_eq!(alternates.server(), addr("192.0.2.14:3478"));
}
