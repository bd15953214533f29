//! A line with a delay: a namespace between two hosts, and two threads that pass its Ethernet frames on.
//!
//! One thread reads each frame with its time of arrival, and the other sends it from the other device when the delay has
//! passed. So the frames keep their order. At most [`MOST`] frames are on their way, and a full queue drops frames. The
//! threads end when the line is dropped.
//!
//! Packet sockets work in each user namespace. Not every kernel has netem, and some systems permit TUN devices to root only.

use alloc::sync::Arc;
use core::fmt::Write as _;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use core::time::Duration;
use std::net::UdpSocket;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use nix::errno::Errno;
use nix::ifaddrs::getifaddrs;
use nix::sys::socket::sockopt::UdpGsoSegment;
use nix::sys::socket::{
    AddressFamily, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType, recvfrom, sendto, setsockopt, socket,
};
use rustix::net::sockopt::{Timeout, set_socket_timeout};

use crate::Outcome;
use crate::kinds::named;
use crate::namespace::Namespace;
use crate::receive::uninterrupted;
use crate::topology::PairTopology;

/// A line between two hosts. It ends when it is dropped.
pub(crate) struct DelayLine {
    state: Arc<State>,
    threads: Vec<JoinHandle<()>>,
    _namespace: Namespace,
}

/// The state of the threads.
#[derive(Default)]
struct State {
    is_over: AtomicBool,
    /// The number of frames that were not passed on.
    lost: AtomicU32,
}

/// A frame on its way.
struct Frame {
    /// The time at which the frame leaves.
    due: Instant,
    /// The device that the frame leaves from.
    to: LinkAddr,
    bytes: Vec<u8>,
}

impl DelayLine {
    /// Connects the two devices of the namespace, which are named [`DEVICES`]. Each frame needs the time `delay`.
    pub(crate) fn start(namespace: Namespace, delay: Duration) -> Outcome<Self> {
        namespace.ip(&DEVICES.map(|device| format!("link set {device} up\n")).concat())?;
        let (socket, ends) = namespace.inside(|| {
            let protocol = SockProtocol::EthAll;
            let socket = socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)?;
            set_socket_timeout(&socket, Timeout::Recv, Some(LOOK))?;
            let [one, other] = DEVICES;
            Ok((socket, [device(one)?, device(other)?]))
        })?;
        let (state, socket) = (Arc::new(State::default()), Arc::new(socket));
        let (sender, receiver) = sync_channel(MOST);
        let reading = thread::spawn({
            let (state, socket) = (Arc::clone(&state), Arc::clone(&socket));
            move || read(&state, &socket, ends, delay, &sender)
        });
        let sending = thread::spawn({
            let state = Arc::clone(&state);
            move || send(&state, &socket, &receiver)
        });
        Ok(Self { state, threads: vec![reading, sending], _namespace: namespace })
    }

    /// Returns the number of frames that were lost so far.
    pub(crate) fn lost(&self) -> u32 {
        self.state.lost.load(Ordering::Relaxed)
    }
}

impl Drop for DelayLine {
    fn drop(&mut self) {
        self.state.is_over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // A thread that panicked has ended too.
            let _ = thread.join();
        }
    }
}

/// The names of the two devices.
const DEVICES: [&str; 2] = ["one", "other"];

/// The interval in which the thread that reads looks whether the line is over.
const LOOK: Duration = Duration::from_millis(50);
/// The most frames on their way.
const MOST: usize = 1024;

/// Adds the commands that link the line with two devices of hosts. The kernel splits a batch of datagrams before it leaves
/// such a device, because the line could not send the batch.
pub(crate) fn link(batch: &mut String, line: &Namespace, one: (&str, &Namespace), other: (&str, &Namespace)) {
    for (end, (device, host)) in DEVICES.into_iter().zip([one, other]) {
        let _ = writeln!(
            batch,
            "link add name {device} netns {} gso_max_segs 1 type veth peer name {end} netns {}",
            host.name(),
            line.name()
        );
    }
}

/// Checks a line in both directions: the delay, the order, and that no datagram is lost.
pub(crate) fn check() -> Outcome {
    let open = named("open").ok_or("no such kind")?;
    let topology = PairTopology::with_delay([open, open], Some(CHECKED))?;
    let [near, far] = topology.clients();
    let (near, far) = (near.bind(OPEN_HOSTS[0].parse()?)?, far.bind(OPEN_HOSTS[1].parse()?)?);
    check_direction(&near, &far)?;
    check_direction(&far, &near)?;
    let lost = topology.line.as_ref().map_or(0, DelayLine::lost);
    if lost == 0 { Ok(()) } else { Err(format!("{lost} frames were lost").into()) }
}

fn check_direction(from: &UdpSocket, to: &UdpSocket) -> Outcome {
    let (address, mut buffer) = (to.local_addr()?, [0; LENGTH + 1]);
    to.set_read_timeout(Some(Duration::from_secs(5)))?;
    setsockopt(from, UdpGsoSegment, &i32::try_from(LENGTH)?)?;
    // The first datagram waits for the address of the link.
    from.send_to(&[0], address)?;
    uninterrupted(|| to.recv(&mut buffer))?;
    let started = Instant::now();
    // One batch, and then single datagrams.
    let numbers: Vec<u8> = (0..COUNT).collect();
    let batch: Vec<u8> = numbers.iter().flat_map(|number| [*number; LENGTH]).collect();
    from.send_to(&batch, address)?;
    for number in &numbers {
        from.send_to(&[*number; LENGTH], address)?;
    }
    let mut took = None;
    for number in numbers.iter().chain(&numbers) {
        let length = uninterrupted(|| to.recv(&mut buffer))?;
        took.get_or_insert(started.elapsed());
        if buffer.get(..length) != Some(&[*number; LENGTH]) {
            return Err(format!("{length} bytes of {:?} in the place of datagram {number}", buffer.first()).into());
        }
    }
    let took = took.unwrap_or_default();
    eprintln!("the line delays by {took:?}");
    if took >= CHECKED { Ok(()) } else { Err(format!("{took:?} for a delay of {CHECKED:?}").into()) }
}

/// The delay of the check.
const CHECKED: Duration = Duration::from_millis(20);
/// The number of datagrams in a batch, and the length of each.
const COUNT: u8 = 40;
const LENGTH: usize = 1000;
/// The two hosts of a pair without routers, with a port.
const OPEN_HOSTS: [&str; 2] = ["198.51.100.77:4000", "198.51.100.78:4000"];

/// Returns the address of a device in the namespace of this thread.
fn device(name: &str) -> Outcome<LinkAddr> {
    let found = getifaddrs()?.filter(|found| found.interface_name == name);
    Ok(found.filter_map(|found| found.address?.as_link_addr().copied()).next().ok_or("the line has no such device")?)
}

/// Reads frames until the line is over.
fn read(state: &State, socket: &OwnedFd, ends: [LinkAddr; 2], delay: Duration, to_send: &SyncSender<Frame>) {
    // `recvfrom` returns the kind of a frame that this namespace sends.
    const OUTGOING: u8 = 4;
    let [one, other] = ends;
    let mut buffer = vec![0; 1 << 16];
    while !state.is_over.load(Ordering::Relaxed) {
        let (from, bytes) = match recvfrom::<LinkAddr>(socket.as_raw_fd(), &mut buffer) {
            Ok((length, Some(from))) if from.pkttype() != OUTGOING => (from, buffer.get_mut(..length)),
            Ok(_) | Err(Errno::EAGAIN | Errno::EINTR) => continue,
            Err(_) => return,
        };
        let to = if from.ifindex() == one.ifindex() { other } else { one };
        let Some(bytes) = bytes else { continue };
        clear_checksum(bytes);
        let frame = Frame { due: Instant::now() + delay, to, bytes: bytes.to_vec() };
        if to_send.try_send(frame).is_err() {
            state.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Sends frames when they are due, until no more come.
fn send(state: &State, socket: &OwnedFd, frames: &Receiver<Frame>) {
    while let Ok(Frame { due, to, bytes }) = frames.recv() {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        if sendto(socket.as_raw_fd(), &bytes, &to, MsgFlags::empty()).is_err() {
            state.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Removes the checksum of UDP over IPv4, which is optional (RFC 768). On a virtual device the kernel leaves the
/// calculation of a checksum to the device, so the line may read an incomplete checksum.
fn clear_checksum(frame: &mut [u8]) {
    const UDP: u8 = 17;
    let Some((ethernet, packet)) = frame.split_at_mut_checked(14) else { return };
    let Some([first, _, _, _, _, _, high, low, _, protocol]) = packet.first_chunk().copied() else { return };
    let is_ipv4 = ethernet.ends_with(&[8, 0]) && first >> 4 == 4;
    // Only the first fragment has a UDP header.
    let is_first = u16::from_be_bytes([high & 0x1f, low]) == 0;
    let at = usize::from(first & 15) * 4 + 6;
    if let Some(checksum) = packet.get_mut(at..at + 2)
        && is_ipv4
        && is_first
        && protocol == UDP
    {
        checksum.fill(0);
    }
}
