//! The clients and their peer: allocations with long-term credentials, and one channel each.
//!
//! Every client has a socket of its own, so every allocation has a 5-tuple of its own. All clients have the same peer.

use crate::Outcome;
use crate::server::{CREDENTIALS, Server};
use core::net::SocketAddr;
use core::time::Duration;
use portolan_stun::demux::ChannelData;
use portolan_stun::{Attribute, Class, IntegrityKey, Message, Method, Writer};
use std::net::UdpSocket;

/// The requests in flight while allocations are made.
const WINDOW: usize = 32;
/// The times that a request is sent.
const TRIES: usize = 8;
/// The channel of every client.
const CHANNEL: u16 = 0x4000;

/// One client and the relayed address of its allocation.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) socket: UdpSocket,
    pub(crate) relayed: SocketAddr,
    nonce: String,
}

impl Client {
    fn connect(server: SocketAddr) -> Outcome<Self> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.connect(server)?;
        socket.set_read_timeout(Some(Duration::from_millis(250)))?;
        Ok(Self { socket, relayed: server, nonce: String::new() })
    }
}

/// The clients of one server.
#[derive(Debug)]
pub(crate) struct Clients {
    pub(crate) all: Vec<Client>,
    /// Whether datagrams have a ChannelData header between client and server.
    framed: bool,
    key: IntegrityKey,
}

impl Clients {
    /// Makes the sockets of the clients. There is no allocation yet.
    pub(crate) fn connect(server: &Server, count: usize) -> Outcome<Self> {
        let (user, realm, password) = CREDENTIALS;
        let all = (0..count).map(|_| Client::connect(server.address)).collect::<Outcome<_>>()?;
        Ok(Self { all, framed: server.kind.is_turn(), key: IntegrityKey::long_term_md5(user, realm, password) })
    }

    /// Makes the allocation of every client, with challenge and credentials. A bare forwarder gets one datagram of
    /// each client and returns the relayed address as text.
    pub(crate) fn allocate(&mut self) -> Outcome<()> {
        let Self { all, framed, key } = self;
        for some in all.chunks_mut(WINDOW) {
            if *framed {
                exchange(some, |client, buffer| allocate(buffer, client, None), read_challenge)?;
                exchange(some, |client, buffer| allocate(buffer, client, Some(key)), read_allocation)?;
            } else {
                exchange(some, |_, _| Ok(b"hello".to_vec()), read_address)?;
            }
        }
        Ok(())
    }

    /// Binds the channel of every client to `peer`. From now on no socket blocks.
    pub(crate) fn bind_channels(&mut self, peer: SocketAddr) -> Outcome<()> {
        let Self { all, framed, key } = self;
        for some in all.chunks_mut(WINDOW) {
            if *framed {
                exchange(some, |client, buffer| bind_channel(buffer, client, peer, key), read_success)?;
            }
        }
        all.iter().try_for_each(|client| client.socket.set_nonblocking(true))?;
        Ok(())
    }

    /// The bytes before the payload between client and server.
    pub(crate) fn head(&self, length: usize) -> Vec<u8> {
        if !self.framed {
            return Vec::new();
        }
        ChannelData::head(CHANNEL, length).unwrap_or_default().to_vec()
    }
}

/// Sends a request of each client and reads the responses.
fn exchange(
    clients: &mut [Client],
    request: impl Fn(&Client, &mut [u8]) -> Outcome<Vec<u8>>,
    read: fn(&mut Client, &[u8]) -> Outcome<()>,
) -> Outcome<()> {
    let mut buffer = [0; 1_024];
    let requests = clients.iter().map(|client| request(client, &mut buffer)).collect::<Outcome<Vec<_>>>()?;
    for (client, request) in clients.iter().zip(&requests) {
        client.socket.send(request)?;
    }
    for (client, request) in clients.iter_mut().zip(&requests) {
        let length = response(client, request, &mut buffer)?;
        read(client, buffer.get(..length).unwrap_or_default())?;
    }
    Ok(())
}

/// Waits for the response to a request, and sends the request again if there is none. Late responses to an earlier
/// request are dropped.
fn response(client: &Client, request: &[u8], buffer: &mut [u8]) -> Outcome<usize> {
    let id = request.get(8..20);
    for _ in 0..TRIES {
        while let Ok(length) = client.socket.recv(buffer) {
            if id.is_none() || buffer.get(8..20) == id {
                return Ok(length);
            }
        }
        client.socket.send(request)?;
    }
    Err("the server does not respond".into())
}

/// Encodes an Allocate request, with the credentials if the nonce is known.
fn allocate(buffer: &mut [u8], client: &Client, key: Option<&IntegrityKey>) -> Outcome<Vec<u8>> {
    let mut writer = begin(buffer, Method::ALLOCATE, client)?;
    writer.add(&Attribute::RequestedTransport(17))?;
    let Some(key) = key else { return Ok(writer.finish().to_vec()) };
    finish(writer, client, key)
}

fn bind_channel(buffer: &mut [u8], client: &Client, peer: SocketAddr, key: &IntegrityKey) -> Outcome<Vec<u8>> {
    let mut writer = begin(buffer, Method::CHANNEL_BIND, client)?;
    writer.add(&Attribute::ChannelNumber(CHANNEL))?;
    writer.add(&Attribute::XorPeerAddress(peer))?;
    finish(writer, client, key)
}

/// Begins a request. Its transaction ID is of the client's port and of the nonce's length: a 5-tuple has no two
/// requests of one method with one ID.
fn begin<'b>(buffer: &'b mut [u8], method: Method, client: &Client) -> Outcome<Writer<'b>> {
    let mut id = [0x5a; 12];
    let [p0, p1] = client.socket.local_addr()?.port().to_be_bytes();
    let [n0, n1] = u16::try_from(client.nonce.len())?.to_be_bytes();
    let [m0, m1] = method.number().to_be_bytes();
    id.iter_mut().zip([p0, p1, n0, n1, m0, m1]).for_each(|(to, from)| *to = from);
    Ok(Writer::new(buffer, Class::Request, method, id.into())?)
}

fn finish(mut writer: Writer<'_>, client: &Client, key: &IntegrityKey) -> Outcome<Vec<u8>> {
    let (user, realm, _) = CREDENTIALS;
    writer.add(&Attribute::Username(user.into()))?;
    writer.add(&Attribute::Realm(realm.into()))?;
    writer.add(&Attribute::Nonce(client.nonce.as_str().into()))?;
    Ok(writer.message_integrity(key)?.finish().to_vec())
}

fn read_challenge(client: &mut Client, bytes: &[u8]) -> Outcome<()> {
    let message = Message::decode(bytes)?.exempt();
    let nonce = message.nonce().and_then(|text| text.as_str()).ok_or_else(|| format!("no nonce: {message:?}"))?;
    nonce.clone_into(&mut client.nonce);
    Ok(())
}

fn read_allocation(client: &mut Client, bytes: &[u8]) -> Outcome<()> {
    let message = Message::decode(bytes)?.exempt();
    client.relayed = message.xor_relayed_address().ok_or_else(|| format!("no allocation: {message:?}"))?;
    Ok(())
}

fn read_success(_: &mut Client, bytes: &[u8]) -> Outcome<()> {
    let message = Message::decode(bytes)?.exempt();
    if message.class() == Class::SuccessResponse { Ok(()) } else { Err(format!("refused: {message:?}").into()) }
}

fn read_address(client: &mut Client, bytes: &[u8]) -> Outcome<()> {
    client.relayed = core::str::from_utf8(bytes)?.parse()?;
    Ok(())
}
