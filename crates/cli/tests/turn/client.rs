//! A small TURN client over UDP: one request at a time, and channels.

use crate::receive::uninterrupted;
use crate::server::{REALM, TIMEOUT};
use core::net::{IpAddr, SocketAddr};
use portolan_stun::{Attribute, Class, IntegrityKey, Message, Method, Writer};
use std::net::UdpSocket;

/// A client of one user.
pub(crate) struct Client {
    socket: UdpSocket,
    user: String,
    key: IntegrityKey,
    nonce: String,
    next: u8,
}

/// The parts of a success response that the trials use.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Answer {
    pub(crate) relayed: Option<SocketAddr>,
    pub(crate) lifetime: Option<u32>,
}

impl Client {
    pub(crate) fn new(server: SocketAddr, user: &str, password: &str) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        socket.set_read_timeout(Some(TIMEOUT)).expect("a socket");
        socket.connect(server).expect("loopback");
        let key = IntegrityKey::long_term_md5(user, REALM, password);
        Self { socket, user: user.to_owned(), key, nonce: String::new(), next: 0 }
    }

    /// Sends a request, and again with the nonce of a challenge. Returns the error code of an error response.
    pub(crate) fn request(&mut self, method: Method, attributes: &[Attribute<'_>]) -> Result<Answer, u16> {
        let first = self.exchange(method, attributes);
        match first {
            Err((code, Some(nonce))) if nonce != self.nonce => {
                assert!(matches!(code, 401 | 438), "{code}");
                self.nonce = nonce;
                self.exchange(method, attributes).map_err(|(code, _)| code)
            }
            other => other.map_err(|(code, _)| code),
        }
    }

    fn exchange(&mut self, method: Method, attributes: &[Attribute<'_>]) -> Result<Answer, (u16, Option<String>)> {
        self.next = self.next.wrapping_add(1);
        let mut buffer = [0; 1024];
        let mut writer = Writer::new(&mut buffer, Class::Request, method, [self.next; 12].into()).expect("room");
        for attribute in attributes {
            writer.add(attribute).expect("room");
        }
        let request = if self.nonce.is_empty() {
            writer.finish()
        } else {
            let credentials = [
                Attribute::Username((&*self.user).into()),
                Attribute::Realm(REALM.into()),
                Attribute::Nonce((&*self.nonce).into()),
            ];
            credentials.iter().for_each(|attribute| writer.add(attribute).expect("room"));
            writer.message_integrity(&self.key).expect("room").finish()
        };
        self.socket.send(request).expect("loopback");
        let mut buffer = [0; 2048];
        loop {
            let length = uninterrupted(|| self.socket.recv(&mut buffer)).expect("a response in time");
            let Ok(response) = Message::decode(&buffer[..length]) else { continue };
            if response.transaction_id() != [self.next; 12].into() {
                continue;
            }
            if let Some(error) = response.error_code() {
                return Err((error.code(), response.nonce().map(|nonce| nonce.to_string())));
            }
            let verified = response.verify(&self.key).expect("a signed response");
            return Ok(Answer { relayed: verified.xor_relayed_address(), lifetime: verified.lifetime() });
        }
    }

    /// Allocates, and returns the relayed address.
    pub(crate) fn allocate(&mut self) -> Result<SocketAddr, u16> {
        let answer = self.request(Method::ALLOCATE, &[Attribute::RequestedTransport(17)])?;
        Ok(answer.relayed.expect("a relayed address"))
    }

    /// Binds a channel.
    pub(crate) fn bind(&mut self, number: u16, peer: SocketAddr) -> Result<(), u16> {
        let attributes = [Attribute::ChannelNumber(number), Attribute::XorPeerAddress(peer)];
        self.request(Method::CHANNEL_BIND, &attributes).map(drop)
    }

    pub(crate) fn permit(&mut self, peer: IpAddr) -> Result<(), u16> {
        let peer = Attribute::XorPeerAddress(SocketAddr::new(peer, 0));
        self.request(Method::CREATE_PERMISSION, &[peer]).map(drop)
    }

    /// Refreshes the allocation; 0 deletes it.
    pub(crate) fn refresh(&mut self, lifetime: u32) -> Result<u32, u16> {
        let answer = self.request(Method::REFRESH, &[Attribute::Lifetime(lifetime)])?;
        Ok(answer.lifetime.expect("a lifetime"))
    }

    /// Sends ChannelData.
    pub(crate) fn send(&self, number: u16, payload: &[u8]) {
        let length = u16::try_from(payload.len()).expect("a short payload");
        let message = [&number.to_be_bytes()[..], &length.to_be_bytes(), payload].concat();
        self.socket.send(&message).expect("loopback");
    }
}

/// A peer: a bound UDP socket.
pub(crate) fn peer() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    socket.set_read_timeout(Some(TIMEOUT)).expect("a socket");
    let address = socket.local_addr().expect("its address");
    (socket, address)
}

/// Returns the number in the next datagram.
pub(crate) fn receive_number(peer: &UdpSocket) -> u32 {
    let mut buffer = [0; 4];
    let length = uninterrupted(|| peer.recv(&mut buffer)).expect("a datagram in time");
    assert_eq!(length, 4);
    u32::from_be_bytes(buffer)
}
